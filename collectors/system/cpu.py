"""The load of all CPUs, from the counters in /proc/stat (proc_stat(5))."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from agent.contracts import Collector
from agent.errors import NotPresent, ReadingUnavailable
from agent.model.readings import CpuReading


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuConfig:
    """Has no setting: the interval is that between two calls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuTimes:
    """Holds what the CPUs did since boot, in the kernel's ticks, and how many are online."""

    busy_ticks: int
    idle_ticks: int
    waiting_ticks: int
    logical_cores: int


class CpuCollector:
    """Reads the busy share of the interval since the call before.

    The counters are compared with each other and with no clock, so that a clock that is set
    changes nothing.
    """

    name: ClassVar[str] = "cpu"
    config_type: ClassVar[type[CpuConfig]] = CpuConfig

    def __init__(self, config: CpuConfig, *, proc: Path = Path("/proc")) -> None:
        del config
        self._stat = proc / "stat"
        self._before: CpuTimes | None = None

    def probe(self) -> None:
        """Return if the kernel's counters can be read.

        Raises:
            NotPresent: /proc is not mounted.
        """
        if not self._stat.exists():
            raise NotPresent(f"{self._stat} does not exist", hint="mount /proc")

    def collect(self) -> Sequence[CpuReading]:
        """Return one reading; its utilisation is None in the first call.

        Raises:
            ReadingUnavailable: /proc/stat cannot be read or is not in its documented form.
        """
        try:
            text = self._stat.read_text(encoding="ascii", errors="replace")
        except OSError as error:
            raise ReadingUnavailable(
                f"{self._stat}: {error.strerror}", hint="mount /proc"
            ) from error
        now = parse_stat(text)
        before, self._before = self._before, now
        ratio: float | None = None
        unknown = {}
        try:
            ratio = utilization_ratio(before, now)
        except ReadingUnavailable as error:
            unknown["utilization_ratio"] = error.reason
        if not now.logical_cores:
            unknown["logical_cores"] = f"{self._stat} lists no CPU by itself"
        return [
            CpuReading(
                logical_cores=now.logical_cores or None, utilization_ratio=ratio, unknown=unknown
            )
        ]

    def close(self) -> None:
        """Forget the last sample."""
        self._before = None


def parse_stat(text: str) -> CpuTimes:
    """Return the counters of /proc/stat.

    Guest time is contained in user time (and guest_nice in nice), so it is not added again. Only
    CPUs that are online have a line of their own.

    Raises:
        ReadingUnavailable: the text has no line `cpu` with at least four counters.
    """
    counters: list[int] | None = None
    logical_cores = 0
    for line in text.splitlines():
        if not line.startswith("cpu"):
            break  # the CPU lines come first; what follows can be long
        label, *fields = line.split()
        if label == "cpu":
            try:
                counters = [int(field) for field in fields[:8]]
            except ValueError:
                break
        else:
            logical_cores += 1
    if counters is None or len(counters) < 4:
        raise ReadingUnavailable("/proc/stat has no counters of all CPUs")
    counters += [0] * (8 - len(counters))
    user, nice, system, idle, waiting, interrupts, soft_interrupts, stolen = counters
    return CpuTimes(
        busy_ticks=user + nice + system + interrupts + soft_interrupts + stolen,
        idle_ticks=idle,
        waiting_ticks=waiting,
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
    busy = now.busy_ticks - before.busy_ticks
    idle = now.idle_ticks - before.idle_ticks
    if busy < 0 or idle < 0:
        raise ReadingUnavailable("the kernel's CPU counters went back since the sample before")
    # proc_stat(5) says of iowait alone that it may fall in normal life.
    waiting = max(now.waiting_ticks - before.waiting_ticks, 0)
    total = busy + idle + waiting
    if total == 0:
        raise ReadingUnavailable("no CPU time passed since the sample before")
    return busy / total


_conforms: type[Collector] = CpuCollector
