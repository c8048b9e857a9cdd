"""What a register counted between two readings."""

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.metering.deltas import Interval, register_intervals
from agent.metering.pairs import IntervalKind
from agent.metering.readings import RegisterReading
from agent.model.metering import RegisterTraits

START = datetime(2026, 3, 29, tzinfo=timezone.utc)
RATED = RegisterTraits(modulus=1_000_000, rate_maximum=100)
UNRATED = RegisterTraits(modulus=1_000_000)
BARE = RegisterTraits()


def reading(second: float, value: int, marker: str | None = None) -> RegisterReading:
    return RegisterReading(taken_at=START + timedelta(seconds=second), value=value, marker=marker)


def intervals(
    *readings: RegisterReading, traits: RegisterTraits = BARE
) -> list[tuple[IntervalKind, int | None]]:
    return [(each.kind, each.amount) for each in register_intervals(readings, traits=traits)]


def test_what_rises_is_an_increase() -> None:
    assert intervals(reading(0, 5), reading(60, 12)) == [(IntervalKind.INCREASE, 7)]


@pytest.mark.parametrize("readings", [(), (reading(0, 5),)])
def test_fewer_than_two_readings_tell_nothing(readings: Sequence[RegisterReading]) -> None:
    assert register_intervals(readings, traits=RATED) == ()


def test_a_fall_that_the_rate_allows_is_a_wrap() -> None:
    fallen = intervals(reading(0, 999_000), reading(60, 500), traits=RATED)

    assert fallen == [(IntervalKind.WRAP, 1500)]


def test_a_fall_that_the_rate_does_not_allow_is_unknown() -> None:
    # 60 s, and 60 s for a late renewal, at 100 × 1.2: 14 401 with the resolution.
    exact = intervals(reading(0, 990_000), reading(60, 4401), traits=RATED)
    above = intervals(reading(0, 990_000), reading(60, 4402), traits=RATED)

    assert exact == [(IntervalKind.WRAP, 14_401)]
    assert above == [(IntervalKind.UNKNOWN, None)]


def test_without_a_rate_a_step_of_a_tenth_of_the_modulus_is_a_wrap() -> None:
    tenth = intervals(reading(0, 950_000), reading(60, 50_000), traits=UNRATED)
    more = intervals(reading(0, 950_000), reading(60, 50_001), traits=UNRATED)

    assert tenth == [(IntervalKind.WRAP, 100_000)]
    assert more == [(IntervalKind.UNKNOWN, None)]


def test_without_a_modulus_no_fall_is_a_wrap() -> None:
    traits = RegisterTraits(rate_maximum=100)

    assert intervals(reading(0, 9), reading(60, 1), traits=traits) == [(IntervalKind.UNKNOWN, None)]


def test_a_rise_beyond_the_rate_is_a_spike_and_what_follows_counts_from_there() -> None:
    traits = RegisterTraits(rate_maximum=100)
    jumped = [reading(0, 1000), reading(60, 2000), reading(120, 900_000), reading(180, 901_000)]

    assert intervals(*jumped, traits=traits) == [
        (IntervalKind.INCREASE, 1000),
        (IntervalKind.SPIKE, None),
        (IntervalKind.INCREASE, 1000),
    ]


def test_a_gap_that_may_hold_one_more_wrap_is_unknown() -> None:
    known = intervals(reading(0, 100), reading(8000, 200), traits=RATED)
    unknown = intervals(reading(0, 100), reading(8400, 200), traits=RATED)
    fallen = intervals(reading(0, 200), reading(16_700, 100), traits=RATED)

    assert known == [(IntervalKind.INCREASE, 100)]
    assert unknown == [(IntervalKind.UNKNOWN, None)]
    assert fallen == [(IntervalKind.UNKNOWN, None)]


@pytest.mark.parametrize("garbage", [0, 7, 999_999, 500_000])
def test_one_wrong_reading_of_a_rated_meter_is_left_out(garbage: int) -> None:
    readings = [reading(60 * index, 200_000 + 1000 * index) for index in range(5)]
    readings[2] = reading(120, garbage)

    made = register_intervals(readings, traits=RATED)

    assert [each.amount for each in made] == [1000, 2000, 1000]
    assert f"the reading {garbage} of 2026-03-29T00:02:00Z" in (made[1].reason or "")


@pytest.mark.parametrize("garbage", [0, 7, 999_999, 500_000])
@pytest.mark.parametrize("length", [1, 2, 3])
@pytest.mark.parametrize("traits", [BARE, UNRATED])
def test_wrong_readings_of_an_unrated_meter_spoil_both_their_sides(
    garbage: int, length: int, traits: RegisterTraits
) -> None:
    readings = [reading(60 * index, 200_000 + 1000 * index) for index in range(8)]
    for index in range(2, 2 + length):
        readings[index] = reading(60 * index, garbage)

    amounts = [amount for _, amount in intervals(*readings, traits=traits)]

    assert amounts == [1000, *[None] * (length + 1), *[1000] * (5 - length)]


@pytest.mark.parametrize("garbage", [0, 20_000])
def test_a_wrong_reading_near_the_top_of_the_scale_is_no_wrap(garbage: int) -> None:
    readings = [reading(60 * index, 980_000 + 1000 * index) for index in range(5)]
    readings[2] = reading(120, garbage)

    amounts = [amount for _, amount in intervals(*readings, traits=UNRATED)]

    assert amounts == [1000, None, None, 1000]


def test_a_fall_that_stays_spoils_only_itself() -> None:
    readings = [reading(60 * index, 500_000 + 1000 * index) for index in range(4)]
    readings += [reading(60 * index, 1000 * index) for index in range(4, 8)]

    amounts = [amount for _, amount in intervals(*readings, traits=RATED)]

    assert amounts == [1000, 1000, 1000, None, 1000, 1000, 1000]


def test_a_changed_marker_is_never_bridged() -> None:
    swapped = intervals(reading(0, 5, "a"), reading(60, 7, "b"))
    fallen = intervals(reading(0, 5, "a"), reading(60, 3, "b"))

    assert swapped == [(IntervalKind.SWAP, None)]
    assert fallen == [(IntervalKind.RESET, None)]


def test_a_reset_to_0_counts_from_there() -> None:
    traits = RegisterTraits(rate_maximum=100, starts_at_zero=True)
    reset = intervals(reading(0, 500_000, "a"), reading(60, 3000, "b"), traits=traits)
    elsewhere = intervals(reading(0, 5, "a"), reading(60, 300_000, "b"), traits=traits)

    assert reset == [(IntervalKind.RESET, 3000)]
    assert elsewhere == [(IntervalKind.SWAP, None)]


def test_a_marker_that_was_not_told_changes_nothing() -> None:
    told = intervals(reading(0, 1, "a"), reading(60, 2), reading(120, 3, "a"), reading(180, 4))

    assert told == [(IntervalKind.INCREASE, 1)] * 3


def test_nothing_is_known_where_the_marker_changed_among_readings_that_tell_none() -> None:
    traits = RegisterTraits(rate_maximum=100, starts_at_zero=True)
    told = [reading(0, 1, "a"), reading(60, 2), reading(120, 3), reading(180, 4, "b")]

    assert intervals(*told, traits=traits) == [(IntervalKind.SWAP, None)] * 3


def test_two_values_of_one_moment_spoil_both_sides() -> None:
    readings = [reading(0, 1), reading(60, 2), reading(60, 3), reading(120, 4), reading(180, 5)]

    assert intervals(*readings) == [
        (IntervalKind.UNKNOWN, None),
        (IntervalKind.UNKNOWN, None),
        (IntervalKind.INCREASE, 1),
    ]


def test_two_markers_of_one_moment_spoil_both_sides() -> None:
    readings = [reading(0, 1, "a"), reading(60, 2, "a"), reading(60, 2, "b"), reading(120, 4, "b")]

    assert [amount for _, amount in intervals(*readings)] == [None, None]


@pytest.mark.parametrize("value", [-1, 1_000_000, 2**63])
def test_what_the_register_cannot_show_is_left_out(value: int) -> None:
    readings = [reading(0, 10), reading(60, value), reading(120, 30)]

    assert intervals(*readings, traits=RATED) == [(IntervalKind.INCREASE, 20)]


def test_readings_of_a_clock_that_was_set_back_are_unknown_where_they_mix() -> None:
    # At the tenth minute the clock was set back by six, and right again three minutes later.
    right = [reading(60 * minute, 1000 * minute) for minute in (*range(10), *range(13, 20))]
    wrong = [reading(60 * (minute - 6) + 20, 1000 * minute) for minute in (10, 11, 12)]

    for traits in (BARE, RATED):
        made = register_intervals([*right, *wrong], traits=traits)
        known = [each for each in made if each.amount is not None]
        assert all(
            each.amount == 1000 * (each.end_at - each.start_at).total_seconds() / 60
            for each in known
        )
        assert len(known) >= 10


def test_of_two_series_that_a_clock_has_mixed_neither_is_believed() -> None:
    fast = [reading(60 * minute, 500_000 + 1000 * minute) for minute in range(11)]
    right = [reading(60 * minute + 30, 300_000 + 1000 * minute) for minute in range(5, 16)]

    made = register_intervals([*fast, *right], traits=RATED)

    first, last = START + timedelta(seconds=300), START + timedelta(seconds=630)
    mixed = [each for each in made if first <= each.start_at < last]
    assert len(mixed) == 11
    assert all(each.amount is None for each in mixed)
    assert sum(each.amount or 0 for each in made) == 5000 + 5000


TRUTHS = st.lists(st.integers(0, 6000), min_size=1, max_size=60)


@given(steps=TRUTHS, begin=st.integers(0, 999_999))
def test_a_wrapping_register_counts_what_one_without_end_would(
    steps: list[int], begin: int
) -> None:
    totals = [begin]
    for step in steps:
        totals.append(totals[-1] + step)
    readings = [reading(60 * at, total % 1_000_000) for at, total in enumerate(totals)]

    made = register_intervals(readings, traits=RATED)

    assert [each.amount for each in made] == steps
    unrated = register_intervals(readings, traits=UNRATED)
    assert [each.amount for each in unrated] == steps


MARKERS = st.sampled_from([None, "a", "b"])
READINGS = st.lists(
    st.builds(
        reading,
        st.integers(0, 200).map(lambda second: second * 30),
        st.one_of(st.integers(-10, 1_100_000), st.integers(0, 3000)),
        MARKERS,
    ),
    max_size=40,
)
TRAITS = st.builds(
    RegisterTraits,
    modulus=st.sampled_from([None, 1000, 1_000_000]),
    rate_maximum=st.sampled_from([None, 0.0, 5, 100, float("inf"), float("nan")]),
    resolution=st.sampled_from([None, 1, 100]),
    starts_at_zero=st.booleans(),
)


@given(readings=READINGS, traits=TRAITS, data=st.data())
def test_order_and_repetition_change_nothing(
    readings: list[RegisterReading], traits: RegisterTraits, data: st.DataObject
) -> None:
    again = data.draw(st.lists(st.sampled_from(readings), max_size=10)) if readings else []
    mixed = data.draw(st.permutations([*readings, *again]))

    assert register_intervals(mixed, traits=traits) == register_intervals(readings, traits=traits)


@given(readings=READINGS, traits=TRAITS)
def test_intervals_follow_each_other_and_tell_why_they_are_unknown(
    readings: list[RegisterReading], traits: RegisterTraits
) -> None:
    made = register_intervals(readings, traits=traits)

    assert all(first.end_at == second.start_at for first, second in pairwise(made))
    for each in made:
        assert each.start_at < each.end_at
        assert each.amount is None or each.amount >= 0
        assert each.amount is not None or each.reason
        assert each.kind is not IntervalKind.INCREASE or _rises(each)


def _rises(interval: Interval) -> bool:
    assert interval.start_value is not None
    assert interval.end_value is not None
    return interval.amount == interval.end_value - interval.start_value


def test_many_hostile_readings_are_judged_in_time_that_grows_with_their_number() -> None:
    looks = [0]

    class Counting(int):
        def __sub__(self, other: int) -> int:
            looks[0] += 1
            return int(self) - int(other)

    hostile = [reading(at, Counting(10_000 - at)) for at in range(3000)]

    register_intervals(hostile, traits=BARE)

    assert looks[0] < 3000 * 500
