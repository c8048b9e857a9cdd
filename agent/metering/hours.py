"""What a register counted in one hour.

Clock hours are hours of UTC, which are clock hours in every zone that is whole hours away from it,
China's among them; no hour is missing or comes twice where clocks are changed in summer. An hour
may start anywhere: the last sixty minutes up to a sample are one as well.

Each edge of the hour needs a reading, or a line between two readings at most
`edge_gap_seconds` apart. What a line has counted up to the edge is rounded down, and the rest is
the next hour's, so that the hours of a day add up to exactly what the register counted. In between
every amount has to be known, and nothing else is needed; across a reset no amount is, since what
was used just before it is in no register.

To close an hour, give its readings, those of an hour before and after it (`MARGIN`), and the
nearest beyond on each side. So a reading that comes late can change the hour that it lies in and
the hours within `MARGIN` of it; where it is the nearest to an hour further away, that one too.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from agent.metering.deltas import Interval, register_intervals
from agent.metering.edges import Edge, describe_trouble, find_edge, is_smooth
from agent.metering.explain import Step, time_text
from agent.metering.pairs import IntervalKind
from agent.metering.readings import RegisterReading
from agent.model.metering import Figure, Quality, RegisterTraits

HOUR = timedelta(hours=1)
# How far around an hour readings have a say in it.
MARGIN = timedelta(hours=1)
EDGE_GAP_SECONDS = 900.0
THRESHOLD_RATIO = 0.9


def register_hour(
    readings: Sequence[RegisterReading],
    *,
    traits: RegisterTraits,
    start_at: datetime,
    end_at: datetime | None = None,
    edge_gap_seconds: float = EDGE_GAP_SECONDS,
) -> tuple[Figure, tuple[Step, ...]]:
    """Return what a register counted in the hour from `start_at` on, and how it was found.

    With `end_at` it is the time up to there; readings are then needed as for an hour of its length.
    """
    intervals = register_intervals(readings, traits=traits)
    return hour_of_intervals(
        intervals,
        traits=traits,
        start_at=start_at,
        end_at=end_at,
        edge_gap_seconds=edge_gap_seconds,
    )


def hour_of_intervals(
    intervals: Sequence[Interval],
    *,
    traits: RegisterTraits,
    start_at: datetime,
    end_at: datetime | None = None,
    edge_gap_seconds: float = EDGE_GAP_SECONDS,
) -> tuple[Figure, tuple[Step, ...]]:
    """Return the same as `register_hour`, from intervals that may serve many hours."""
    steps: list[Step] = []
    end_at = end_at or start_at + HOUR
    start = find_edge(intervals, start_at, gap_seconds=edge_gap_seconds, steps=steps)
    end = find_edge(intervals, end_at, gap_seconds=edge_gap_seconds, steps=steps)
    reason = start.reason or end.reason
    if reason is None:
        inside = intervals[start.index + (not start.on_reading) : end.index]
        _describe(inside, traits=traits, steps=steps)
        reason = _trouble(inside)
    if reason is not None:
        coverage = _coverage(
            intervals, start_at=start_at, end_at=end_at, gap_seconds=edge_gap_seconds
        )
        return _unknown(reason, coverage=coverage, steps=steps)
    value = _total(intervals, start=start, end=end, inside=inside, steps=steps)
    return register_figure(value, measured=start.on_reading and end.on_reading), tuple(steps)


def register_figure(value: int, *, measured: bool) -> Figure:
    """Return the figure of a register that is known at both edges; `measured`: by a reading."""
    return Figure(
        value=value,
        coverage_ratio=1.0,
        quality=Quality.MEASURED if measured else Quality.INTERPOLATED,
        method=(
            "difference of register readings at both edges"
            if measured
            else "difference of register readings, with a line between readings at an edge"
        ),
    )


def _total(
    intervals: Sequence[Interval],
    *,
    start: Edge,
    end: Edge,
    inside: Sequence[Interval],
    steps: list[Step],
) -> int:
    """Return the amounts inside, the rest of the first interval and the part of the last."""
    between = sum(interval.amount or 0 for interval in inside)
    rest = 0
    if not start.on_reading:
        first = intervals[start.index].amount or 0
        # Where both edges lie in one interval, only what is between them counts.
        rest = (0 if start.index == end.index else first) - start.part
    value = rest + between + end.part
    steps.append(
        Step(
            text=f"Together: {rest} + {between} + {end.part} = {value}.",
            fields={"first": rest, "between": between, "last": end.part, "value": value},
        )
    )
    return value


def _trouble(inside: Sequence[Interval]) -> str | None:
    """Return why the amounts inside an hour do not make a figure; None where they do."""
    return next((describe_trouble(each) for each in inside if not is_smooth(each)), None)


def _coverage(
    intervals: Sequence[Interval], *, start_at: datetime, end_at: datetime, gap_seconds: float
) -> float:
    """Return the share of a time in which the register's course is known."""
    covered = timedelta()
    for interval in intervals:
        if interval.end_at <= start_at or interval.start_at >= end_at or not is_smooth(interval):
            continue
        inside = interval.start_at >= start_at and interval.end_at <= end_at
        if inside or (interval.end_at - interval.start_at).total_seconds() <= gap_seconds:
            covered += min(end_at, interval.end_at) - max(start_at, interval.start_at)
    return covered / (end_at - start_at)


def _describe(inside: Sequence[Interval], *, traits: RegisterTraits, steps: list[Step]) -> None:
    """Add a step for each run of increases, and for each interval that is anything else."""
    run: list[Interval] = []
    for interval in inside:
        if interval.kind is IntervalKind.INCREASE and interval.reason is None:
            run.append(interval)
            continue
        _end_run(run, steps)
        run = []
        steps.append(_interval_step(interval, traits=traits))
    _end_run(run, steps)


def _end_run(run: Sequence[Interval], steps: list[Step]) -> None:
    if not run:
        return
    first, last = run[0], run[-1]
    amount = sum(interval.amount or 0 for interval in run)
    start, end = time_text(first.start_at), time_text(last.end_at)
    steps.append(
        Step(
            text=(
                f"From {start} ({first.start_value}) to {end} ({last.end_value}), "
                f"{len(run)} increases: {last.end_value} - {first.start_value} = {amount}."
            ),
            fields={
                "kind": IntervalKind.INCREASE.value,
                "before": [start, first.start_value],
                "after": [end, last.end_value],
                "intervals": len(run),
                "amount": amount,
            },
        )
    )


def _interval_step(interval: Interval, *, traits: RegisterTraits) -> Step:
    start, end = time_text(interval.start_at), time_text(interval.end_at)
    text = f"From {start} ({interval.start_value}) to {end} ({interval.end_value})"
    if interval.kind is IntervalKind.WRAP:
        sums = f"({traits.modulus} - {interval.start_value}) + {interval.end_value}"
        text = f"{text}, a wrap: {sums} = {interval.amount}."
    elif interval.kind is IntervalKind.RESET and interval.amount is not None:
        text = f"{text}, a reset to 0: {interval.amount} since."
    elif interval.amount is not None:
        text = f"{text}: {interval.amount}; {interval.reason}."
    else:
        text = f"{text}, {interval.kind.value}: not known; {interval.reason}."
    return Step(
        text=text,
        fields={
            "kind": interval.kind.value,
            "before": [start, interval.start_value],
            "after": [end, interval.end_value],
            "amount": interval.amount,
            "reason": interval.reason,
        },
    )


def _unknown(reason: str, *, coverage: float, steps: list[Step]) -> tuple[Figure, tuple[Step, ...]]:
    steps.append(Step(text=f"Not known: {reason}.", fields={"coverage_ratio": coverage}))
    figure = Figure(
        value=None,
        coverage_ratio=coverage,
        quality=Quality.PARTIAL if coverage > 0 else Quality.UNKNOWN,
        method="difference of register readings",
        reason=reason,
    )
    return figure, tuple(steps)
