"""What a register counted between each two readings, or why that is not known.

The rules, in this order, for two neighbours in time:

1. What no register can show (below 0, or not below the modulus) is left out as if never read.
2. Two different readings of one moment: both are unfit, and what touches that moment is unknown.
3. A changed marker is never bridged. Where the register is known to begin at 0 the new value is
   what it counted since (`RESET`), and what was used between the last reading and the reset is
   lost: no hour that holds a reset is known. Otherwise the amount is unknown (`RESET` where the
   value fell, `SWAP` where it rose).
4. With a greatest rate, the amount is the only one that the rate allows: the increase, or the wrap.
   More than it allows is a `SPIKE`; where one wrap more would fit as well, it is unknown.
5. Without a greatest rate an increase counts, and a fall is a wrap where the step over the modulus,
   (modulus - previous) + current, is at most a tenth of the modulus.
6. Any other fall is unknown, and the register is taken up again from its new value.

A reading that is wrong spoils both of its sides, and a pair of neighbours cannot tell which of the
two is wrong. So wherever a pair makes no sense, the readings of the hour before and after are tried
in the place of its first or second; what one of them shows up as wrong is unknown as well. A single
reading that a greatest rate refutes on both sides, amid readings that agree, is left out.

A clock that was set back shows as readings that run against each other, which rule 6 makes unknown.
A clock that was set forward shows as a gap. What was read meanwhile carries the wrong times, and
nothing in the readings could tell.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from agent.metering.outliers import judge_again, without_lone_outliers
from agent.metering.pairs import IntervalKind, Pair, PairRule, Point
from agent.metering.readings import RegisterReading
from agent.model.metering import RegisterTraits

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """Is what a register counted between two readings that follow each other.

    `amount` is in joules or millilitres, None where it is not known, with `reason`. After a reset
    it is what was counted since, and less than was used. `start_value` and `end_value` are what
    the register showed, None where two readings of that moment differ. A known amount may carry a
    `reason` too: what was left out.
    """

    start_at: datetime
    end_at: datetime
    start_value: int | None
    end_value: int | None
    amount: int | None
    kind: IntervalKind
    reason: str | None = None


def register_intervals(
    readings: Sequence[RegisterReading], *, traits: RegisterTraits
) -> tuple[Interval, ...]:
    """Return what was counted between the readings, in order of time and without gaps.

    The readings may come in any order and several times.
    """
    rule = PairRule(traits)
    points = _points(readings, rule=rule)
    pairs = _judge(points, rule=rule)
    if any(pair.doubtful or pair.weak for pair in pairs):
        believed = without_lone_outliers(points, rule=rule)
        if len(believed) < len(points):
            points = believed
            pairs = _judge(points, rule=rule)
        judge_again(points, pairs, rule=rule)
    return tuple(
        Interval(
            start_at=first.taken_at,
            end_at=second.taken_at,
            start_value=first.value,
            end_value=second.value,
            amount=pair.amount,
            kind=pair.kind,
            reason=pair.reason or second.left_out,
        )
        for first, second, pair in zip(points, points[1:], pairs, strict=False)
    )


def _judge(points: Sequence[Point], *, rule: PairRule) -> list[Pair]:
    pairs: list[Pair] = []
    for first, second in itertools.pairwise(points):
        if first.segment == second.segment:
            pairs.append(rule.judge(first, second))
        else:
            told = first.marker is not None and second.marker is not None
            pairs.append(rule.judge_changed(first, second, adjacent=told))
    return pairs


def _points(readings: Sequence[RegisterReading], *, rule: PairRule) -> list[Point]:
    """Return one point for each moment, in order of time, with its segment."""
    points: list[Point] = []
    last: RegisterReading | None = None
    for reading in sorted(readings, key=_taken_at):
        if not rule.shows(reading.value):
            continue
        if last is None or reading.taken_at != last.taken_at:
            points.append(
                Point(
                    taken_at=reading.taken_at,
                    microseconds=(reading.taken_at - _EPOCH) // _MICROSECOND,
                    value=reading.value,
                    marker=reading.marker,
                )
            )
            last = reading
        else:
            _merge(points[-1], reading)
    _number_segments(points)
    return points


def _taken_at(reading: RegisterReading) -> datetime:
    return reading.taken_at


def _merge(point: Point, reading: RegisterReading) -> None:
    """Take one more reading of the same moment into its point."""
    if point.value is not None and point.value != reading.value:
        point.value = None
    if point.torn or reading.marker is None or reading.marker == point.marker:
        return
    if point.marker is None:
        point.marker = reading.marker
    else:
        point.value, point.marker, point.torn = None, None, True


def _number_segments(points: Sequence[Point]) -> None:
    """Give each point its segment; those that tell no marker between two that differ stand alone.

    A point that tells no marker beside ones that agree is of their segment.
    """
    segment = 0
    last_told = -1
    for index, point in enumerate(points):
        if point.marker is None:
            point.segment = segment
            continue
        if last_told >= 0 and points[last_told].marker != point.marker:
            for between in points[last_told + 1 : index]:
                segment += 1
                between.segment = segment
            segment += 1
        point.segment = segment
        last_told = index
