"""What the demonstration of a centre says of hours, right ones and wrong ones."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta, timezone

import pytest

from agent.app.demo import centre_text as demo_centre_text
from agent.app.demo.centre_check import Verdict, judge, judge_month
from agent.metering import figures
from agent.metering.months import MonthTotals
from agent.model.metering import Figure, Quality
from agent.simulator.meters import script_file

CHINA = timezone(timedelta(hours=8))
START = datetime(2026, 3, 1, tzinfo=CHINA)
KWH = 3_600_000
STEP = KWH // 1000
REASON = "from 2026-02-28T16:20:00Z to 2026-02-28T16:25:00Z: it began anew"


def centre(*events):
    flat = {"unit": "kw", "day": {"00:00": "36"}}
    return script_file.parse(
        {
            "start": START.isoformat(),
            "flows": {
                "hall": flat,
                "water": {"unit": "litres_per_hour", "day": {"00:00": "90"}},
            },
            "meters": [
                {
                    "name": "in",
                    "layout": "sunspec",
                    "role": "facility_total",
                    "measures": ["hall"],
                    "events": list(events),
                },
                {"name": "it", "layout": "raritan-px2", "role": "it", "measures": ["hall"]},
                {"name": "w", "layout": "water-counter", "role": "water", "measures": ["water"]},
            ],
        }
    )


def known(value, *, quality=Quality.MEASURED, coverage=1.0):
    return Figure(value=value, coverage_ratio=coverage, quality=quality)


def unknown(reason=REASON):
    return Figure(value=None, coverage_ratio=0.5, quality=Quality.PARTIAL, reason=reason)


def hour(*, facility=None, it=None, water=None, green=None, start_at=START):
    made, _ = figures.centre_hour(
        start_at.astimezone(timezone.utc),
        version=1,
        closed_at=START,
        facility=facility or known(36 * KWH),
        it=it or known(36 * KWH),
        green_direct=green,
        green_purchased=None,
        green_certificate=None,
        water=water or known(90_000),
    )
    return made


def verdict(made, *events):
    return judge(made, script=centre(*events)).verdict


def test_an_hour_that_is_true_agrees():
    assert verdict(hour()) is Verdict.AGREES


@pytest.mark.parametrize("off", [-STEP, STEP])
def test_a_figure_may_be_off_by_the_step_of_its_meter(off):
    assert verdict(hour(facility=known(36 * KWH + off))) is Verdict.AGREES


@pytest.mark.parametrize("off", [-STEP - 2, STEP + 2, 36 * KWH, -36 * KWH])
def test_a_figure_that_is_off_by_more_is_wrong(off):
    judged = judge(hour(facility=known(36 * KWH + off)), script=centre())
    assert judged.verdict is Verdict.DIFFERS
    assert judged.faults[0].startswith(f"facility is {36 * KWH + off}, true is {36 * KWH}.0")


def test_a_figure_that_the_script_took_away_may_be_unknown():
    made = hour(facility=unknown())
    assert verdict(made, {"reset": "00:20"}) is Verdict.UNKNOWN
    assert verdict(made, {"unplugged": "01:05", "until": "01:20"}) is Verdict.UNKNOWN


@pytest.mark.parametrize(
    "event", [None, {"wrap": "00:20"}, {"reset": "02:20"}, {"spike": "01:16", "until": "01:20"}]
)
def test_a_figure_that_is_unknown_without_a_cause_is_a_fault(event):
    events = [event] if event else []
    assert verdict(hour(facility=unknown()), *events) is Verdict.DIFFERS


def test_a_reset_allows_no_wrong_figure():
    assert verdict(hour(facility=known(30 * KWH)), {"reset": "00:20"}) is Verdict.DIFFERS


def test_a_figure_that_says_that_it_covers_a_part_may_lack_the_rest_only():
    most = known(33 * KWH, quality=Quality.INTERPOLATED, coverage=11 / 12)
    assert verdict(hour(facility=most)) is Verdict.AGREES
    less = known(32 * KWH, quality=Quality.INTERPOLATED, coverage=11 / 12)
    assert verdict(hour(facility=less)) is Verdict.DIFFERS


def test_a_figure_that_no_meter_measures_is_a_fault():
    judged = judge(hour(green=known(KWH)), script=centre())
    # No meter of the script has a green role.
    assert judged.faults == (f"green is {KWH}, and no meter measures it",)


@pytest.mark.parametrize("change", [{"pue": 1.5}, {"pue": None}, {"wue_litres_per_kwh": 0.1}])
def test_a_ratio_that_its_parts_do_not_give_is_a_fault(change):
    assert verdict(dataclasses.replace(hour(), **change)) is Verdict.DIFFERS


def test_a_month_may_be_off_by_the_steps_of_its_meters_and_no_more():
    first, end = START, START + timedelta(days=31)

    def totals(facility):
        return MonthTotals(
            start_at=first,
            end_at=end,
            hours=31 * 24,
            facility=facility,
            it=unknown(),
            green=unknown(),
            water=known(31 * 24 * 90_000),
            pue=None,
            pue_coverage_ratio=0.0,
            wue_litres_per_kwh=None,
            wue_coverage_ratio=0.0,
        )

    true = 31 * 24 * 36 * KWH
    assert judge_month(totals(known(true + 2 * STEP)), script=centre()) == ()
    (fault,) = judge_month(totals(known(true + 3 * STEP)), script=centre())
    assert fault.startswith(f"facility of the month is {true + 3 * STEP}, true is {true}.0")


def lines(made, *events):
    script = centre(*events)
    judged = judge(made, script=script)
    return list(demo_centre_text.hour(judged, script=script, zone=CHINA))


def test_an_hour_reads_with_its_truth_below_it():
    found, truth = lines(hour())
    assert found.split() == [
        *("03-01", "00:00", "36.000", "36.000", "unknown", "90.0", "1.0000", "2.5000"),
        "measured",
    ]
    assert truth.split() == [
        *("truth", "真值", "36.000", "36.000", "-", "90.0", "1.0000", "2.5000", "agrees")
    ]


def test_what_happened_and_why_a_figure_is_unknown_stands_below_the_hour():
    _, truth, event, reason, *_ = lines(hour(facility=unknown()), {"reset": "00:20"})
    assert truth.endswith("  unknown")
    assert event == "    00:20 in: its register begins anew at 0 (清零)"
    # Times are those of the centre, not of UTC.
    assert reason == "    facility unknown (未知): from 00:20 to 00:25: it began anew"


def test_a_fault_is_shouted():
    assert lines(hour(facility=known(30 * KWH)))[-1].startswith("    FAIL facility is ")


def test_columns_stand_below_their_headings():
    english, chinese = demo_centre_text.heading().splitlines()
    found, truth = lines(hour())

    def place(line, word):
        before = line[: line.index(word)] + word
        return sum(1 if ord(each) < 0x2E80 else 2 for each in before)

    assert place(english, "IT kWh") == place(chinese, "IT 用电")
    assert place(english, "water L") == place(found, "90.0") == place(truth, "90.0")
