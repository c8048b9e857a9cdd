"""Computes what the containers of a service use together; pure (T/BAX 0006.5, annex G).

A sum with a part that is unknown is unknown, with the part's reason: a figure that leaves out a
replica would look like one of a service that is idle.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from agent.model.view import AcceleratorView, AgentView
from agent.model.workloads import (
    AcceleratorAssignment,
    Container,
    ContainerUsage,
    ServiceUsage,
)
from agent.workloads import labels

_Value = TypeVar("_Value")

NO_CONTAINER = "none of its containers runs"
NO_ACCELERATOR = "no accelerator was given"
_NOT_TOLD = "the reason was not given"

_FIELDS = (
    "cpu_ratio",
    "memory_used_bytes",
    "accelerator_memory_total_bytes",
    "accelerator_memory_used_bytes",
    "accelerator_utilization_ratio",
)


class _Unknown(Exception):  # noqa: N818 - never leaves this module
    """Says why a figure is not known."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """Is what a running container used at a moment of the monotonic clock."""

    container: Container
    usage: ContainerUsage
    monotonic_seconds: float


def unknown_usage(reason: str) -> ServiceUsage:
    """Return a usage of which nothing is known, for one reason."""
    return ServiceUsage(unknown=dict.fromkeys(_FIELDS, reason))


def service_usage(
    measurements: Sequence[Measurement],
    *,
    earlier: Sequence[Measurement],
    view: AgentView,
) -> ServiceUsage:
    """Return what the containers of one service use, from a measurement of each that runs.

    `earlier` are the measurements before these: CPU is what was used between the two.
    """
    if not measurements:
        return unknown_usage(NO_CONTAINER)
    before = {_identity(each): each for each in earlier}
    assignments = tuple(
        dict.fromkeys(
            assignment
            for each in measurements
            for assignment in labels.accelerators_of(each.container.labels)
        )
    )
    computations: dict[str, Callable[[], float]] = {
        "cpu_ratio": lambda: _cpu_ratio(measurements, before),
        "memory_used_bytes": lambda: _memory_used_bytes(measurements),
        "accelerator_memory_total_bytes": lambda: _memory_total_bytes(_chips(assignments, view)),
        "accelerator_memory_used_bytes": lambda: _chip_memory_used_bytes(
            _chips(assignments, view), _process_ids(measurements)
        ),
        "accelerator_utilization_ratio": lambda: _utilization_ratio(
            _chips(assignments, view), _process_ids(measurements)
        ),
    }
    figures: dict[str, float | None] = {}
    unknown: dict[str, str] = {}
    for name, compute in computations.items():
        try:
            figures[name] = compute()
        except _Unknown as error:
            figures[name], unknown[name] = None, error.reason
    return ServiceUsage(
        cpu_ratio=figures["cpu_ratio"],
        memory_used_bytes=_whole(figures["memory_used_bytes"]),
        accelerator_memory_total_bytes=_whole(figures["accelerator_memory_total_bytes"]),
        accelerator_memory_used_bytes=_whole(figures["accelerator_memory_used_bytes"]),
        accelerator_utilization_ratio=figures["accelerator_utilization_ratio"],
        accelerators=assignments,
        unknown=unknown,
    )


def _identity(measurement: Measurement) -> tuple[str, object]:
    """Return what stays the same while a container's counters go on."""
    return measurement.container.container_id, measurement.container.started_at


def _cpu_ratio(
    measurements: Sequence[Measurement], before: dict[tuple[str, object], Measurement]
) -> float:
    total_ratio = 0.0
    for now in measurements:
        seconds = _known(now.usage.cpu_seconds, now.usage.unknown.get("cpu_seconds"))
        earlier = before.get(_identity(now))
        if earlier is None or earlier.usage.cpu_seconds is None:
            raise _Unknown("it was measured only once since a container started")
        elapsed_seconds = now.monotonic_seconds - earlier.monotonic_seconds
        used_seconds = seconds - earlier.usage.cpu_seconds
        if elapsed_seconds <= 0 or used_seconds < 0:
            raise _Unknown("a container was started again since it was last measured")
        total_ratio += used_seconds / elapsed_seconds
    return total_ratio


def _memory_used_bytes(measurements: Sequence[Measurement]) -> int:
    return sum(
        _known(each.usage.memory_used_bytes, each.usage.unknown.get("memory_used_bytes"))
        for each in measurements
    )


def _process_ids(measurements: Sequence[Measurement]) -> frozenset[int]:
    return frozenset(
        process_id
        for each in measurements
        for process_id in _known(each.usage.process_ids, each.usage.unknown.get("process_ids"))
    )


def _chips(
    assignments: Sequence[AcceleratorAssignment], view: AgentView
) -> Sequence[AcceleratorView]:
    if not assignments:
        raise _Unknown(NO_ACCELERATOR)
    seen = {(each.accelerator.vendor, each.accelerator.uuid): each for each in view.accelerators}
    chips = []
    for assignment in assignments:
        chip = seen.get((assignment.vendor, assignment.uuid))
        if chip is None:
            raise _Unknown(f"accelerator {assignment.uuid} is not seen")
        chips.append(chip)
    return chips


def _memory_total_bytes(chips: Sequence[AcceleratorView]) -> int:
    return sum(
        _known(
            chip.accelerator.memory_total_bytes,
            chip.accelerator.unknown.get("memory_total_bytes"),
        )
        for chip in chips
    )


def _chip_memory_used_bytes(chips: Sequence[AcceleratorView], process_ids: frozenset[int]) -> int:
    total_bytes = 0
    for chip in chips:
        reason = chip.reading.unknown.get("processes")
        for process in _known(chip.reading.processes, reason):
            if process.pid in process_ids:
                total_bytes += _known(
                    process.memory_used_bytes,
                    reason or "the vendor's interface does not tell the memory of a process",
                )
    return total_bytes


def _utilization_ratio(chips: Sequence[AcceleratorView], process_ids: frozenset[int]) -> float:
    """Return the mean over the chips; on each at most all of it, whatever windows overlap."""
    total_ratio = 0.0
    for chip in chips:
        reason = chip.reading.unknown.get("processes")
        used_ratio = 0.0
        for process in _known(chip.reading.processes, reason):
            if process.pid in process_ids:
                used_ratio += _known(
                    process.utilization_ratio,
                    reason or "the vendor's interface does not tell the utilisation of a process",
                )
        total_ratio += min(used_ratio, 1.0)
    return total_ratio / len(chips)


def _known(value: _Value | None, reason: str | None) -> _Value:
    if value is None:
        raise _Unknown(reason or _NOT_TOLD)
    return value


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)
