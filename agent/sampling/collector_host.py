"""Runs one collector of this node in a thread of the daemon.

A thread cannot be killed. A collector that does not return keeps its thread and is shown as
STALLED; no second call is made while the first lasts, and nobody else waits for it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from agent.contracts import Collector
from agent.errors import NotPresent, ReadingUnavailable
from agent.model.clock import Clock
from agent.model.readings import CpuReading, DiskReading, HostReading, MemoryReading, Reading
from agent.model.view import PluginState, PluginStatus
from agent.sampling import entry_points
from agent.sampling.backoff import Backoff
from agent.sampling.plugins import PluginPlan
from agent.sampling.status import StatusKeeper
from agent.sampling.worker import Worker

COLLECT_SECONDS = 5.0

_READINGS = (HostReading, CpuReading, MemoryReading, DiskReading)


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectorSnapshot:
    """Holds what a collector last gave; `readings` is None where there are none to speak of.

    `measured_monotonic_seconds` is when the values were asked for: none of them is older.
    `took_seconds` is how long the answer took.
    """

    status: PluginStatus
    readings: tuple[Reading, ...] | None
    measured_monotonic_seconds: float
    took_seconds: float = 0.0


class CollectorHost:
    """Runs one collector; every method returns at once but `stop`.

    `load` returns the collector's class by its entry point; a test hands in its own.
    """

    def __init__(
        self,
        plan: PluginPlan,
        *,
        clock: Clock,
        on_done: Callable[[], None] = lambda: None,
        collect_seconds: float = COLLECT_SECONDS,
        load: Callable[[str], Any] = entry_points.load,
    ) -> None:
        self._plan = plan
        self._clock = clock
        self._collect_seconds = collect_seconds
        self._load = load
        self._keeper = StatusKeeper(group=plan.group, name=plan.name, clock=clock)
        self._collector: Collector | None = None
        # One value, replaced as a whole: readings, when they were asked for, how long they took.
        self._last: tuple[tuple[Reading, ...] | None, float, float] = (None, clock.monotonic(), 0.0)
        self._not_before = clock.monotonic()
        self._search = Backoff(first_seconds=60.0, most_seconds=600.0)
        self._worker = Worker(
            name=f"collectors-{plan.name}",
            clock=clock,
            work=self._pass,
            clean_up=self._clean_up,
            on_done=on_done,
        )

    @property
    def plan(self) -> PluginPlan:
        """Is what this host was started with."""
        return self._plan

    def start(self) -> None:
        """Start the thread; the collector is imported with the first request."""
        self._worker.start()

    def request(self) -> None:
        """Ask for new values."""
        self._worker.request()

    def is_busy(self) -> bool:
        """Return whether a request is not done yet."""
        return self._worker.busy_seconds() is not None

    def snapshot(self) -> CollectorSnapshot:
        """Return the last values and the state of now."""
        busy_seconds = self._worker.busy_seconds()
        if busy_seconds is not None and busy_seconds >= self._collect_seconds:
            self._keeper.set(PluginState.STALLED, f"no answer within {self._collect_seconds:g} s")
        readings, measured, took_seconds = self._last
        return CollectorSnapshot(
            status=self._keeper.status,
            readings=readings,
            measured_monotonic_seconds=measured,
            took_seconds=took_seconds,
        )

    def stop(self, *, timeout_seconds: float) -> None:
        """End the thread, or leave it behind where it is stuck; may be called twice."""
        self._worker.stop(timeout_seconds=timeout_seconds)

    def _clean_up(self) -> None:
        if self._collector is not None:
            self._collector.close()

    def _pass(self) -> None:
        if self._clock.monotonic() < self._not_before:
            return
        if self._collector is None and not self._open():
            return
        if self._collector is None:
            return
        asked = self._clock.monotonic()
        try:
            readings = _checked(self._collector.collect())
        except ReadingUnavailable as error:
            self._keeper.set(PluginState.FAILING, _with_hint(error.reason, error.hint))
        except Exception as error:  # noqa: BLE001 - the border to code of somebody else
            self._keeper.set(PluginState.FAILING, f"{type(error).__name__}: {error}")
        else:
            self._last = (readings, asked, self._clock.monotonic() - asked)
            self._keeper.set(PluginState.ACTIVE)

    def _open(self) -> bool:
        """Import, build and probe the collector; return whether it can be read."""
        try:
            collector: Collector = self._built()
        except Exception as error:  # noqa: BLE001 - likewise
            self._not_before = float("inf")
            self._keeper.set(
                PluginState.BROKEN, f"it cannot be loaded: {type(error).__name__}: {error}"
            )
            return False
        try:
            collector.probe()
        except NotPresent as error:
            self._not_before = self._clock.monotonic() + self._search.next_seconds()
            self._keeper.set(PluginState.ABSENT, _with_hint(error.reason, error.hint))
            return False
        except Exception as error:  # noqa: BLE001 - likewise
            self._keeper.set(PluginState.FAILING, f"{type(error).__name__}: {error}")
            return False
        self._search.reset()
        self._collector = collector
        return True

    def _built(self) -> Collector:
        collector_type = self._load(self._plan.target)
        config_type = collector_type.config_type
        known = {each.name for each in dataclasses.fields(config_type)}
        values = {name: value for name, value in self._plan.values if name in known}
        collector: Collector = collector_type(config_type(**values))
        return collector


def _checked(readings: Sequence[Reading]) -> tuple[Reading, ...]:
    checked = tuple(readings)
    for each in checked:
        if not isinstance(each, _READINGS):
            raise TypeError(f"it gave a {type(each).__name__}, which is no reading")
    return checked


def _with_hint(reason: str, hint: str | None) -> str:
    return f"{reason}; {hint}" if hint else reason
