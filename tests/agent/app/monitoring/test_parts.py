"""The agent reports to several platforms, through outages, refusals and broken files."""

from __future__ import annotations

import json
import logging
import threading
from datetime import timedelta
from types import SimpleNamespace

import pytest

from agent.app import metrics
from agent.app.monitoring import questions as monitoring_questions
from agent.app.monitoring.calendar import MonthCalendar
from agent.app.monitoring.parts import Reporting
from agent.errors import TransientError
from agent.model.clock import SystemClock
from tests.agent.app.monitoring_home import CENTRE, PROJECT, Home, utc
from tests.agent.centre.conftest import wait_until
from tests.agent.protocols.tc609.fake_platform import Refusal

REPORT_PATH = "/api/monthReport"
# In Shanghai February begins at 16:00 UTC, and a day later January is due.
BEFORE, DUE = utc(2024, 2, 1, 15, 59), utc(2024, 2, 1, 16, 1)


@pytest.fixture
def home(tmp_path):
    one = Home(tmp_path, now=BEFORE)
    one.figures(m2024_01={"electricity_kwh": 5})
    yield one
    one.stop()


def months(platform):
    return [json.loads(one[3])["reportMonth"] for one in platform.requests if one[1] == REPORT_PATH]


def kilowatt_hours(platform, month):
    return platform.reports[1, month]["computeElectricitySynergy"].get("electricityConsume")


def test_a_month_is_sent_by_itself_once_it_is_due(home):
    city = home.add("city")
    home.start()
    wait_until(lambda: home.status("city")["centre_id"] == 1)
    assert home.status("city")["next_due_at"] == "2024-02-01T16:00:00Z"
    assert months(city) == []
    home.clock.set(DUE)
    # The thread that delivers sees that the clock was set, and has the months looked at.
    home.wake()
    wait_until(lambda: home.status("city")["last_delivered_month"] == "2024-01")
    assert city.reports[1, "2024-01"]["centerName"] == CENTRE
    assert kilowatt_hours(city, "2024-01") == 5
    assert home.status("city")["next_due_at"] == "2024-03-01T16:00:00Z"


def test_a_month_of_which_nothing_is_known_is_not_sent(home):
    city = home.add("city")
    home.clock.set(utc(2024, 4, 15))
    home.figures(m2024_02={"rack_ratio": 0.5})
    home.start()
    wait_until(lambda: home.status("city")["delivered_total"] == 1)
    home.look()
    wait_until(lambda: home.wiring.reporting[0].trouble is None)
    assert months(city) == ["2024-02"]


def test_each_platform_has_names_ids_and_headers_of_its_own(home):
    city = home.add("city")
    region = home.add(
        "region",
        has_centre=False,
        centre={
            "name": "another name",
            "id": 7,
            "province": "440000",
            "city": "440200",
            "longitude": 113.5,
            "latitude": 24.8,
        },
        map={"electricity": {"members": [{"name": "power", "figure": "electricity_kwh"}]}},
        token_header=["Authorization: Bearer {token}", "X-Token: t {token}"],
        sign={"secret": "${SECRET}", "sign_header": "X-Sign"},
    )
    # Only the configuration can know the id: the platform calls the centre otherwise.
    region.centres[7] = {"name": "its own name"}
    home.clock.set(DUE)
    home.start()
    wait_until(lambda: city.reports and months(region))
    *_, headers, body = next(one for one in region.requests if one[1] == REPORT_PATH)
    sent = json.loads(body)
    assert (sent["centerId"], sent["centerName"], sent["power"]) == (7, "another name", 5)
    assert headers["X-Token"] == f"t {headers['Authorization'].removeprefix('Bearer ')}"
    assert headers["X-Sign"]
    *_, headers, body = next(one for one in city.requests if one[1] == REPORT_PATH)
    assert json.loads(body)["centerId"] == 1
    assert not {"X-Token", "X-Sign", "sign"} & set(headers)


def test_an_outage_of_weeks_loses_nothing_and_keeps_the_order(home):
    city, region = home.add("city"), home.add("region")
    home.clock.set(DUE)
    city.faults = [(503, b"")] * 10_000
    home.start()
    wait_until(lambda: (1, "2024-01") in region.reports)
    wait_until(lambda: home.status("city")["waiting"] == 1)
    for day, month in ((2, "02"), (2, "03"), (2, "04")):
        home.clock.set(utc(2024, int(month) + 1, day))
        home.figures(
            m2024_01={"electricity_kwh": 5},
            **{f"m2024_{at:02}": {"electricity_kwh": at} for at in range(2, int(month) + 1)},
        )
        home.look()
        wait_until(lambda month=month: (1, f"2024-{month}") in region.reports)
        wait_until(lambda month=month: home.status("city")["waiting"] == int(month))
    status = home.status("city")
    assert "503" in status["last_error"]
    assert status["oldest_at"] == "2024-02-01T16:01:00Z"
    assert city.reports == {}
    city.faults = []
    sent_before = len(months(city))
    home.clock.advance(hours=2)
    home.wake()
    wait_until(lambda: home.status("city")["waiting"] == 0)
    assert months(city)[sent_before:] == ["2024-01", "2024-02", "2024-03", "2024-04"]
    assert [kilowatt_hours(city, f"2024-0{at}") for at in (1, 2, 3, 4)] == [5, 2, 3, 4]


def test_what_waited_by_the_name_of_the_centre_goes_out_once_and_with_its_id(home):
    city = home.add("city")
    city.faults = [(503, b"")] * 10_000
    home.clock.set(DUE)
    home.start()
    wait_until(lambda: home.status("city")["last_error"])
    assert home.status("city")["centre_id"] is None
    city.requests.clear()
    city.faults = []
    home.clock.advance(hours=2)
    home.wake()
    wait_until(lambda: home.status("city")["delivered_total"] == 1)
    home.look()
    wait_until(lambda: home.status("city")["trouble"] is None)
    assert months(city) == ["2024-01"]
    assert json.loads(city.requests[-1][3])["centerId"] == 1


def test_nothing_is_delivered_before_the_months_were_looked_at():
    looked, tried = threading.Event(), []

    class Platform:
        name = "city"
        settings = SimpleNamespace(report=SimpleNamespace(enabled=True))
        on_centre_found = None
        close = hasten = staticmethod(lambda: None)
        next_due = staticmethod(lambda now: now + timedelta(days=30))
        submit_due = staticmethod(lambda: looked.wait(20))

        def reporter(self):
            tried.append(looked.is_set())
            return SimpleNamespace(deliver_due=lambda: False, wait_seconds=lambda: None)

    calendar = MonthCalendar(clock=SystemClock())
    one = Reporting(Platform(), calendar=calendar, clock=SystemClock())
    one.start()
    one.wake()
    assert not one.deliver_due()
    assert one.wait_seconds() is None
    assert tried == []
    looked.set()
    wait_until(lambda: tried)
    one.stop(timeout_seconds=5)
    calendar.stop()
    assert all(tried)


def test_a_refused_month_is_put_aside_with_its_reason_and_released(home):
    city = home.add("city")
    wanted = {"2024-01": "not 5"}

    def check(_, body, __):
        given = json.loads(body) if body else {}
        if wanted.get(given.get("reportMonth")):
            raise Refusal(10004, "electricityConsume 参数类型错误")

    city.check = check
    home.clock.set(DUE)
    home.start()
    wait_until(lambda: home.status("city")["refused"])
    (refused,) = home.status("city")["refused"]
    assert (refused["month"], refused["code"]) == ("2024-01", 10004)
    assert "electricityConsume" in refused["reason"]
    home.look()
    home.clock.set(utc(2024, 3, 2))
    home.figures(m2024_01={"electricity_kwh": 5}, m2024_02={"electricity_kwh": 6})
    home.look()
    # What was refused holds nobody up, and is not sent again by itself.
    wait_until(lambda: (1, "2024-02") in city.reports)
    assert months(city).count("2024-01") == 1
    wanted.clear()
    home.ask(monitoring_questions.RELEASE, platform="city", month="2024-01")
    wait_until(lambda: (1, "2024-01") in city.reports)
    assert home.status("city")["refused"] == []


def test_a_broken_file_of_figures_stops_its_platform_alone(home, caplog):
    caplog.set_level(logging.INFO)
    city = home.add("city")
    region = home.add("region", figures_file="others.yaml")
    home.clock.set(DUE)
    home.start()
    wait_until(lambda: (1, "2024-01") in city.reports)
    status = home.status("region")
    assert "others.yaml" in status["figures_error"]
    assert months(region) == []
    (home.folder / "others.yaml").write_text("months:\n  2024-01: {rack_ratio: 62}\n")
    home.look()
    wait_until(lambda: "0 to 1" in (home.status("region")["trouble"] or ""))
    assert "others.yaml:2" in home.status("region")["figures_error"]
    assert months(region) == []
    (home.folder / "others.yaml").write_text("months:\n  2024-01: {rack_ratio: 0.62}\n")
    home.look()
    wait_until(lambda: (1, "2024-01") in region.reports)
    assert home.status("region")["figures_error"] is None
    assert home.status("region")["trouble"] is None
    assert caplog.text.count("event=figures_unusable platform=region") == 2
    assert "event=figures_good_again platform=region" in caplog.text


def test_a_centre_that_the_platform_lacks_waits_for_sync(home):
    city = home.add("city", has_centre=False)
    home.clock.set(DUE)
    home.start()
    wait_until(lambda: home.status("city")["last_error"])
    assert "monitoring sync city" in home.status("city")["last_error"]
    assert months(city) == []
    home.ask(monitoring_questions.SYNC, platform="city", apply=True)
    wait_until(lambda: (1, "2024-01") in city.reports)
    assert city.projects[1]["projectName"] == PROJECT
    assert home.status("city")["centre_id"] == 1
    assert home.status("city")["refused_total"] == 0


def test_what_waits_is_tried_at_once_after_a_change_of_the_configuration(home):
    city = home.add("city", username="nobody")
    home.clock.set(DUE)
    home.start()
    wait_until(lambda: home.status("city")["last_error"])
    assert "check username and password_file" in home.status("city")["last_error"]
    home.monitoring[0]["username"] = "centre"
    assert home.reload() == ("monitoring city: restarted",)
    # An hour was to be waited for, and the clock stands still.
    wait_until(lambda: (1, "2024-01") in city.reports)


def test_what_waits_for_a_platform_that_was_removed_stays_and_is_told(home):
    city = home.add("city")
    city.faults = [(503, b"")] * 10_000
    home.clock.set(DUE)
    home.start()
    wait_until(lambda: home.status("city")["waiting"] == 1)
    taken_out = home.monitoring.pop()
    assert home.reload() == ("monitoring city: stopped",)
    document = home.wiring.status_document()["monitoring"]
    assert document["platforms"] == []
    (removed,) = document["removed"]
    assert (removed["name"], removed["waiting"]) == ("city", 1)
    city.faults = []
    home.monitoring.append(taken_out)
    home.reload()
    wait_until(lambda: (1, "2024-01") in city.reports)
    assert home.wiring.status_document()["monitoring"]["removed"] == []


def test_an_outbox_that_cannot_be_used_stops_nothing_else(home):
    home.add("city")
    (home.folder / "outbox.db").write_bytes(b"this is no database at all" * 100)
    home.start()
    status = home.status("city")
    assert "outbox.db" in status["unknown"]
    assert status["waiting"] is None
    with pytest.raises(TransientError, match="outbox"):
        home.ask(monitoring_questions.REPORT, platform="city", month="2024-01", submit=True)
    assert home.ask(monitoring_questions.LIST)["unknown"]


def test_status_and_metrics_tell_what_waits(home):
    city, region = home.add("city"), home.add("region")
    region.faults = [(503, b"")] * 10_000
    home.clock.set(DUE)
    home.start()
    wait_until(lambda: (1, "2024-01") in city.reports)
    wait_until(lambda: home.status("region")["last_error"])
    wait_until(lambda: home.status("city")["delivered_total"] == 1)
    home.clock.advance(hours=3)
    collector = metrics.AgentCollector(
        view=home.wiring.view,
        sessions=tuple,
        identify=home.wiring.identify,
        reporting=lambda: home.wiring.reporting,
    )
    samples = {
        (sample.name, sample.labels.get("platform"), sample.labels.get("outcome")): sample.value
        for family in collector.collect()
        for sample in family.samples
        if sample.name.startswith(("computility_outbox", "computility_monitoring"))
    }
    assert samples["computility_outbox_messages", "region", None] == 1
    assert samples["computility_outbox_bytes", "region", None] > 100
    assert samples["computility_outbox_oldest_age_seconds", "region", None] == 3 * 3600
    assert samples["computility_outbox_messages", "city", None] == 0
    assert samples["computility_monitoring_reports_total", "city", "delivered"] == 1
    assert (
        samples["computility_monitoring_last_success_timestamp_seconds", "city", None]
        == DUE.timestamp()
    )
    last = "computility_monitoring_last_success_timestamp_seconds"
    assert (last, "region", None) not in samples


def test_without_monitoring_the_status_says_so(home):
    home.start()
    assert home.wiring.status_document()["monitoring"] is None
