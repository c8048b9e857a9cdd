"""The load of all CPUs, from the kernel's counters as psutil reads them (proc_stat(5))."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from agent.contracts import Collector
from agent.errors import NotPresent, ReadingUnavailable
from agent.model.readings import CpuReading

_BUSY = ("user", "nice", "system", "irq", "softirq", "steal")

# The counters move in ticks of 10 ms; what is far less is the rounding of sums of seconds.
_ROUNDING_SECONDS = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuConfig:
    """Has no setting: the interval is that between two calls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuTimes:
    """Holds what the CPUs did since boot and how many are online; None where nobody says."""

    busy_seconds: float
    idle_seconds: float
    waiting_seconds: float
    logical_cores: int | None


def read_cpu() -> CpuTimes:
    """Return the counters of now.

    Raises whatever psutil does where /proc is missing or not in its usual form.
    """
    # Not before it is needed: a psutil that is imported while /proc is missing never recovers.
    import psutil

    return cpu_times(psutil.cpu_times()._asdict(), logical_cores=psutil.cpu_count(logical=True))


class CpuCollector:
    """Reads the busy share of the interval since the call before.

    The counters are compared with each other and with no clock, so that a clock that is set
    changes nothing. `stat_file` is what psutil reads; only `probe` looks whether it is there.
    """

    name: ClassVar[str] = "cpu"
    config_type: ClassVar[type[CpuConfig]] = CpuConfig

    def __init__(
        self,
        config: CpuConfig,
        *,
        read: Callable[[], CpuTimes] = read_cpu,
        stat_file: Path = Path("/proc/stat"),
    ) -> None:
        del config
        self._read = read
        self._stat_file = stat_file
        self._before: CpuTimes | None = None

    def probe(self) -> None:
        """Return if the kernel offers its counters.

        Raises:
            NotPresent: /proc is not mounted.
        """
        if not self._stat_file.exists():
            raise NotPresent(f"{self._stat_file} does not exist", hint="mount /proc")

    def collect(self) -> Sequence[CpuReading]:
        """Return one reading; its utilisation is None in the first call.

        Raises:
            ReadingUnavailable: psutil cannot read the counters.
        """
        try:
            now = self._read()
        # psutil promises no error of its own here: these are what it meets in an odd /proc.
        except (OSError, RuntimeError, LookupError, TypeError, ValueError) as error:
            raise ReadingUnavailable(
                f"psutil cannot read the CPU counters: {error!r}",
                hint="mount /proc, and look whether /proc/stat is in its usual form",
            ) from error
        before, self._before = self._before, now
        ratio: float | None = None
        unknown = {}
        try:
            ratio = utilization_ratio(before, now)
        except ReadingUnavailable as error:
            unknown["utilization_ratio"] = error.reason
        if now.logical_cores is None:
            unknown["logical_cores"] = "the system does not say how many CPUs are online"
        return [
            CpuReading(logical_cores=now.logical_cores, utilization_ratio=ratio, unknown=unknown)
        ]

    def close(self) -> None:
        """Forget the last sample."""
        self._before = None


def cpu_times(seconds: Mapping[str, float], *, logical_cores: int | None) -> CpuTimes:
    """Return psutil's counters, by its names, sorted into busy, idle and waiting.

    Guest time is contained in user time (and guest_nice in nice), so it is not added again.

    Raises:
        KeyError: a counter is missing that every supported kernel has.
    """
    return CpuTimes(
        busy_seconds=sum(seconds[name] for name in _BUSY),
        idle_seconds=seconds["idle"],
        waiting_seconds=seconds["iowait"],
        logical_cores=logical_cores,
    )


def utilization_ratio(before: CpuTimes | None, now: CpuTimes) -> float:
    """Return the busy share of the time between two samples, 0 to 1; waiting for I/O is idle.

    Raises:
        ReadingUnavailable: there is no earlier sample, no time passed, or the counters went back
            (a CPU was taken away, a virtual machine was moved).
    """
    if before is None:
        raise ReadingUnavailable("needs two samples")
    busy = now.busy_seconds - before.busy_seconds
    idle = now.idle_seconds - before.idle_seconds
    if min(busy, idle) < -_ROUNDING_SECONDS:
        raise ReadingUnavailable("the kernel's CPU counters went back since the sample before")
    busy, idle = max(0.0, busy), max(0.0, idle)
    # proc_stat(5) says of iowait alone that it may fall in normal life.
    waiting = max(0.0, now.waiting_seconds - before.waiting_seconds)
    total = busy + idle + waiting
    if total < _ROUNDING_SECONDS:
        raise ReadingUnavailable("no CPU time passed since the sample before")
    return busy / total


_conforms: type[Collector] = CpuCollector
