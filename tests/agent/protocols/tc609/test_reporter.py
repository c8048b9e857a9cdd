"""Months on their way from totals to a platform on a real socket."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from agent.model.secret import Secret
from agent.protocols.tc609 import month_report
from agent.protocols.tc609.figures_file import Figures
from agent.protocols.tc609.month_report import Month
from agent.protocols.tc609.platform_client import Access, PlatformClient
from agent.protocols.tc609.report_map import (
    DEFAULT_MAP,
    Group,
    GroupMap,
    Kind,
    Member,
)
from agent.protocols.tc609.reporter import MonthReporter, ReportedCentre, due_months, next_due
from agent.store.database import Database
from agent.store.outbox import OUTBOX, Outbox
from agent.transport.client import HttpClient
from tests.agent.protocols.tc609.declarations import ZONE, centre, figure, totals
from tests.agent.protocols.tc609.fake_platform import PASSWORD, USERNAME, FakePlatform

JANUARY, FEBRUARY = Month(year=2026, month=1), Month(year=2026, month=2)
FIGURES = Figures(always={"racks": 1200}, months={"2026-01": {"rack_ratio": 0.62}})
UNKNOWN = figure(None, reason="nothing was read")


def nothing(month: Month):
    return totals(
        month.year,
        month.month,
        facility=UNKNOWN,
        it=UNKNOWN,
        green=UNKNOWN,
        water=UNKNOWN,
        pue=None,
    )


@pytest.fixture
def platform():
    platform = FakePlatform()
    platform.centres[1] = {"name": centre().name}
    yield platform
    platform.close()


@pytest.fixture
def outbox(tmp_path, clock):
    database = Database(tmp_path, schema=OUTBOX)
    yield Outbox(database, clock=clock, jitter=lambda: 0.0)
    database.close()


@pytest.fixture
def reporter_of(platform, clock, outbox):
    opened = []

    def make(*, identifier=1, report_map=DEFAULT_MAP, password=PASSWORD) -> MonthReporter:
        http = HttpClient(base_url=platform.url, user_agent="test/1")
        opened.append(http)
        client = PlatformClient(
            http,
            access=Access(username=USERNAME, password=Secret(password)),
            signer=None,
            clock=clock,
            investment_group=None,
        )
        return MonthReporter(
            "city",
            centre=ReportedCentre(name=centre().name, identifier=lambda: identifier),
            report_map=report_map,
            client=client,
            outbox=outbox,
        )

    yield make
    for http in opened:
        http.close()


def render(reporter, month=JANUARY, *, figures=FIGURES, **changed):
    return reporter.render(
        month, totals=totals(month.year, month.month, **changed), figures=figures
    )


def test_what_is_not_known_is_left_out_and_listed(reporter_of):
    report = render(reporter_of())
    sent = json.loads(report.body)
    assert "waterConsume" not in sent["computeElectricitySynergy"]
    reasons = {one.wire_name: one.reason for one in report.missing}
    assert "no meter has the role water" in reasons["waterConsume"]
    assert "no water is known" in reasons["wue"]
    assert reasons["userCount"] == "not in the file of figures"
    known = {name for group in report.groups.values() for name in group}
    every = {one.wire_name for one in DEFAULT_MAP.figures(*month_report.MONTH_GROUPS)}
    assert known | set(reasons) == every
    assert known & set(reasons) == set()


def test_a_meter_goes_before_the_file_and_the_file_before_nothing(reporter_of):
    by_hand = Figures(months={"2026-01": {"electricity_kwh": 5, "water_litres": 300.5}})
    report = render(reporter_of(), figures=by_hand)
    assert report.groups[Group.ELECTRICITY]["electricityConsume"] == pytest.approx(1250000.343)
    assert report.groups[Group.ELECTRICITY]["waterConsume"] == 300.5
    assert report.by_hand == ("water_litres",)


def test_a_zero_that_was_measured_is_sent(reporter_of):
    report = render(reporter_of(), green=figure(0))
    assert report.groups[Group.ELECTRICITY]["greenElectricityConsume"] == 0


def test_the_investment_of_a_project_comes_from_the_file_alone():
    members, missing = month_report.render_investment(
        Figures(
            project={"project_status": "在建"},
            projects={"二期": {"project_status": "已投产"}},
        ),
        project="二期",
        report_map=DEFAULT_MAP,
    )
    assert members == {"projectStatus": "已投产"}
    assert [one.figure for one in missing] == [
        "project_progress_ratio", "total_investment_10k_cny", "completed_investment_10k_cny",
    ]  # fmt: skip


def test_a_platform_can_have_names_of_its_own(reporter_of):
    own = replace(
        DEFAULT_MAP,
        supply=GroupMap(
            wire_name=None,
            members=(Member(wire_name="jjs", figure="racks", title="机架数", kind=Kind.COUNT),),
        ),
    )
    sent = json.loads(render(reporter_of(report_map=own)).body)
    assert sent["jjs"] == 1200
    assert "computePowerSupply" not in sent


def test_a_map_cannot_give_one_name_twice():
    with pytest.raises(ValueError, match="reportMonth"):
        replace(
            DEFAULT_MAP,
            supply=GroupMap(
                wire_name=None,
                members=(Member(wire_name="reportMonth", figure="racks", title="x"),),
            ),
        )
    with pytest.raises(ValueError, match="pue"):
        replace(
            DEFAULT_MAP,
            supply=GroupMap(
                wire_name="x",
                members=(Member(wire_name="pue", figure="pue", title="x", kind=Kind.TEXT),),
            ),
        )


def test_a_month_is_delivered_and_found_as_it_was_sent(platform, reporter_of):
    reporter = reporter_of()
    report = render(reporter)
    assert not reporter.verify(report).is_there
    assert reporter.submit(report)
    assert reporter.deliver_due()
    assert not reporter.deliver_due()
    seen = reporter.verify(report)
    assert seen.is_there
    assert seen.differences == ()
    platform.reports[1, "2026-01"]["computePowerSupply"]["rackRate"] = 62
    (difference,) = reporter.verify(report).differences
    assert (difference.name, difference.sent, difference.found) == ("rackRate", 0.62, 62)


def test_a_centre_without_an_id_is_reported_by_its_name(platform, reporter_of):
    reporter = reporter_of(identifier=None)
    report = render(reporter)
    reporter.submit(report)
    assert reporter.deliver_due()
    assert list(platform.reports) == [(1, "2026-01")]
    assert reporter.verify(report).is_there


def test_a_month_that_was_closed_again_replaces_the_report(platform, reporter_of):
    reporter = reporter_of()

    def submit(**changed):
        return reporter.submit_last(
            [FEBRUARY, JANUARY],
            totals_of=lambda month: totals(month.year, month.month, **changed),
            figures=FIGURES,
        )

    assert [str(one.month) for one in submit()] == ["2026-01", "2026-02"]
    while reporter.deliver_due():
        pass
    assert submit() == ()
    assert len(submit(it=figure(3_600_000 * 999))) == 2
    while reporter.deliver_due():
        pass
    for month in ("2026-01", "2026-02"):
        sent = platform.reports[1, month]["computeElectricitySynergy"]
        assert sent["itElectricityConsume"] == 999


def test_a_month_of_which_nothing_is_known_is_not_sent(reporter_of):
    reporter = reporter_of()
    new = reporter.submit_last([JANUARY, FEBRUARY], totals_of=nothing, figures=FIGURES)
    assert [str(one.month) for one in new] == ["2026-01"]
    assert reporter.submit_last([FEBRUARY], totals_of=nothing, figures=Figures()) == ()


def test_an_outage_of_weeks_loses_no_month_and_no_order(platform, reporter_of, clock, outbox):
    reporter = reporter_of()
    platform.faults = [(502, b"bad gateway")] * 300
    for number in range(1, 5):
        reporter.submit(render(reporter, Month(year=2026, month=number)))
        for _ in range(50):
            assert not reporter.deliver_due()
            clock.advance(reporter.wait_seconds())
    platform.faults.clear()
    sent = len(platform.requests)
    while reporter.deliver_due():
        pass
    bodies = [json.loads(one[3]) for one in platform.requests[sent:] if b"reportMonth" in one[3]]
    assert [one["reportMonth"] for one in bodies] == [f"2026-0{number}" for number in range(1, 5)]
    assert outbox.state("city").delivered_total == 4


def test_a_refused_month_stands_aside_and_the_next_goes_on(platform, reporter_of, outbox):
    reporter = reporter_of()
    platform.faults = [(200, b'{"code": 10005, "msg": "userCount"}')]
    platform.faults_from = "POST /api/monthReport"
    reporter.submit(render(reporter))
    reporter.submit(render(reporter, FEBRUARY))
    assert reporter.deliver_due()
    assert reporter.deliver_due()
    assert list(platform.reports) == [(1, "2026-02")]
    (refused,) = outbox.refused("city")
    assert (refused.key, refused.code, refused.reason) == ("2026-01", 10005, "userCount")
    filled = Figures(always={"racks": 1200, "users": 5})
    assert reporter.submit(render(reporter, figures=filled))
    assert reporter.deliver_due()
    assert outbox.refused("city") == ()


def test_an_unclear_refusal_is_tried_for_most_of_a_day(platform, reporter_of, clock, outbox):
    reporter = reporter_of()
    platform.centres.clear()
    reporter.submit(render(reporter))
    began = clock.now()
    while not reporter.deliver_due():
        clock.advance(reporter.wait_seconds())
    assert timedelta(hours=12) < clock.now() - began < timedelta(hours=30)
    assert outbox.refused("city")[0].code == 99999


def test_a_wrong_password_keeps_the_month_and_does_not_hammer(platform, reporter_of, outbox):
    reporter = reporter_of(password="wrong")
    reporter.submit(render(reporter))
    assert not reporter.deliver_due()
    assert reporter.wait_seconds() == 3600
    assert "password_file" in outbox.state("city").last_error
    outbox.hasten("city")
    assert reporter_of().deliver_due()


def test_months_are_due_some_time_after_they_are_over():
    delay = timedelta(days=1, hours=2)
    due = datetime(2026, 3, 1, 18, tzinfo=timezone.utc)  # 2 March, 2 o'clock in Shanghai
    before = due - timedelta(seconds=1)
    assert [str(one) for one in due_months(due, zone=ZONE, delay=delay, count=3)] == [
        "2025-12", "2026-01", "2026-02",
    ]  # fmt: skip
    assert str(due_months(before, zone=ZONE, delay=delay, count=1)[0]) == "2026-01"
    assert next_due(before, zone=ZONE, delay=delay) == due
    assert next_due(due, zone=ZONE, delay=delay) == datetime(2026, 4, 1, 18, tzinfo=timezone.utc)


@pytest.mark.parametrize("text", ["2026-1", "2026-13", "202601", "2026-00", "", "2026-01-01"])
def test_what_is_no_month_is_refused(text):
    with pytest.raises(ValueError, match="2026-01"):
        Month.parse(text)
