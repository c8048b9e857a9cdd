"""The memory of this node, from the kernel's figures as psutil reads them (proc_meminfo(5))."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from agent.contracts import Collector
from agent.errors import NotPresent, ReadingUnavailable
from agent.model.readings import MemoryReading

_MEMINFO = Path("/proc/meminfo")


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryConfig:
    """Has no setting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryFigures:
    """Holds the kernel's figures; `available_bytes` is None where it does not count that."""

    total_bytes: int
    available_bytes: int | None


def read_memory() -> MemoryFigures:
    """Return the figures of now.

    Raises whatever psutil does where /proc is missing or not in its usual form.
    """
    # Not before it is needed: a psutil that is imported while /proc is missing never recovers.
    import psutil

    memory = psutil.virtual_memory()
    # psutil puts an estimate where the kernel has no figure, and does not say so. (For a figure
    # above the total, which odd containers show, it takes the free memory, as `free` does.)
    is_counted = counts_available(_MEMINFO.read_bytes())
    return MemoryFigures(
        total_bytes=memory.total, available_bytes=memory.available if is_counted else None
    )


class MemoryCollector:
    """Reads how much memory there is and how much of it programs cannot have any more.

    `meminfo_file` is what psutil reads; only `probe` looks whether it is there.
    """

    name: ClassVar[str] = "memory"
    config_type: ClassVar[type[MemoryConfig]] = MemoryConfig

    def __init__(
        self,
        config: MemoryConfig,
        *,
        read: Callable[[], MemoryFigures] = read_memory,
        meminfo_file: Path = _MEMINFO,
    ) -> None:
        del config
        self._read = read
        self._meminfo_file = meminfo_file

    def probe(self) -> None:
        """Return if the kernel offers its figures.

        Raises:
            NotPresent: /proc is not mounted.
        """
        if not self._meminfo_file.exists():
            raise NotPresent(f"{self._meminfo_file} does not exist", hint="mount /proc")

    def collect(self) -> Sequence[MemoryReading]:
        """Return one reading.

        Raises:
            ReadingUnavailable: psutil cannot read the figures.
        """
        try:
            figures = self._read()
        # psutil promises no error of its own here: these are what it meets in an odd /proc.
        except (OSError, RuntimeError, LookupError, TypeError, ValueError) as error:
            raise ReadingUnavailable(
                f"psutil cannot read the memory figures: {error!r}",
                hint="mount /proc, and look whether /proc/meminfo is in its usual form",
            ) from error
        return [memory_reading(figures)]

    def close(self) -> None:
        """Do nothing: nothing is held."""


def counts_available(meminfo: bytes) -> bool:
    """Return whether /proc/meminfo has MemAvailable: kernels have it since 3.14."""
    return any(line.startswith(b"MemAvailable:") for line in meminfo.splitlines())


def memory_reading(figures: MemoryFigures) -> MemoryReading:
    """Return the reading: used = total - available."""
    total, available = figures.total_bytes, figures.available_bytes
    if total <= 0:
        reason = "the kernel says that there is no memory"
        return MemoryReading(
            total_bytes=None,
            used_bytes=None,
            unknown={"total_bytes": reason, "used_bytes": reason},
        )
    if available is None:
        reason = "/proc/meminfo has no MemAvailable; kernels have it since 3.14"
    elif not 0 <= available <= total:
        reason = "the available memory is not between 0 and the total"
    else:
        return MemoryReading(total_bytes=total, used_bytes=total - available)
    return MemoryReading(total_bytes=total, used_bytes=None, unknown={"used_bytes": reason})


_conforms: type[Collector] = MemoryCollector
