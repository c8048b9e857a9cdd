"""Who this node is: host name, kernel, distribution."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from agent.contracts import Collector
from agent.model.readings import HostReading


@dataclass(frozen=True, slots=True, kw_only=True)
class HostConfig:
    """Has no setting: there is one way to ask a kernel for its name."""


class HostCollector:
    """Reads the names that the kernel and the distribution give themselves."""

    name: ClassVar[str] = "host"
    config_type: ClassVar[type[HostConfig]] = HostConfig

    def __init__(self, config: HostConfig, *, root: Path = Path("/")) -> None:
        del config
        # The order of os-release(5): the administrator's file wins over the distribution's.
        self._release_files = (root / "etc/os-release", root / "usr/lib/os-release")

    def probe(self) -> None:
        """Return: there is always a host."""

    def collect(self) -> Sequence[HostReading]:
        """Return one reading; `os_release` is None where the distribution has no name."""
        kernel = os.uname()
        os_release, unknown = self._os_release()
        return [
            HostReading(
                host_name=kernel.nodename,
                os_name=kernel.sysname,
                architecture=kernel.machine,
                os_release=os_release,
                unknown=unknown,
            )
        ]

    def close(self) -> None:
        """Do nothing: nothing is held."""

    def _os_release(self) -> tuple[str | None, dict[str, str]]:
        for path in self._release_files:
            try:
                text = path.read_text(encoding="utf-8", errors="replace")
            except OSError:
                continue
            pretty_name = parse_pretty_name(text)
            if pretty_name is None:
                return None, {"os_release": f"{path} has no PRETTY_NAME"}
            return pretty_name, {}
        return None, {"os_release": f"{self._release_files[0]} cannot be read"}


def parse_pretty_name(text: str) -> str | None:
    """Return PRETTY_NAME of an os-release file; None if it is not there or empty.

    The file is made of shell assignments (os-release(5)): quoted or not, the last one wins.
    """
    pretty_name = None
    for line in text.splitlines():
        key, equals, value = line.strip().partition("=")
        if key == "PRETTY_NAME" and equals:
            try:
                pretty_name = " ".join(shlex.split(value))
            except ValueError:  # a quote that is never closed
                pretty_name = value.strip("\"'")
    return pretty_name or None


_conforms: type[Collector] = HostCollector
