"""The hours of registers and power gauges."""

import json
import random
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from fractions import Fraction

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from agent.metering.deltas import Interval, register_intervals
from agent.metering.gauges import power_hour
from agent.metering.hours import HOUR, MARGIN, hour_of_intervals, register_hour
from agent.metering.readings import PowerReading, RegisterReading
from agent.model.metering import Figure, Quality, RegisterTraits

START = datetime(2026, 1, 31, 16, tzinfo=timezone.utc)
RATED = RegisterTraits(modulus=10_000_000, rate_maximum=1000)
BARE = RegisterTraits()


def reading(second: float, value: int, marker: str | None = None) -> RegisterReading:
    return RegisterReading(taken_at=START + timedelta(seconds=second), value=value, marker=marker)


def watts(second: float, value: float) -> PowerReading:
    return PowerReading(taken_at=START + timedelta(seconds=second), watts=value)


def hour(
    *readings: RegisterReading, traits: RegisterTraits = BARE, at: float = 0, gap: float = 900
) -> Figure:
    figure, steps = register_hour(
        readings, traits=traits, start_at=START + timedelta(seconds=at), edge_gap_seconds=gap
    )
    json.dumps([dict(step.fields) for step in steps], allow_nan=False)
    assert all(step.text for step in steps)
    assert (figure.value is None) == (figure.reason is not None)
    return figure


def test_readings_at_both_edges_are_enough() -> None:
    figure = hour(reading(0, 100), reading(3600, 350))

    assert (figure.value, figure.coverage_ratio, figure.quality) == (250, 1.0, Quality.MEASURED)


def test_an_edge_lies_on_a_line_between_readings() -> None:
    figure = hour(reading(-10, 100), reading(20, 131), reading(3590, 500), reading(3610, 507))

    # 31 × 10 ÷ 30 is 10.33, of which 10 belong to the hour before; 7 × 10 ÷ 20 is 3.5.
    assert figure.value == (31 - 10) + 369 + 3
    assert (figure.coverage_ratio, figure.quality) == (1.0, Quality.INTERPOLATED)


@pytest.mark.parametrize(("gap", "known"), [(900, True), (900.001, False)])
def test_a_line_over_an_edge_is_no_longer_than_allowed(gap: float, known: bool) -> None:
    begins = hour(reading(-300, 0), reading(gap - 300, 1000), reading(3600, 5000))
    ends = hour(reading(0, 0), reading(3000, 1000), reading(3000 + gap, 5000))

    assert [begins.value is not None, ends.value is not None] == [known, known]


def test_the_length_of_a_line_over_an_edge_can_be_set() -> None:
    readings = [reading(0, 0), reading(3500, 1000), reading(3700, 5000)]

    assert hour(*readings, gap=200).value == 3000
    assert hour(*readings, gap=199).value is None
    assert hour(reading(-1800, 0), reading(5400, 7201), gap=7200).value == 3600


@pytest.mark.parametrize(
    "readings",
    [
        (),
        (reading(0, 1),),
        (reading(1, 1), reading(3600, 2)),
        (reading(0, 1), reading(3599, 2)),
        (reading(-7200, 1), reading(-3600, 2)),
        (reading(7200, 1), reading(9000, 2)),
    ],
)
def test_without_a_reading_on_either_side_an_edge_is_unknown(
    readings: Sequence[RegisterReading],
) -> None:
    figure = hour(*readings)

    assert figure.value is None
    assert "there is no reading" in (figure.reason or "")


def test_an_hour_without_anything_is_unknown_and_one_with_a_part_is_partial() -> None:
    nothing = hour()
    half = hour(reading(0, 1), reading(1800, 2), reading(5400, 3))

    assert (nothing.quality, nothing.coverage_ratio) == (Quality.UNKNOWN, 0.0)
    assert (half.quality, half.coverage_ratio) == (Quality.PARTIAL, 0.5)


def test_a_wrap_inside_or_over_an_edge_is_counted() -> None:
    inside = [reading(0, 9_999_000), reading(60, 500), reading(3600, 1000)]
    edge = [reading(0, 9_990_000), reading(3570, 9_999_000), reading(3630, 1000)]

    assert hour(*inside, traits=RATED).value == 2000
    assert hour(*edge, traits=RATED).value == 10_000


@pytest.mark.parametrize("starts_at_zero", [False, True])
def test_an_hour_with_a_reset_in_it_is_unknown(starts_at_zero: bool) -> None:
    traits = RegisterTraits(rate_maximum=1000, starts_at_zero=starts_at_zero)
    reset = [reading(0, 500, "a"), reading(1800, 900, "a"), reading(1860, 10, "b")]
    figure = hour(*reset, reading(3600, 700, "b"), traits=traits)

    assert figure.value is None
    assert figure.coverage_ratio == pytest.approx(3540 / 3600)
    assert "2026-01-31T16:30:00Z to 2026-01-31T16:31:00Z" in (figure.reason or "")


@pytest.mark.parametrize("starts_at_zero", [False, True])
def test_no_line_is_drawn_through_a_reset(starts_at_zero: bool) -> None:
    traits = RegisterTraits(rate_maximum=1000, starts_at_zero=starts_at_zero)
    readings = [reading(0, 500, "a"), reading(3590, 900, "a"), reading(3610, 10, "b")]

    assert hour(*readings, traits=traits).value is None


def test_two_values_at_the_edge_make_both_hours_unknown() -> None:
    readings = [reading(0, 0), reading(3600, 50), reading(3600, 51), reading(7200, 90)]

    assert hour(*readings).value is None
    assert hour(*readings, at=3600).value is None


def test_an_hour_may_begin_anywhere_and_in_any_zone() -> None:
    readings = [reading(60 * minute, 7 * minute) for minute in range(200)]
    elsewhere = START.astimezone(timezone(timedelta(hours=5, minutes=30)))

    rolling, _ = register_hour(readings, traits=BARE, start_at=elsewhere + timedelta(seconds=1234))

    assert rolling.value == 420


def test_the_steps_are_enough_to_do_it_again_by_hand() -> None:
    readings = [
        *(reading(-30, 9_000_000), reading(30, 9_000_060), reading(90, 9_000_120)),
        *(reading(150, 5), reading(210, 9_000_240), reading(270, 9_000_300)),
        *(reading(1800, 9_999_990), reading(2000, 20), reading(3580, 100), reading(3620, 141)),
    ]
    _, steps = register_hour(readings, traits=RATED, start_at=START)

    assert [step.text for step in steps] == [
        "2026-01-31T16:00:00Z lies between 2026-01-31T15:59:30Z (9000000) and "
        "2026-01-31T16:00:30Z (9000060), increase of 60: 60 × 30 s ÷ 60 s = 30, rounded down.",
        "2026-01-31T17:00:00Z lies between 2026-01-31T16:59:40Z (100) and "
        "2026-01-31T17:00:20Z (141), increase of 41: 41 × 20 s ÷ 40 s = 20, rounded down.",
        "From 2026-01-31T16:00:30Z (9000060) to 2026-01-31T16:01:30Z (9000120), "
        "1 increases: 9000120 - 9000060 = 60.",
        "From 2026-01-31T16:01:30Z (9000120) to 2026-01-31T16:03:30Z (9000240): 120; "
        "the reading 5 of 2026-01-31T16:02:30Z fits neither side.",
        "From 2026-01-31T16:03:30Z (9000240) to 2026-01-31T16:30:00Z (9999990), "
        "2 increases: 9999990 - 9000240 = 999750.",
        "From 2026-01-31T16:30:00Z (9999990) to 2026-01-31T16:33:20Z (20), "
        "a wrap: (10000000 - 9999990) + 20 = 30.",
        "From 2026-01-31T16:33:20Z (20) to 2026-01-31T16:59:40Z (100), 1 increases: 100 - 20 = 80.",
        "Together: 30 + 1000040 + 20 = 1000090.",
    ]


@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**32),
    longest_seconds=st.integers(20, 900),
    begins=st.integers(0, 9_999_999),
)
def test_the_hours_of_a_span_add_up_to_what_the_register_counted(
    seed: int, longest_seconds: int, begins: int
) -> None:
    chance = random.Random(seed)
    milliseconds, value, readings = -1000, begins, []
    while milliseconds < 4 * 3_600_000:
        readings.append(reading(milliseconds / 1000, value % 10_000_000))
        gap = chance.randint(1, longest_seconds * 1000)
        milliseconds += gap
        value += chance.randint(0, gap)
    count = 3
    whole = register_intervals(readings, traits=RATED)
    hours = [hour(*readings, traits=RATED, at=3600 * index) for index in range(count)]
    values = [figure.value for figure in hours if figure.value is not None]

    assert len(values) == count
    counted = _counted(whole, START + count * HOUR) - _counted(whole, START)
    assert sum(values) == counted


def _counted(intervals: Sequence[Interval], at: datetime) -> int:
    """Return what was counted up to a moment, rounded down, reckoned another way."""
    total = Fraction(0)
    for each in intervals:
        assert each.amount is not None
        if each.start_at < at:
            share = _microseconds(min(at, each.end_at) - each.start_at)
            total += Fraction(each.amount * share) / _microseconds(each.end_at - each.start_at)
    return int(total)


def _microseconds(length: timedelta) -> int:
    return length // timedelta(microseconds=1)


@settings(max_examples=40)
@given(
    values=st.lists(st.integers(0, 50_000), min_size=62, max_size=62),
    offset=st.integers(-59, 0),
    extra=st.integers(1, 3590).filter(lambda second: second % 60),
    share=st.floats(0, 1),
)
def test_one_more_reading_inside_changes_nothing(
    values: list[int], offset: int, extra: int, share: float
) -> None:
    totals, readings = 0, []
    for index, value in enumerate(values):
        readings.append(reading(60 * index + offset, totals))
        totals += value
    at = extra + offset
    before = [each for each in readings if each.taken_at < START + timedelta(seconds=at)]
    after = [each for each in readings if each.taken_at > START + timedelta(seconds=at)]
    assume(len(before) >= 2 and len(after) >= 2)
    assume(before[-1].taken_at >= START and after[0].taken_at <= START + HOUR)
    low, high = before[-1].value, after[0].value
    added = reading(at, low + int((high - low) * share))

    assert hour(*readings, added).value == hour(*readings).value is not None


@settings(max_examples=40)
@given(
    values=st.lists(st.integers(0, 50_000), min_size=60, max_size=240),
    drops=st.sets(st.integers(0, 239), max_size=30),
    garbage=st.dictionaries(st.integers(0, 239), st.integers(0, 10_000_000), max_size=4),
    traits=st.sampled_from([RATED, RegisterTraits(modulus=10_000_000), BARE]),
)
def test_a_slice_of_the_readings_gives_what_all_of_them_give(
    values: list[int],
    drops: set[int],
    garbage: dict[int, int],
    traits: RegisterTraits,
) -> None:
    total, readings = 0, []
    for index, value in enumerate(values):
        if index not in drops:
            shown = garbage.get(index, total % 10_000_000)
            readings.append(reading(60 * index - 7200 - 30, shown))
        total += value
    inside = [each for each in readings if START - MARGIN <= each.taken_at <= START + HOUR + MARGIN]
    earlier = [each for each in readings if each.taken_at < START - MARGIN][-1:]
    later = [each for each in readings if each.taken_at > START + HOUR + MARGIN][:1]

    whole = hour(*readings, traits=traits)
    part = hour(*earlier, *inside, *later, traits=traits)

    assert part.value == whole.value


@settings(max_examples=40)
@given(
    values=st.lists(st.integers(0, 50_000), min_size=70, max_size=70),
    more=st.integers(0, 1000),
    where=st.integers(2, 58),
)
def test_more_use_is_a_greater_figure(values: list[int], more: int, where: int) -> None:
    def total_of(each: list[int]) -> int:
        readings, total = [], 0
        for index, value in enumerate(each):
            readings.append(reading(60 * index - 30, total))
            total += value
        figure = hour(*readings)
        assert figure.value is not None
        return figure.value

    greater = list(values)
    greater[where] += more

    assert total_of(greater) == total_of(values) + more


def test_intervals_made_once_serve_many_hours() -> None:
    readings = [reading(60 * minute, 7 * minute * minute) for minute in range(400)]
    intervals = register_intervals(readings, traits=BARE)

    for index in range(6):
        start_at = START + index * HOUR
        alone = register_hour(readings, traits=BARE, start_at=start_at)
        assert hour_of_intervals(intervals, traits=BARE, start_at=start_at) == alone


def test_power_that_stays_the_same_comes_to_itself() -> None:
    samples = [watts(60 * minute, 250.0) for minute in range(61)]
    figure, steps = power_hour(samples, start_at=START, gap_seconds=300)

    assert (figure.value, figure.coverage_ratio) == (900_000, 1.0)
    assert figure.quality is Quality.MEASURED
    assert steps[-1].fields["joules"] == 900_000


def test_power_is_joined_by_lines_and_cut_at_the_edges() -> None:
    figure, _ = power_hour(
        [watts(-1800, 0.0), watts(1800, 3600.0), watts(5400, 0.0)],
        start_at=START,
        gap_seconds=3600,
    )

    assert (figure.value, figure.quality) == (2700 * 3600, Quality.INTERPOLATED)


def test_a_gap_in_power_is_not_covered_and_not_filled() -> None:
    samples = [watts(60 * minute, 100.0) for minute in range(61) if not 10 < minute < 16]
    figure, steps = power_hour(samples, start_at=START, gap_seconds=300)

    assert figure.coverage_ratio == pytest.approx(0.9)
    assert figure.value == 324_000
    assert "no sample came" in steps[0].text
    short, _ = power_hour(samples, start_at=START, gap_seconds=300, threshold_ratio=0.91)
    assert (short.value, short.quality) == (None, Quality.PARTIAL)
    assert "90.0% of the hour" in (short.reason or "")
    bridged, _ = power_hour(samples, start_at=START, gap_seconds=360)
    assert (bridged.value, bridged.coverage_ratio) == (360_000, 1.0)


@pytest.mark.parametrize("samples", [(), (watts(0, 1.0),), (watts(-500, 1.0), watts(-400, 1.0))])
def test_power_without_samples_is_unknown_and_not_0(samples: Sequence[PowerReading]) -> None:
    figure, _ = power_hour(samples, start_at=START, gap_seconds=300, threshold_ratio=0.0)

    assert (figure.value, figure.quality) == (None, Quality.UNKNOWN)


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -1.0])
def test_power_that_cannot_be_is_left_out(wrong: float) -> None:
    samples = [watts(60 * minute, wrong if minute == 30 else 100.0) for minute in range(61)]

    assert power_hour(samples, start_at=START, gap_seconds=120)[0].value == 360_000
    assert power_hour(samples, start_at=START, gap_seconds=119)[0].coverage_ratio < 1


def test_power_beyond_what_is_possible_is_left_out() -> None:
    def with_peak(peak: float) -> Figure:
        samples = [watts(60 * minute, peak if minute == 30 else 100.0) for minute in range(61)]
        figure, _ = power_hour(samples, start_at=START, gap_seconds=120, rate_maximum=200)
        return figure

    assert with_peak(240.0).value == 360_000 + 140 * 60
    assert with_peak(240.1).value == 360_000


def test_two_values_of_power_at_one_moment_are_both_left_out() -> None:
    samples = [watts(60 * minute, 100.0) for minute in range(61)]
    twice = [*samples, watts(1800, 900.0)]

    assert power_hour(twice, start_at=START, gap_seconds=120)[0].value == 360_000
    assert power_hour(twice, start_at=START, gap_seconds=60)[0].coverage_ratio < 1
    again = [*samples, watts(1800, 100.0)]
    assert power_hour(again, start_at=START, gap_seconds=60)[0].coverage_ratio == 1


@settings(max_examples=40)
@given(
    levels=st.lists(st.floats(0, 1e6), min_size=130, max_size=130),
    seed=st.integers(0, 2**32),
)
def test_power_adds_up_over_hours_whatever_its_order(levels: list[float], seed: int) -> None:
    samples = [watts(60 * index - 30, level) for index, level in enumerate(levels)]
    mixed = random.Random(seed).sample(samples, len(samples))
    first, _ = power_hour(mixed, start_at=START, gap_seconds=60)
    second, _ = power_hour(mixed, start_at=START + HOUR, gap_seconds=60)
    assert first.value is not None
    assert second.value is not None
    # Reckoned another way: each sample weighs a minute, the outermost cut at the edges.
    minutes = [(levels[index] + levels[index + 1]) * 30 for index in range(120)]
    head = ((levels[0] + levels[1]) / 2 + levels[0]) / 2 * 30
    tail = (levels[120] + (levels[120] + levels[121]) / 2) / 2 * 30

    assert first.value + second.value == pytest.approx(sum(minutes) - head + tail, abs=2, rel=1e-9)
    assert power_hour(samples, start_at=START, gap_seconds=60)[0] == first
