"""What an operator does with monitoring platforms: with a running agent, and without one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.cli import monitoring
from tests.agent.app.monitoring_home import CENTRE, Home, utc
from tests.agent.cli.conftest import Operator, Outcome
from tests.agent.protocols.tc609.fake_platform import FakePlatform, Refusal

NOW = utc(2024, 2, 1, 12)


class Desk:
    """Is an operator's desk: commands on the configuration of a home."""

    def __init__(self, home: Home, operator: Operator) -> None:
        self.home = home
        self._operator = operator
        self.has_agent = False

    def __call__(self, *words: str) -> Outcome:
        return self._operator("monitoring", *words, "--config", self.home.config())


@pytest.fixture(params=["agent", "no agent"])
def desk(request: pytest.FixtureRequest, tmp_path: Path, operator: Operator) -> Iterator[Desk]:
    folder = tmp_path / "home"
    folder.mkdir()
    home = Home(folder, now=NOW)
    home.figures(m2024_01={"electricity_kwh": 5, "rack_ratio": 0.5})
    one = Desk(home, operator)
    one.has_agent = request.param == "agent"
    yield one
    home.stop()


def city(desk: Desk, *, has_centre: bool = True) -> FakePlatform:
    platform = desk.home.add("city", has_centre=has_centre, report={"enabled": False})
    if desk.has_agent:
        desk.home.start()
    return platform


def test_sync_shows_then_does_then_has_nothing_to_do(desk):
    platform = city(desk, has_centre=False)
    shown = desk("sync", "--dry-run")
    assert shown.status == 0
    assert shown.out.count("has to be created") == 2
    assert (platform.projects, platform.centres) == ({}, {})
    assert "created  id 1" in desk("sync").out
    assert platform.centres[1]["projectId"] == "1"
    again = desk("sync", "--dry-run", "--json").document["platforms"][0]
    assert [each["action"] for each in again["entities"]] == ["unchanged", "unchanged"]
    assert again["entities"][1]["id"] == 1
    made = platform.calls("POST", "/api/project"), platform.calls("PUT", "/api/computePowerCenter")
    assert desk("sync").out.count("was good  id 1") == 2
    assert made == (1, 0)


def test_sync_tells_what_nobody_filled_in_of_a_project(desk):
    city(desk, has_centre=False)
    shown = desk("sync", "--dry-run")
    (line,) = [each for each in shown.out.splitlines() if "not in the file of figures" in each]
    assert "totalInvestment (总投资（万元）)" in line
    assert "projectStatus" not in line
    missing = desk("sync", "--json").document["platforms"][0]["missing"]
    assert {each["figure"] for each in missing} == {
        "project_progress_ratio",
        "total_investment_10k_cny",
        "completed_investment_10k_cny",
    }


def test_sync_shows_a_difference_as_a_table_and_mends_it(desk):
    platform = city(desk, has_centre=False)
    desk("sync")
    platform.centres[1]["longitude"] = 1.5
    platform.centres[1]["province"] = "110000"
    shown = desk("sync", "--dry-run").out.splitlines()
    (line,) = [each for each in shown if "longitude" in each]
    assert line.split() == ["longitude", "113.5", "1.5"]
    (line,) = [each for each in shown if "province" in each]
    assert "only the platform can change it" in line
    assert desk("sync").status == 0
    assert platform.centres[1]["longitude"] == 113.5


def test_sync_shows_a_day_that_differs_as_the_standard_writes_it(desk):
    platform = city(desk, has_centre=False)
    desk("sync")
    platform.centres[1]["productionDate"] = "2023-5-1"
    shown = desk("sync", "--dry-run")
    assert (shown.status, shown.complaints) == (0, [])
    (line,) = [each for each in shown.out.splitlines() if "productionDate" in each]
    assert line.split() == ["productionDate", "2024/01/09", "2023/05/01"]
    centre = desk("sync", "--json").document["platforms"][0]["entities"][1]
    assert centre["differences"] == [
        {
            "field": "productionDate",
            "declared": "2024/01/09",
            "found": "2023/05/01",
            "is_changeable": True,
        }
    ]
    assert platform.centres[1]["productionDate"] == "2024/01/09"


def test_a_month_is_shown_with_what_is_missing_and_nothing_is_sent(desk):
    platform = city(desk)
    shown = desk("report", "2024-01", "--dry-run")
    assert shown.status == 0
    assert "missing: not in the file of figures" in shown.out
    assert "missing: the meters do not tell: no meter is configured" in shown.out
    found = desk("report", "2024-01", "--dry-run", "--json").document["platforms"][0]
    electricity = next(each for each in found["groups"] if each["group"] == "electricity")
    assert electricity["members"] == {"electricityConsume": 5}
    assert found["by_hand"] == ["electricity_kwh"]
    assert {each["figure"] for each in found["missing"]} >= {"users", "pue", "domestic_ratio"}
    assert found["fate"]["state"] == "none"
    assert platform.reports == {}


def test_a_month_is_sent_and_the_verdict_told(desk):
    platform = city(desk)
    sent = desk("report", "2024-01", "city")
    assert (sent.status, sent.complaints) == (0, [])
    assert "the platform took it" in sent.out
    assert platform.reports[1, "2024-01"]["centerName"] == CENTRE
    again = desk("report", "2024-01")
    assert again.status == 0
    assert "nothing new: the platform took it" in again.out
    assert platform.calls("POST", "/api/monthReport") == 1
    assert desk("report", "2024-01", "--again").status == 0
    assert platform.calls("POST", "/api/monthReport") == 2
    listed = desk("list", "--json").document["platforms"][0]
    assert (listed["delivered_total"], listed["last_delivered_month"]) == (2, "2024-01")
    assert "delivered  2, last 2024-01 at " in desk("list").out


def test_a_refused_month_is_told_listed_and_released(desk):
    platform = city(desk)

    def check(_, body, __):
        if b"reportMonth" in body:
            raise Refusal(10004, "rackRate")

    platform.check = check
    refused = desk("report", "2024-01")
    assert refused.status == 1
    assert "the platform refused it: code 10004, rackRate" in refused.out
    assert "refused    2024-01: code 10004, rackRate" in desk("list").out
    assert desk("release", "city", "2024-01").status == 1
    platform.check = lambda *_: None
    released = desk("release", "city", "2024-01")
    assert released.status == 0
    assert "2024-01  the platform took it" in released.out
    assert desk("release", "city", "2024-01").complaints == [
        "computility-agent: city: city has not refused 2024-01"
    ]


def test_a_platform_that_does_not_answer_keeps_nobody_waiting(desk):
    platform = city(desk)
    platform.faults = [(503, b"")] * 100
    late = desk("report", "2024-01")
    assert late.status == 1
    assert "waits, tried next " in late.out
    assert "503" in late.out
    listed = desk("list")
    assert listed.status == 0
    assert "waiting    1 reports since " in listed.out


def test_without_waiting_a_month_is_on_the_disk_and_no_more(desk, monkeypatch):
    platform = city(desk)
    platform.faults = [(503, b"")] * 100
    asked = []
    monkeypatch.setattr(monitoring, "_verdict", lambda *_, **__: asked.append(1))
    assert desk("report", "2024-01", "--no-wait").status == 0
    assert asked == []
    assert desk("list", "--json").document["platforms"][0]["waiting"] == 1


def test_a_month_that_a_platform_changed_is_found(desk):
    platform = city(desk)
    assert "no report of it" in desk("verify", "2024-01").out
    desk("report", "2024-01")
    good = desk("verify", "2024-01")
    assert (good.status, good.out) == (0, "city  2024-01  as it ought to be\n")
    platform.reports[1, "2024-01"]["computePowerSupply"]["rackRate"] = 0.9
    differs = desk("verify", "2024-01")
    assert differs.status == 1
    (line,) = [each for each in differs.out.splitlines() if "rackRate" in each]
    assert line.split() == ["rackRate", "0.5", "0.9"]
    found = desk("verify", "2024-01", "--json").document["platforms"][0]["differences"]
    assert found == [{"name": "rackRate", "expected": 0.5, "found": 0.9}]


def test_a_month_of_which_nothing_is_known_is_not_sent(desk):
    platform = city(desk)
    refused = desk("report", "2023-12")
    assert refused.status == 1
    assert refused.complaints == [
        "computility-agent: city: nothing is known of 2023-12: there is nothing to send "
        "(--dry-run tells why)"
    ]
    assert "it is not sent" in desk("report", "2023-12", "--dry-run").out
    assert platform.reports == {}


def test_one_platform_that_fails_does_not_keep_the_next_from_its_turn(desk):
    desk.home.add("down", url="http://127.0.0.1:1", report={"enabled": False})
    platform = city(desk, has_centre=False)
    done = desk("sync", "--json")
    assert done.status == 1
    failed, good = done.document["platforms"]
    assert failed["platform"] == "down"
    assert failed["error"]
    assert [each["action"] for each in good["entities"]] == ["create", "create"]
    assert len(platform.centres) == 1


@pytest.mark.parametrize("words", [("report", "2024-13"), ("verify", "January"), ("sync", "moon")])
def test_a_wrong_word_is_named(desk, words):
    city(desk)
    wrong = desk(*words)
    assert wrong.status == 2
    assert words[1] in wrong.complaints[0]


def test_without_a_platform_there_is_nothing_to_report(operator: Operator):
    config = operator.configure(device_api=None)
    assert "no platform is configured" in operator("monitoring", "list", "--config", config).out
    wrong = operator("monitoring", "sync", "--config", config)
    assert (wrong.status, len(wrong.complaints)) == (1, 1)
    assert "see the section monitoring" in wrong.complaints[0]


def test_a_file_of_figures_is_checked_with_the_configuration(operator: Operator):
    (operator.folder / "figures.yaml").write_text("always: {racks: many}\nmonths: {may: {}}\n")
    platform = {
        "name": "city",
        "url": "https://monitoring.example",
        "username": "centre",
        "password_file": "password",
        "figures_file": "figures.yaml",
        "centre": {
            "name": CENTRE,
            "province": "440000",
            "city": "440200",
            "longitude": 1,
            "latitude": 2,
        },
    }
    config = operator.configure(device_api=None, monitoring=[platform])
    wrong = operator("check-config", "--config", config)
    assert wrong.status == 2
    assert len([line for line in wrong.complaints if "figures.yaml:" in line]) == 2
    (operator.folder / "figures.yaml").write_text("projects: {二期: {project_status: 在建}}\n")
    (line,) = operator("check-config", "--config", config).complaints
    assert "figures.yaml: projects.二期: no platform that has this file" in line
    (operator.folder / "figures.yaml").write_text(json.dumps({"always": {"racks": 12}}))
    assert operator("check-config", "--config", config).status == 0
