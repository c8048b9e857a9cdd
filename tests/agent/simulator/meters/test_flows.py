"""Curves over the day, and what they come to."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.simulator.meters.flows import DAY_SECONDS, Flow, Point

HOUR = 3600

rates = st.integers(0, 10**9).map(Fraction)
days = st.dictionaries(st.integers(0, DAY_SECONDS - 1), rates, min_size=1, max_size=8)
moments = st.fractions(-3 * DAY_SECONDS, 3 * DAY_SECONDS, max_denominator=1000)


def flow(points: dict[int, Fraction]) -> Flow:
    return Flow([Point(second=second, rate=rate) for second, rate in points.items()])


def test_a_steady_flow_comes_to_rate_times_time():
    steady = flow({0: Fraction(36_000)})
    assert steady.amount(Fraction(HOUR)) == 36_000 * HOUR
    assert steady.rate(Fraction(5 * DAY_SECONDS + 7)) == 36_000


def test_a_line_between_two_points_is_a_trapezoid():
    rising = flow({0: Fraction(0), 10 * HOUR: Fraction(100), 14 * HOUR: Fraction(0)})
    assert rising.rate(Fraction(5 * HOUR)) == 50
    assert rising.amount(Fraction(10 * HOUR)) == 100 * 5 * HOUR
    assert rising.amount(Fraction(DAY_SECONDS)) == 100 * 7 * HOUR


def test_midnight_lies_on_the_line_from_the_last_point_to_the_first_of_the_next_day():
    night = flow({6 * HOUR: Fraction(60), 18 * HOUR: Fraction(120)})
    assert night.rate(Fraction(0)) == night.rate(Fraction(DAY_SECONDS)) == 90


@given(days, moments, moments)
def test_amounts_add_up(points, first, last):
    one = flow(points)
    middle = (first + last) / 2
    whole = one.amount(last) - one.amount(first)
    assert whole == (one.amount(last) - one.amount(middle)) + (
        one.amount(middle) - one.amount(first)
    )
    assert whole >= 0 or last < first


@given(days, moments)
def test_the_next_day_is_as_the_day_before(points, moment):
    one = flow(points)
    assert one.rate(moment) == one.rate(moment + DAY_SECONDS)
    day = one.amount(Fraction(DAY_SECONDS))
    assert one.amount(moment + DAY_SECONDS) - one.amount(moment) == day


@given(days, moments, st.fractions(0, 2 * DAY_SECONDS, max_denominator=10))
def test_no_moment_lies_outside_the_spread(points, first, length):
    one = flow(points)
    spread = one.spread(first, first + length)
    begun = one.rate(first)
    assert spread >= 0
    for share in range(5):
        assert abs(one.rate(first + length * share / 4) - begun) <= spread


@pytest.mark.parametrize("points", [[], [Point(second=5, rate=Fraction(1))] * 2])
def test_no_point_and_two_of_one_moment_are_refused(points):
    with pytest.raises(ValueError, match="points of different times"):
        Flow(points)
