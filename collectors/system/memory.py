"""The memory of this node, from /proc/meminfo (proc_meminfo(5))."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from agent.contracts import Collector
from agent.errors import NotPresent, ReadingUnavailable
from agent.model.readings import MemoryReading

_KIBIBYTE = 1024  # the file writes kB and means KiB


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryConfig:
    """Has no setting."""


class MemoryCollector:
    """Reads how much memory there is and how much of it programs cannot have any more."""

    name: ClassVar[str] = "memory"
    config_type: ClassVar[type[MemoryConfig]] = MemoryConfig

    def __init__(self, config: MemoryConfig, *, proc: Path = Path("/proc")) -> None:
        del config
        self._meminfo = proc / "meminfo"

    def probe(self) -> None:
        """Return if the kernel's figures can be read.

        Raises:
            NotPresent: /proc is not mounted.
        """
        if not self._meminfo.exists():
            raise NotPresent(f"{self._meminfo} does not exist", hint="mount /proc")

    def collect(self) -> Sequence[MemoryReading]:
        """Return one reading.

        Raises:
            ReadingUnavailable: /proc/meminfo cannot be read.
        """
        try:
            text = self._meminfo.read_text(encoding="ascii", errors="replace")
        except OSError as error:
            raise ReadingUnavailable(
                f"{self._meminfo}: {error.strerror}", hint="mount /proc"
            ) from error
        return [parse_meminfo(text)]

    def close(self) -> None:
        """Do nothing: nothing is held."""


def parse_meminfo(text: str) -> MemoryReading:
    """Return the reading that /proc/meminfo holds: used = MemTotal - MemAvailable."""
    figures = {}
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        number = value.split()
        if colon and key in ("MemTotal", "MemAvailable") and number and number[0].isdecimal():
            figures[key] = int(number[0]) * _KIBIBYTE
    total = figures.get("MemTotal")
    available = figures.get("MemAvailable")
    if total is None:
        reason = "/proc/meminfo has no MemTotal"
        return MemoryReading(
            total_bytes=None,
            used_bytes=None,
            unknown={"total_bytes": reason, "used_bytes": reason},
        )
    if available is None:
        reason = "/proc/meminfo has no MemAvailable; kernels have it since 3.14"
    elif available > total:
        reason = "/proc/meminfo calls more memory available than there is"
    else:
        return MemoryReading(total_bytes=total, used_bytes=total - available)
    return MemoryReading(total_bytes=total, used_bytes=None, unknown={"used_bytes": reason})


_conforms: type[Collector] = MemoryCollector
