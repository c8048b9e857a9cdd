"""Readings that others show up as wrong.

A pair that makes no sense does not say which of its two readings is to blame. The readings around
it do: where an earlier one fits the second, the first may be the wrong one, and where a later one
fits the first, the second.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from agent.metering.explain import time_text
from agent.metering.pairs import WRAP_PARTS, IntervalKind, Pair, PairRule, Point

# How far a wrong reading is looked for. The next neighbour counts however far away it is.
REACH_SECONDS = 3600
# So that readings made to be hostile cost no more than this many looks each.
_MOST_READINGS = 240

_MICROSECONDS = 1_000_000


def without_lone_outliers(points: list[Point], *, rule: PairRule) -> list[Point]:
    """Return the points without single ones that a greatest rate refutes on both sides.

    Only where the two points before and the two after agree, so that two series of readings that
    were mixed by a wrong clock lose nothing here.
    """
    if rule.rate is None or len(points) < 5:
        return points
    fits = [rule.fits(first, second) for first, second in itertools.pairwise(points)]
    kept: list[Point] = []
    for index, point in enumerate(points):
        lone = (
            2 <= index < len(points) - 2
            and not fits[index - 1]
            and not fits[index]
            and fits[index - 2]
            and fits[index + 1]
            and point.value is not None
            and point.segment == points[index - 1].segment == points[index + 1].segment
            and rule.fits(points[index - 1], points[index + 1])
            and rule.judge(points[index - 1], points[index + 1]).amount is not None
        )
        if lone:
            note = f"the reading {point.value} of {time_text(point.taken_at)} fits neither side"
            points[index + 1].left_out = note
        else:
            kept.append(point)
    return kept


def judge_again(points: Sequence[Point], pairs: list[Pair], *, rule: PairRule) -> None:
    """Make unknown, in place, what lies between readings of which one is wrong."""
    suspects: set[int] = set()
    for index, pair in enumerate(pairs):
        if pair.doubtful or pair.weak:
            suspects.update(_before(points, index, weak=pair.weak, rule=rule))
            suspects.update(_after(points, index, weak=pair.weak, rule=rule))
    for index in suspects:
        pair = pairs[index]
        if pair.amount is not None:
            pair.amount = None
            pair.kind = IntervalKind.SPIKE
            pair.reason = "a reading at one of its ends is refuted by others"


def _before(points: Sequence[Point], index: int, *, weak: bool, rule: PairRule) -> range:
    """Return the pairs from an earlier reading that fits the second one up to this pair."""
    second = points[index + 1]
    for other in range(index - 1, max(-1, index - 1 - _MOST_READINGS), -1):
        if points[other].segment != second.segment:
            break
        if other != index - 1 and _apart(points[other], second) > REACH_SECONDS * _MICROSECONDS:
            break
        if rule.fits(points[other], second):
            reach = range(other, index + 1)
            return reach if not weak or _leaps(points, reach, rule=rule) else range(0)
    return range(0)


def _after(points: Sequence[Point], index: int, *, weak: bool, rule: PairRule) -> range:
    """Return the pairs from this one up to a later reading that fits the first one."""
    first = points[index]
    for other in range(index + 2, min(len(points), index + 2 + _MOST_READINGS)):
        if points[other].segment != first.segment:
            break
        if other != index + 2 and _apart(first, points[other]) > REACH_SECONDS * _MICROSECONDS:
            break
        if rule.fits(first, points[other]):
            reach = range(index, other)
            return reach if not weak or _leaps(points, reach, rule=rule) else range(0)
    return range(0)


def _leaps(points: Sequence[Point], reach: range, *, rule: PairRule) -> bool:
    """Tell whether a rise is greater than what would be believed of a wrap.

    A register that went round in an hour, with such a leap in it, was rather read wrongly.
    """
    if rule.modulus is None:
        return False
    for index in reach:
        low, high = points[index].value, points[index + 1].value
        if low is not None and high is not None and (high - low) * WRAP_PARTS > rule.modulus:
            return True
    return False


def _apart(first: Point, second: Point) -> int:
    return second.microseconds - first.microseconds
