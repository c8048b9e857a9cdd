"""The sums of a month."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.metering.figures import centre_hour
from agent.metering.hours import HOUR
from agent.metering.months import Across, MonthTotals, month_span, month_totals
from agent.model.metering import CentreHour, Figure, Quality

CHINA = timezone(timedelta(hours=8))
START, END = month_span(2026, 2, zone=CHINA)
UNKNOWN = Figure(value=None, coverage_ratio=0, quality=Quality.UNKNOWN, reason="a gap")


def known(value: int | None, *, coverage: float = 1.0) -> Figure:
    if value is None:
        return UNKNOWN
    return Figure(value=value, coverage_ratio=coverage, quality=Quality.MEASURED)


def hour(
    index: int, facility: Figure, it: Figure, *, water: Figure = UNKNOWN, version: int = 1
) -> CentreHour:
    closed, _ = centre_hour(
        START + timedelta(hours=index),
        version=version,
        closed_at=END,
        facility=facility,
        it=it,
        green_direct=facility,
        green_purchased=None,
        green_certificate=None,
        water=water,
    )
    return closed


def totals(
    hours: list[CentreHour], *, across: Across | None = None, threshold: float = 0.9
) -> MonthTotals:
    return month_totals(hours, start_at=START, end_at=END, across=across, threshold_ratio=threshold)


def test_a_month_begins_at_midnight_of_its_zone() -> None:
    assert (START.isoformat(), END.isoformat()) == (
        "2026-01-31T16:00:00+00:00",
        "2026-02-28T16:00:00+00:00",
    )
    assert month_span(2026, 12, zone=timezone.utc)[1] == datetime(2027, 1, 1, tzinfo=timezone.utc)


def test_a_whole_month_is_the_sum_of_its_hours() -> None:
    month = totals([hour(index, known(30), known(20), water=known(7)) for index in range(672)])

    assert month.hours == 672
    assert (month.facility.value, month.it.value) == (672 * 30, 672 * 20)
    assert (month.green.value, month.water.value) == (672 * 30, 672 * 7)
    assert (month.facility.coverage_ratio, month.facility.quality) == (1.0, Quality.MEASURED)
    assert (month.pue, month.pue_coverage_ratio) == (1.5, 1.0)
    assert month.wue_litres_per_kwh == pytest.approx(7 * 3600 / 20)
    assert month.unknown == {}


def test_one_hour_that_is_missing_leaves_the_month_unknown_and_says_what_is_known() -> None:
    kwh = 3_600_000
    hours = [
        hour(index, known(None if index < 3 else 30 * kwh), known(20 * kwh)) for index in range(672)
    ]
    month = totals(hours)

    assert (month.facility.value, month.facility.quality) == (None, Quality.PARTIAL)
    assert month.facility.coverage_ratio == pytest.approx(669 / 672)
    assert month.unknown["facility"] == (
        "669 of 672 hours are known, which come to 20070.0 kWh; "
        "from 2026-01-31T16:00:00Z to 2026-01-31T19:00:00Z: a gap"
    )
    assert month.it.value == 672 * 20 * kwh
    # A ratio is no sum: it is that of the hours in which both are known.
    assert month.pue == 1.5
    assert month.pue_coverage_ratio == pytest.approx(669 / 672)


def test_hours_that_registers_know_together_make_the_month_whole() -> None:
    asked: list[tuple[str, float, float]] = []

    def across(name: str, start_at: datetime, end_at: datetime) -> Figure:
        asked.append((name, (start_at - START) / HOUR, (end_at - START) / HOUR))
        return known(1000) if name == "facility" else UNKNOWN

    hours = [
        hour(index, known(None if 5 <= index < 8 else 30), known(20), water=known(1))
        for index in range(672)
        if index != 671
    ]
    month = totals(hours, across=across)

    assert ("facility", 5, 8) in asked
    assert ("facility", 671, 672) in asked
    assert month.facility.value == 668 * 30 + 2000
    assert (month.facility.coverage_ratio, month.facility.quality) == (1.0, Quality.INTERPOLATED)
    assert "sum of 668 known hours of 672, and of 4" in month.facility.method
    assert month.it.value is None
    assert "671 of 672 hours are known" in month.unknown["it"]


def test_the_ratio_of_a_whole_month_is_that_of_its_sums() -> None:
    def across(name: str, start_at: datetime, end_at: datetime) -> Figure:
        return known(5000 if name == "facility" else 1000)

    hours = [hour(index, known(30), known(20)) for index in range(670)]
    month = totals(hours, across=across)

    assert month.pue == (670 * 30 + 5000) / (670 * 20 + 1000)
    assert month.pue_coverage_ratio == 1.0


def test_a_ratio_of_too_few_hours_is_none() -> None:
    month = totals([hour(index, known(30), known(20)) for index in range(600)])

    assert (month.pue, month.unknown["pue"]) == (None, "it is known in 600 of 672 hours")
    lower = totals([hour(index, known(30), known(20)) for index in range(600)], threshold=0.5)
    assert (lower.facility.value, lower.pue) == (None, 1.5)


def test_a_month_without_hours_is_unknown_whatever_the_threshold() -> None:
    month = totals([], threshold=0.0)

    assert (month.facility.value, month.facility.quality) == (None, Quality.UNKNOWN)
    assert (month.pue, month.wue_litres_per_kwh) == (None, None)
    assert set(month.unknown) == {"facility", "it", "green", "water", "pue", "wue"}


def test_hours_of_other_months_and_older_versions_do_not_count() -> None:
    hours = [hour(index, known(1), known(1)) for index in range(-3, 675)]
    late = hour(5, known(11), known(1), version=2)

    assert totals([late, *hours]).facility.value == 672 + 10
    assert totals([*hours, late]).facility.value == 672 + 10


@pytest.mark.parametrize(("coverage", "value"), [(0.995, 672), (0.95, None)])
def test_hours_that_are_covered_in_part_cover_the_month_in_part(
    coverage: float, value: int | None
) -> None:
    hours = [hour(index, known(1, coverage=coverage), known(1)) for index in range(672)]
    month = totals(hours)

    assert month.facility.coverage_ratio == pytest.approx(coverage)
    assert month.facility.value == value
    assert ("facility" in month.unknown) == (value is None)


def test_less_than_an_hour_is_no_month() -> None:
    with pytest.raises(ValueError):
        month_totals([], start_at=START, end_at=START + timedelta(minutes=59))


@given(st.lists(st.one_of(st.none(), st.integers(0, 10**9)), max_size=40), st.booleans())
def test_a_month_is_the_sum_of_all_of_its_hours_or_unknown(
    values: list[int | None], is_full: bool
) -> None:
    values = [0] * (672 - len(values)) + values if is_full else values
    hours = [hour(index, known(value), known(1)) for index, value in enumerate(values)]
    month = totals(hours, threshold=0.0)
    sums = [value for value in values if value is not None]

    assert month.facility.value == (sum(sums) if len(sums) == 672 else None)
    assert month.facility.coverage_ratio == pytest.approx(len(sums) / 672)
