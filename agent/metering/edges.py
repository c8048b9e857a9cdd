"""Where the edge of an hour lies among the readings of a register."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from agent.metering.deltas import Interval
from agent.metering.explain import Step, time_text
from agent.metering.pairs import IntervalKind

_SMOOTH = (IntervalKind.INCREASE, IntervalKind.WRAP)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """Holds an edge: at the beginning of interval `index`, or `part` of its amount into it.

    `index` is the number of intervals where the edge is the last reading. `reason` says why the
    edge is not known; the other fields say nothing then.
    """

    index: int = 0
    on_reading: bool = True
    part: int = 0
    reason: str | None = None


def is_smooth(interval: Interval) -> bool:
    """Tell whether a line may be drawn through an interval."""
    return interval.amount is not None and interval.kind in _SMOOTH


def find_edge(
    intervals: Sequence[Interval], at: datetime, *, gap_seconds: float, steps: list[Step]
) -> Edge:
    """Return where a moment lies, and add the step that finds it to `steps`.

    What a line has counted up to the edge is rounded down: the hours on both sides use this one
    number, so that nothing is lost between them.
    """
    index = bisect_right(intervals, at, key=_start_at) - 1
    interval = intervals[index] if index >= 0 else None
    if interval is None or at > interval.end_at:
        side = "before" if interval is None else "after"
        return _missing(f"there is no reading {side} {time_text(at)}", at=at, steps=steps)
    if at == interval.start_at:
        return _on_reading(index, interval.start_value, at=at, steps=steps)
    if at == interval.end_at:
        return _on_reading(index + 1, interval.end_value, at=at, steps=steps)
    return _between(index, interval, at=at, gap_seconds=gap_seconds, steps=steps)


def _start_at(interval: Interval) -> datetime:
    return interval.start_at


def _on_reading(index: int, value: int | None, *, at: datetime, steps: list[Step]) -> Edge:
    if value is None:
        return _missing(f"two readings of {time_text(at)} differ", at=at, steps=steps)
    text = f"At {time_text(at)} the register showed {value}."
    steps.append(Step(text=text, fields={"at": time_text(at), "value": value}))
    return Edge(index=index)


def _between(
    index: int, interval: Interval, *, at: datetime, gap_seconds: float, steps: list[Step]
) -> Edge:
    whole = (interval.end_at - interval.start_at) // _MICROSECOND
    first, second = time_text(interval.start_at), time_text(interval.end_at)
    if whole > gap_seconds * 1_000_000:
        reason = (
            f"{time_text(at)} lies between readings of {first} and {second}, "
            f"which are more than {gap_seconds:g} s apart"
        )
        return _missing(reason, at=at, steps=steps)
    if interval.amount is None or not is_smooth(interval):
        return _missing(describe_trouble(interval), at=at, steps=steps)
    into = (at - interval.start_at) // _MICROSECOND
    part = interval.amount * into // whole
    steps.append(
        Step(
            text=(
                f"{time_text(at)} lies between {first} ({interval.start_value}) and {second} "
                f"({interval.end_value}), {interval.kind.value} of {interval.amount}: "
                f"{interval.amount} × {into / 1e6:g} s ÷ {whole / 1e6:g} s = {part}, rounded down."
            ),
            fields={
                "at": time_text(at),
                "before": [first, interval.start_value],
                "after": [second, interval.end_value],
                "kind": interval.kind.value,
                "amount": interval.amount,
                "into_microseconds": into,
                "gap_microseconds": whole,
                "part": part,
            },
        )
    )
    return Edge(index=index, on_reading=False, part=part)


def describe_trouble(interval: Interval) -> str:
    """Return in words why an interval's amount, or its course, is not known."""
    start, end = time_text(interval.start_at), time_text(interval.end_at)
    return f"from {start} to {end}: {interval.reason}"


def _missing(reason: str, *, at: datetime, steps: list[Step]) -> Edge:
    steps.append(Step(text=f"The edge is not known: {reason}.", fields={"at": time_text(at)}))
    return Edge(reason=reason)
