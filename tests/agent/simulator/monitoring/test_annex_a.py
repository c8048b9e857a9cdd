"""The operations of annex A over HTTP: what is kept, what is refused, and with which code."""

from __future__ import annotations

import copy
import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.agent.simulator.monitoring.conftest import (
    CENTRE,
    CENTRE_CHANGE,
    MONTH,
    PROJECT,
    USERS,
    control,
    events_of,
)

HUGE = 10**30


def test_a_user_gets_a_token_for_its_password(platform, caller_of):
    answer = caller_of(platform(token_seconds=120)).log_in()
    assert (answer["code"], answer["expiresIn"]) == (200, 120)
    assert len(answer["token"]) > 30
    assert "msg" not in answer


@pytest.mark.parametrize(
    ("login", "code"),
    [
        ({"username": "city", "password": "wrong"}, 10001),
        ({"username": "nobody", "password": ""}, 10005),
        ({"username": "nobody", "password": "simulator"}, 10001),
        ({"username": "city"}, 10005),
        ({"username": "city", "password": 1}, 10004),
        ([], 10004),
        ({"username": "city", "password": "\ud800"}, 99999),
    ],
)
def test_a_login_that_is_not_right_gives_no_token(caller, login, code):
    answer = caller.post("token", login)
    assert answer["code"] == code
    assert answer["msg"]
    assert "token" not in answer


def test_nothing_is_told_without_a_token(caller):
    caller.token = ""
    assert caller.get("project")["code"] == 10002
    caller.token = "invented"
    assert caller.get("project")["code"] == 10002


def test_a_token_ends_after_its_time(platform, caller_of, clock):
    caller = caller_of(platform(monotonic=clock, token_seconds=60))
    clock.seconds += 59.9
    assert caller.get("project")["code"] == 200
    clock.seconds += 0.1
    answer = caller.get("project")
    assert answer["code"] == 10002
    assert "ended" in answer["msg"]


@pytest.mark.parametrize("header", ["token", "Token", "X-Access-Token", "Authorization"])
def test_a_token_comes_in_any_header_that_is_in_use(caller, header):
    token, caller.token = caller.token, ""
    assert caller.call("GET", "project", headers={header: token})["code"] == 200


def test_what_was_made_is_told_again(caller):
    caller.fill()

    assert caller.get("project")["data"] == {"total": 1, "datalist": [{"id": 1, **PROJECT}]}
    assert caller.get("project", projectName=PROJECT["projectName"])["data"]["total"] == 1
    assert caller.get("project", projectName="没有")["data"] == {"total": 0, "datalist": []}
    assert caller.get("project", id=2)["data"]["total"] == 0
    assert caller.get("project", id=HUGE)["data"]["total"] == 0
    assert caller.get("project", id=1, projectName="没有")["data"]["total"] == 0
    assert caller.get("computePowerCenter", id=1)["data"]["datalist"] == [{"id": 1, **CENTRE}]
    found = caller.get("queryMonthReport", centerId=1, reportMonth="2024-10")
    assert found["data"]["datalist"] == [MONTH]
    assert caller.get("queryMonthReport", reportMonth="2024-11")["data"]["total"] == 0
    assert caller.get("queryMonthReport")["data"]["total"] == 1


@pytest.mark.parametrize(
    ("path", "query", "code"),
    [
        ("project", "id=x", 10004),
        ("project", "id=", 10004),
        ("project", "id=1&id=1", 10004),
        ("project", "projectName=%ff", 99999),
        ("computePowerCenter", "id=1.0", 10004),
        ("queryMonthReport", "reportMonth=2024-13", 10004),
        ("queryMonthReport", "centerId=%D9%A1", 10004),
        ("queryMonthReport", "&".join(f"a{n}=1" for n in range(101)), 99999),
    ],
)
def test_a_query_that_cannot_be_read_is_refused(caller, path, query, code):
    assert caller.call("GET", f"{path}?{query}")["code"] == code


def test_a_project_is_changed_by_its_id_or_by_its_name(caller):
    caller.fill()
    by_id = {"id": 1, "computePowerInvestment": {"projectStatus": "完工"}, "hubId": "12"}
    assert caller.put("project", by_id) == {"code": 200}
    by_name = {"projectName": PROJECT["projectName"], "computePowerInvestment": {"a": [1]}}
    assert caller.put("project", by_name) == {"code": 200}

    (project,) = caller.get("project")["data"]["datalist"]
    assert project == {"id": 1, **PROJECT, "hubId": "12", "computePowerInvestment": {"a": [1]}}


def test_neither_name_nor_province_of_a_project_changes(caller):
    caller.fill()
    message = {"id": 1, "projectName": "新", "province": "110000", "computePowerInvestment": {}}
    assert caller.put("project", message)["code"] == 200
    (project,) = caller.get("project")["data"]["datalist"]
    assert (project["projectName"], project["province"]) == (PROJECT["projectName"], "440000")
    (event,) = events_of(caller.simulator, "changeProject")
    assert {each["field"] for each in event["findings"]} == {
        "projectName", "province", "computePowerInvestment",
    }  # fmt: skip


def test_a_centre_gets_a_new_name_by_its_id(caller):
    caller.fill()
    assert caller.put("computePowerCenter", {**CENTRE_CHANGE, "id": 1, "name": "新"})["code"] == 200
    (centre,) = caller.get("computePowerCenter", name="新")["data"]["datalist"]
    assert centre == {"id": 1, **CENTRE, "name": "新"}
    assert caller.put("computePowerCenter", {**CENTRE_CHANGE, "name": "新"})["code"] == 200
    assert caller.put("computePowerCenter", CENTRE_CHANGE)["code"] == 99999


def test_a_month_that_comes_again_takes_the_place_of_the_first(caller):
    caller.fill()
    again = {**MONTH, "computePowerSupply": {"totalRacks": 1300}}
    del again["centerId"]
    assert caller.post("monthReport", again) == {"code": 200}
    (month,) = caller.get("queryMonthReport")["data"]["datalist"]
    assert month == {**again, "centerId": 1}


@pytest.mark.parametrize(
    ("method", "path", "message", "code", "says"),
    [
        ("PUT", "project", {"computePowerInvestment": {}}, 10005, "table A.3-1 row 2, id"),
        ("PUT", "project", {"computePowerInvestment": {}, "id": 9}, 99999, "no project has 9"),
        ("PUT", "project", {"computePowerInvestment": {}, "id": HUGE}, 99999, "no project"),
        ("PUT", "project", {"computePowerInvestment": {}, "id": "1"}, 10004, "type int"),
        ("POST", "computePowerCenter", {**CENTRE, "projectId": "1;7"}, 99999, "no project has 7"),
        ("POST", "computePowerCenter", {**CENTRE, "longitude": 1.1234567}, 10004, "7 decimals"),
        ("POST", "computePowerCenter", {**CENTRE, "latitude": 1e-7}, 10004, "7 decimals"),
        ("POST", "computePowerCenter", {**CENTRE, "productionDate": "2024-10-29"}, 10004, "row 10"),
        ("POST", "computePowerCenter", {**CENTRE, "productionDate": ""}, 10004, "row 10"),
        ("POST", "computePowerCenter", {**CENTRE, "clusterId": "11"}, 10004, "row 4"),
        ("PUT", "computePowerCenter", {**CENTRE_CHANGE, "id": 1, "name": ""}, 10004, "row 2"),
        ("PUT", "computePowerCenter", {**CENTRE_CHANGE, "name": ""}, 10005, "row 1"),
        ("POST", "monthReport", {**MONTH, "centerName": "别的"}, 10004, "not the name of centre 1"),
        ("POST", "monthReport", {**MONTH, "centerId": 7}, 99999, "no centre has 7"),
        ("POST", "monthReport", {**MONTH, "reportMonth": "2024-1"}, 10004, "row 3"),
    ],
)
def test_what_no_table_alone_can_say_is_refused_too(caller, method, path, message, code, says):
    caller.fill()
    before = control(caller.simulator)
    answer = caller.call(method, path, json=message)
    assert answer["code"] == code, answer
    assert says in answer["msg"]
    assert control(caller.simulator) == before


def test_neither_id_nor_name_of_a_centre_is_a_missing_field(caller):
    caller.fill()
    message = {name: MONTH[name] for name in MONTH if not name.startswith("center")}
    assert caller.post("monthReport", message)["code"] == 10005


def test_two_of_one_name_are_both_kept_and_told_by_id_alone(caller):
    caller.fill()
    assert caller.post("project", PROJECT)["data"] == "2"
    assert caller.get("project", projectName=PROJECT["projectName"])["data"]["total"] == 2
    event = events_of(caller.simulator, "createProject")[-1]
    assert "project 1 has this name" in event["findings"][0]["problem"]
    by_name = {"projectName": PROJECT["projectName"], "computePowerInvestment": {"a": 1}}
    answer = caller.put("project", by_name)
    assert (answer["code"], "ids 1, 2" in answer["msg"]) == (99999, True)
    assert caller.put("project", {**by_name, "id": 2})["code"] == 200


def test_every_project_made_at_the_same_time_has_an_id_of_its_own(platform, caller_of):
    simulator = platform(projects_maximum=20)
    callers = [caller_of(simulator) for _ in range(4)]

    def make(caller):
        return [caller.post("project", PROJECT).get("data") for _ in range(6)]

    with ThreadPoolExecutor(len(callers)) as pool:
        made = [data for each in pool.map(make, callers) for data in each]
    assert sorted(int(data) for data in made if data is not None) == list(range(1, 21))
    assert made.count(None) == 4


def test_a_user_neither_sees_nor_changes_what_is_another_s(platform, caller_of):
    simulator = platform()
    caller_of(simulator).fill()
    other = caller_of(simulator, username="other")

    assert other.get("project")["data"]["total"] == 0
    assert other.get("computePowerCenter", id=1)["data"]["total"] == 0
    assert other.get("queryMonthReport", centerId=1)["data"]["total"] == 0
    assert other.put("project", {"id": 1, "computePowerInvestment": {"a": 1}})["code"] == 10003
    assert other.put("computePowerCenter", {**CENTRE_CHANGE, "id": 1})["code"] == 10003
    assert other.post("computePowerCenter", CENTRE)["code"] == 10003
    assert other.post("monthReport", MONTH)["code"] == 10003


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff",
        b'{"username": NaN}',
        b'{"a": 1, "a": 2}',
        b'{"a": 1e999}',
        b'{"a": "\\ud800"}',
        b"[" * 40 + b"]" * 40,
        b"[" * 30_000 + b"]" * 30_000,
    ],
)
def test_what_is_no_json_is_refused_as_other_error(caller, body):
    answer = caller.call("POST", "project", data=body)
    assert answer["code"] == 99999


def test_a_body_has_to_be_json_by_its_type(caller):
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = caller.call("POST", "token", data="username=city", headers=headers)
    assert (answer["code"], "application/json" in answer["msg"]) == (99999, True)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "token", 405), ("DELETE", "project", 405), ("GET", "none", 404), ("PUT", "", 404)],
)
def test_what_was_never_an_operation_has_a_status_of_http(caller, method, path, status):
    answer = caller.raw(method, path)
    assert (answer.status_code, answer.json()["code"]) == (status, 99999)
    assert answer.json()["msg"]


def test_failures_have_a_status_where_that_is_wanted(platform, caller_of):
    caller = caller_of(platform(uses_http_statuses=True))
    statuses = {
        caller.raw("POST", "token", json={"username": "city", "password": "x"}).status_code: 10001,
        caller.raw("POST", "project", json={}).status_code: 10005,
    }
    assert statuses == {401: 10001, 400: 10005}
    assert caller.raw("GET", "project").status_code == 200


def test_members_of_open_groups_are_kept_beside_the_fields(platform, caller_of):
    caller = caller_of(platform(has_open_groups=True))
    flat = {"projectName": "p", "province": "110000", "xmzt": "已投产"}
    assert caller.post("project", flat)["code"] == 200
    assert caller.put("project", {"id": 1, "xmzt": "完工", "province": "120000"})["code"] == 200
    (project,) = caller.get("project")["data"]["datalist"]
    assert project == {"id": 1, **flat, "xmzt": "完工"}


def test_a_field_of_no_table_is_noted_or_refused(platform, caller_of):
    caller = caller_of(platform())
    assert caller.post("project", {**PROJECT, "rate": 1})["code"] == 200
    (event,) = events_of(caller.simulator, "createProject")
    assert event["findings"] == [
        {
            "table": "A.2-1",
            "row": None,
            "field": "rate",
            "problem": "is not a field of the table",
            "fatal": False,
        }
    ]
    assert "rate" not in caller.get("project")["data"]["datalist"][0]
    assert (
        caller_of(platform(strict_extra=True)).post("project", {**PROJECT, "rate": 1})["code"]
        == 10004
    )


def test_every_refusal_is_an_event_with_its_findings(caller):
    wrong = {**copy.deepcopy(PROJECT), "province": "44"}
    del wrong["computePowerInvestment"]
    caller.post("project", wrong)

    (event,) = events_of(caller.simulator, "createProject")
    assert (event["accepted"], event["status"], event["result_code"]) == (False, 200, 10005)
    assert [(each["table"], each["row"]) for each in event["findings"]] == [
        ("A.2-1", 2),
        ("A.2-1", 3),
    ]
    assert event["details"]["user"] == "city"
    assert "refused with 10005" in event["text"]


def test_what_is_odd_is_taken_with_a_note(caller):
    caller.fill()
    caller.post("computePowerCenter", {**CENTRE, "city": "110100", "projectId": "1;1"})
    notes = {each["field"] for each in events_of(caller.simulator, "createCenter")[-1]["findings"]}
    assert notes == {"name", "city", "projectId"}
    caller.post("monthReport", {**MONTH, "reportMonth": "2999-12", "computePowerSupply": {}})
    notes = {each["field"] for each in events_of(caller.simulator, "monthReport")[-1]["findings"]}
    assert notes == {"reportMonth", "computePowerSupply"}


def test_the_platform_is_full_at_some_time(platform, caller_of):
    caller = caller_of(platform(projects_maximum=1, centres_maximum=1, months_maximum=1))
    caller.fill()
    assert caller.post("project", PROJECT)["code"] == 99999
    assert caller.post("computePowerCenter", CENTRE)["code"] == 99999
    assert caller.post("monthReport", {**MONTH, "reportMonth": "2024-11"})["code"] == 99999
    assert caller.post("monthReport", MONTH)["code"] == 200


def test_everything_but_the_tokens_outlives_a_restart(platform, caller_of, tmp_path: Path):
    simulator = platform(state_file=tmp_path / "platform.db")
    caller = caller_of(simulator)
    caller.fill()
    before = control(simulator)
    simulator.stop()

    after = platform(state_file=tmp_path / "platform.db")
    caller.simulator = after
    assert control(after) == before
    assert caller.get("project")["code"] == 10002
    caller.log_in()
    assert caller.post("project", PROJECT)["data"] == "2"


def test_a_state_file_of_before_is_still_one(platform, tmp_path: Path):
    path = tmp_path / "platform.db"
    platform(state_file=path).stop()
    with sqlite3.connect(path) as connection:
        for table in ("entity", "month", "answer"):
            connection.execute(f"DROP TABLE monitoring_{table}")
    connection.close()
    assert control(platform(state_file=path))["projects"] == []


def test_the_control_endpoint_shows_users_months_and_when(caller):
    caller.fill()
    state = control(caller.simulator)
    assert {each["username"]: each["password"] for each in state["users"]} == USERS
    assert state["projects"][0]["user"] == "city"
    assert state["months"][0]["reportMonth"] == "2024-10"
    found = control(caller.simulator, "/months", params={"centerId": "1"})["months"]
    assert json.loads(json.dumps(found)) == [MONTH]


def fault(caller: Any, **description: Any) -> Any:
    url = f"{caller.simulator.control_url}/_control/faults"
    return requests.post(url, json=description, timeout=5)


def test_a_refusal_of_everything_is_in_the_words_of_each_standard(caller):
    assert fault(caller, kind="refuse", count=2).status_code == 201
    assert caller.get("project")["code"] == 99999
    url = f"{caller.simulator.url}/ACSMP/Keepalive"
    answer = caller.session.post(url, json={}, timeout=5)
    assert (answer.status_code, answer.json()["Code"]) == (403, 50001)


def test_a_refusal_that_is_asked_for_has_its_code_and_the_status_200(caller):
    fault(caller, kind="refuse", operation="createProject", code=10005, count=1)
    fault(caller, kind="refuse", operation="createProject", message="忙", count=1)
    fault(caller, kind="refuse", operation="createProject", status=403, code=10003, count=1)
    assert caller.post("project", PROJECT)["code"] == 10005
    assert caller.post("project", PROJECT) == {"code": 99999, "msg": "忙"}
    answer = caller.raw("POST", "project", json=PROJECT)
    assert (answer.status_code, answer.json()["code"]) == (403, 10003)
    assert control(caller.simulator)["projects"] == []
    met = [each["kind"] for each in events_of(caller.simulator, "createProject")]
    assert met == ["fault"] * 3


def test_a_fault_meets_one_operation_of_a_path(caller):
    fault(caller, kind="error", operation="createProject", status=503, count=1)
    assert caller.get("project")["code"] == 200
    assert caller.raw("POST", "project", json=PROJECT).status_code == 503
    assert caller.post("project", PROJECT)["code"] == 200


def test_a_fault_for_nodes_is_none_for_projects(caller):
    answer = fault(caller, kind="forget", operation="createProject")
    assert answer.status_code == 400
    assert "is for nodes" in answer.json()["description"]
