"""What a platform is told of a month of which some hours are not known."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from agent.metering.figures import centre_hour
from agent.metering.hours import HOUR
from agent.metering.months import Across, month_span, month_totals
from agent.model.metering import Figure, Quality
from agent.protocols.tc609 import month_report
from agent.protocols.tc609.figures_file import Figures
from agent.protocols.tc609.month_report import Month, RenderedReport
from agent.protocols.tc609.report_map import DEFAULT_MAP

KWH = 3_600_000
START, END = month_span(2026, 1, zone=timezone(timedelta(hours=8)))
UNKNOWN = Figure(value=None, coverage_ratio=0.0, quality=Quality.UNKNOWN, reason="no readings")


def known(kwh: int) -> Figure:
    return Figure(value=kwh * KWH, coverage_ratio=1.0, quality=Quality.MEASURED)


def rendered(
    *, silent: range, across: Across | None = None, by_hand: float | None = None
) -> RenderedReport:
    """Return the report of a month in which the incomer was silent for some hours."""
    hours = [
        centre_hour(
            START + index * HOUR,
            version=1,
            closed_at=END,
            facility=UNKNOWN if index in silent else known(15),
            it=known(10),
            green_direct=known(1),
            green_purchased=None,
            green_certificate=None,
            water=None,
        )[0]
        for index in range(744)
    ]
    totals = month_totals(hours, start_at=START, end_at=END, across=across)
    months = {} if by_hand is None else {"2026-01": {"electricity_kwh": by_hand}}
    return month_report.render(
        Month(year=2026, month=1),
        totals=totals,
        figures=Figures(months=months),
        report_map=DEFAULT_MAP,
        centre_id=7,
        centre_name="x",
    )


def told(report: RenderedReport) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(report.body)["computeElectricitySynergy"]
    return found


def reason(report: RenderedReport, figure: str) -> str:
    return next(each.reason for each in report.missing if each.figure == figure)


def test_a_month_that_is_known_whole_is_told() -> None:
    assert told(rendered(silent=range(0))) == {
        "electricityConsume": 11160,
        "itElectricityConsume": 7440,
        "greenElectricityConsume": 744,
        "pue": 1.5,
    }


def test_of_a_month_that_lacks_three_hours_no_sum_is_told() -> None:
    report = rendered(silent=range(100, 103))

    assert told(report) == {"itElectricityConsume": 7440, "pue": 1.5}
    assert "741 of 744 hours are known" in reason(report, "electricity_kwh")
    assert "no readings" in reason(report, "electricity_kwh")
    assert "741 of 744" in reason(report, "green_electricity_kwh")


def test_a_month_whose_register_is_known_around_its_unknown_hours_is_told() -> None:
    def across(name: str, start_at: datetime, end_at: datetime) -> Figure:
        return known((15 if name == "facility" else 1) * ((end_at - start_at) // HOUR))

    report = rendered(silent=range(100, 103), across=across)

    assert told(report)["electricityConsume"] == 11160
    assert told(report)["greenElectricityConsume"] == 744


@pytest.mark.parametrize(("silent", "expected"), [(range(3), 11200.5), (range(0), 11160)])
def test_the_bill_is_told_where_the_meters_do_not_know_the_month(
    silent: range, expected: float
) -> None:
    report = rendered(silent=silent, by_hand=11200.5)

    assert told(report)["electricityConsume"] == expected
    assert report.by_hand == (("electricity_kwh",) if silent else ())
