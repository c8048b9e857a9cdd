"""Makes a view of what the plugins last gave; pure arithmetic on ages.

A value is shown for three intervals after it was asked for; where a pass takes longer than an
interval, for three times as long as the last pass took. Then it is None, and the reason names its
age and what became of its plugin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from agent.model.accelerator import AcceleratorReading
from agent.model.readings import CpuReading, DiskReading, HostReading, MemoryReading, Reading
from agent.model.view import (
    AcceleratorView,
    AgentView,
    PluginState,
    PluginStatus,
    unknown_reading,
)
from agent.sampling.accelerator_host import AcceleratorSnapshot
from agent.sampling.collector_host import CollectorSnapshot

# Two rounds may fail before a value is gone.
MAX_AGE_INTERVALS = 3.0

_Part = TypeVar("_Part", HostReading, CpuReading, MemoryReading)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Holds what every plugin had last given at one moment.

    `settled` are the states of the plugins that are not run.
    """

    taken_at: datetime
    taken_monotonic_seconds: float
    collectors: tuple[CollectorSnapshot, ...] = ()
    accelerators: tuple[AcceleratorSnapshot, ...] = ()
    settled: tuple[PluginStatus, ...] = ()


def next_expiry(sample: Sample, *, now: float, interval_seconds: float) -> float:
    """Return when the next value of the sample grows too old; infinite if none will.

    `now` and the result are on the monotonic clock.
    """
    ends = [
        _expiry(snapshot, interval_seconds=interval_seconds)
        for snapshots in (sample.collectors, sample.accelerators)
        for snapshot in snapshots
    ]
    return min((end for end in ends if end >= now), default=float("inf"))


def make_view(sample: Sample, *, now: float, interval_seconds: float) -> AgentView:
    """Return the sample as it may be shown at the moment `now` of the monotonic clock."""
    fresh: list[Reading] = []
    for each in sample.collectors:
        is_fresh = now <= _expiry(each, interval_seconds=interval_seconds)
        fresh += [
            reading
            for reading in each.readings or ()
            if is_fresh or isinstance(reading, HostReading)  # what a machine is does not age
        ]
    host, cpu = _first(fresh, HostReading), _first(fresh, CpuReading)
    memory = _first(fresh, MemoryReading)
    disks = tuple(reading for reading in fresh if isinstance(reading, DiskReading))
    # No disk at all can be an answer; no memory cannot.
    has_disks = bool(disks) or any(
        each.status.name == "disks"
        and each.readings is not None
        and now <= _expiry(each, interval_seconds=interval_seconds)
        for each in sample.collectors
    )
    shown = {"host": host, "cpu": cpu, "memory": memory, "disks": disks if has_disks else None}
    return AgentView(
        taken_at=sample.taken_at,
        taken_monotonic_seconds=sample.taken_monotonic_seconds,
        host=host,
        cpu=cpu,
        memory=memory,
        disks=disks if has_disks else None,
        accelerators=tuple(
            view
            for each in sample.accelerators
            for view in _cards(each, now=now, interval_seconds=interval_seconds)
        ),
        plugins=_statuses(sample),
        unknown={
            part: _why(part, sample.collectors, now=now)
            for part, value in shown.items()
            if value is None
        },
    )


def _expiry(snapshot: CollectorSnapshot | AcceleratorSnapshot, *, interval_seconds: float) -> float:
    """Return until when, on the monotonic clock, the values of a snapshot may be shown."""
    pace_seconds = max(interval_seconds, snapshot.took_seconds)
    return snapshot.measured_monotonic_seconds + MAX_AGE_INTERVALS * pace_seconds


def _first(readings: Sequence[Reading], wanted: type[_Part]) -> _Part | None:
    return next((each for each in readings if isinstance(each, wanted)), None)


def _cards(
    snapshot: AcceleratorSnapshot, *, now: float, interval_seconds: float
) -> list[AcceleratorView]:
    cards = snapshot.cards
    if cards is None:
        return []
    is_old = now > _expiry(snapshot, interval_seconds=interval_seconds)
    reason = _silence(now - snapshot.measured_monotonic_seconds, snapshot.status)

    def reading(uuid: str) -> AcceleratorReading:
        return unknown_reading(uuid, reason) if is_old else cards.readings[uuid]

    return [
        AcceleratorView(accelerator=each, reading=reading(each.uuid)) for each in cards.accelerators
    ]


def _why(part: str, collectors: Sequence[CollectorSnapshot], *, now: float) -> str:
    """Return why a part is unknown; a part is read by the collector of its name."""
    for each in collectors:
        if each.status.name == part:
            if each.readings is None:
                return _in_words(each.status)
            return _silence(now - each.measured_monotonic_seconds, each.status)
    return "no collector for it is installed"


def _silence(age_seconds: float, status: PluginStatus) -> str:
    if status.state is PluginState.ACTIVE:
        return f"no answer for {age_seconds:.0f} s"
    return f"no answer for {age_seconds:.0f} s: {_in_words(status)}"


def _in_words(status: PluginStatus) -> str:
    words = f"plugin {status.state.value}"
    return f"{words} ({status.detail})" if status.detail else words


def _statuses(sample: Sample) -> tuple[PluginStatus, ...]:
    statuses = [each.status for each in sample.collectors]
    statuses += [each.status for each in sample.accelerators]
    statuses += sample.settled
    return tuple(sorted(statuses, key=lambda each: (each.group != "collectors", each.name)))
