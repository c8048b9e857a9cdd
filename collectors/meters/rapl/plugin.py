"""The kind `rapl`: one energy register of a processor, from the kernel's powercap files.

One domain is one meter: each wraps by itself, every few minutes to hours, so that a sum of several
would have no modulus. A role adds them up.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from agent.contracts import Meter
from agent.errors import NotPresent, ReadingUnavailable
from agent.model.clock import Clock, SystemClock
from agent.model.metering import MeterReading, RegisterTraits

_POWERCAP = Path("/sys/class/powercap")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_MICROJOULES = 1_000_000
_MOST_BYTES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class RaplConfig:
    """Names the register: `package-0` of the first processor, `psys` of the whole platform.

    A part of a package stands behind a slash: `package-0/dram`.
    """

    domain: str = "package-0"


class RaplMeter:
    """Reads one register of this machine; processor and memory alone, never the whole server."""

    name: ClassVar[str] = "rapl"
    config_type: ClassVar[type[RaplConfig]] = RaplConfig

    def __init__(
        self,
        config: RaplConfig,
        *,
        clock: Clock | None = None,
        powercap: Path = _POWERCAP,
        boot_id: Path = _BOOT_ID,
    ) -> None:
        self._domain = config.domain
        self._clock = clock or SystemClock()
        self._powercap = powercap
        self._boot_id = boot_id

    def probe(self) -> None:
        """Return if the register is here and may be read.

        Raises:
            NotPresent: it is not, or may not.
        """
        try:
            self._read()
        except ReadingUnavailable as error:
            raise NotPresent(error.reason, hint=error.hint) from error

    def read(self) -> MeterReading:
        """Return the register; its marker is the boot, after which it begins anew."""
        taken_at = self._clock.now()
        return MeterReading(
            taken_at=taken_at,
            energy_joules=self._read() // _MICROJOULES,
            reset_marker=_text(self._boot_id) or None,
            unknown={
                "power_watts": "RAPL tells energy alone",
                "water_millilitres": "RAPL tells no water",
            },
        )

    def traits(self) -> RegisterTraits:
        """Return where the register wraps, to the nearest joule."""
        try:
            most = _number(self._folder() / "max_energy_range_uj")
        except (ReadingUnavailable, OSError, ValueError):
            return RegisterTraits(resolution=1)
        return RegisterTraits(modulus=max(2, round(most / _MICROJOULES)), resolution=1)

    def close(self) -> None:
        """Release nothing: no file is kept open."""

    def _read(self) -> int:
        register = self._folder() / "energy_uj"
        try:
            return _number(register)
        except PermissionError as error:
            raise ReadingUnavailable(
                f"{register} may be read by root alone",
                hint="run the agent as root, or give its group the right to read energy_uj",
            ) from error
        except (OSError, ValueError) as error:
            raise ReadingUnavailable(f"{register}: {error}") from error

    def _folder(self) -> Path:
        """Return the folder of the domain; the kernel's numbers follow no order of names."""
        package, _, part = self._domain.partition("/")
        found: list[str] = []
        try:
            folders = sorted(self._powercap.glob("intel-rapl:*"))
        except OSError as error:
            raise ReadingUnavailable(f"{self._powercap}: {error.strerror}") from error
        for folder in folders:
            name = _text(folder / "name")
            if folder.name.count(":") > 1:
                above = folder.parent / folder.name.rpartition(":")[0]
                name = f"{_text(above / 'name')}/{name}"
            if name == (f"{package}/{part}" if part else package):
                return folder
            found.append(name)
        if not found:
            raise ReadingUnavailable(
                "this machine has no RAPL",
                hint="load intel_rapl_msr; virtual machines and most ARM processors have none",
            )
        raise ReadingUnavailable(
            f"no domain {self._domain}", hint=f"there are {', '.join(sorted(set(found)))}"
        )


def _number(path: Path) -> int:
    text = _content(path)
    if not text.isascii() or not text.isdigit():
        raise ValueError(f"holds no number: {text!r}")
    return int(text)


def _text(path: Path) -> str:
    """Return a line of a file, "" where there is none."""
    try:
        return _content(path)
    except OSError:
        return ""


def _content(path: Path) -> str:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, _MOST_BYTES).decode("utf-8", errors="replace").strip()
    finally:
        os.close(descriptor)


_conforms: type[Meter] = RaplMeter
