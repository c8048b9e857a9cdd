"""The messages of annex A as bytes."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import AgentError, PermanentError, PlatformRejected, TransientError
from agent.protocols.tc609 import month_report, wire_answers, wire_reports
from agent.protocols.tc609.figures_file import Figures
from agent.protocols.tc609.month_report import Month
from agent.protocols.tc609.report_map import DEFAULT_MAP
from tests.agent.protocols.tc609.declarations import centre, project, totals

GOLDEN = Path(__file__).parents[3] / "golden" / "tc609"
GROUP = "computePowerInvestment"
FIGURES = Figures(
    always={"racks": 1200, "power_capacity_kva": 20000, "domestic_ratio": 0.85},
    months={"2026-01": {"rack_ratio": 0.62, "security_service": "等保三级"}},
)


def report_body() -> bytes:
    return month_report.render(
        Month(year=2026, month=1),
        totals=totals(),
        figures=FIGURES,
        report_map=DEFAULT_MAP,
        centre_id=7,
        centre_name="示例算力中心",
    ).body


MESSAGES = {
    "token_request": lambda: wire_reports.encode_token_request(username="centre", password="字"),
    "project_creation": lambda: wire_reports.encode_project_creation(project(), group=GROUP),
    "project_creation_flat": lambda: wire_reports.encode_project_creation(
        project(cluster=None, hub=None), group=None
    ),
    "project_change": lambda: wire_reports.encode_project_change(
        project(), identifier=3, group=GROUP
    ),
    "project_change_by_name": lambda: wire_reports.encode_project_change(
        project(), identifier=None, group=GROUP
    ),
    "centre_creation": lambda: wire_reports.encode_centre_creation(centre(), project_ids=[1, 2]),
    "centre_creation_without_project": lambda: wire_reports.encode_centre_creation(
        centre(description=None, cluster=None, hub=None, production_date=None), project_ids=[]
    ),
    "centre_change": lambda: wire_reports.encode_centre_change(
        centre(), identifier=7, project_ids=[1]
    ),
    "centre_change_by_name": lambda: wire_reports.encode_centre_change(
        centre(), identifier=None, project_ids=[1]
    ),
    "month_report": report_body,
}


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_is_as_it_stands_in_its_file(name):
    golden = GOLDEN / f"{name}.json"
    assert json.loads(MESSAGES[name]()) == json.loads(golden.read_bytes())


def test_keys_stand_in_the_order_of_the_tables():
    assert list(json.loads(MESSAGES["month_report"]())) == [
        "centerId", "centerName", "reportMonth", "computePowerSupply", "computePowerApplication",
        "computeElectricitySynergy", "computeNetworkSecurity",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"name": "字" * 41}, "name"),
        ({"name": " "}, "name"),
        ({"description": "字" * 801}, "description"),
        ({"province": "44"}, "province"),
        ({"city": "330100"}, "city"),
        ({"longitude": 180.1}, "longitude"),
        ({"latitude": float("nan")}, "latitude"),
        ({"cluster": "11"}, "cluster"),
        ({"hub": "1"}, "hub"),
    ],
)
def test_what_the_standard_does_not_allow_cannot_be_declared(changed, word):
    with pytest.raises(ValueError, match=word):
        centre(**changed)


def test_the_longest_names_and_descriptions_are_allowed():
    assert len(project(name="字" * 40).name) == 40
    assert len(centre(name="字" * 40, description="字" * 800).description) == 800


def answered(fields, *, status=200):
    return wire_answers.decode_answer(json.dumps(fields).encode(), status=status)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (10001, PermanentError),
        (10002, wire_answers.TokenRefused),
        (10003, PermanentError),
        (10004, PlatformRejected),
        (10005, PlatformRejected),
        (10006, PermanentError),
        (99999, PlatformRejected),
        (12345, PlatformRejected),
        ("10004", PlatformRejected),
    ],
)
@pytest.mark.parametrize("status", [200, 400, 500])
def test_the_code_decides_before_the_status(code, error, status):
    with pytest.raises(error):
        answered({"code": code, "msg": "原因"}, status=status)
    assert answered({"code": "200"}, status=status)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (200, TransientError),
        (400, PlatformRejected),
        (401, wire_answers.TokenRefused),
        (403, TransientError),
        (404, TransientError),
        (422, PlatformRejected),
        (429, TransientError),
        (502, TransientError),
    ],
)
@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b'{"code": null}', b'{"code":true}']
)
def test_without_a_code_the_status_decides(status, error, body):
    with pytest.raises(error):
        wire_answers.decode_answer(body, status=status)


def test_the_wish_of_a_busy_platform_is_handed_on():
    for body in (b"", b'{"code": 99999, "msg": "busy"}'):
        with pytest.raises(TransientError) as caught:
            wire_answers.decode_answer(body, status=429, retry_after_seconds=7)
        assert caught.value.retry_after_seconds == 7


def test_a_reason_cannot_break_a_line_of_the_log():
    with pytest.raises(PlatformRejected) as caught:
        answered({"code": 10005, "msg": "a\nevent=x\x1b[2J" + "y" * 500})
    assert "\n" not in caught.value.message
    assert "\x1b" not in caught.value.message
    assert len(caught.value.message) <= 200


@pytest.mark.parametrize("data", ["5", 5, ["5"], {"id": "5"}, 5.0])
def test_an_id_comes_as_text_or_number(data):
    assert wire_answers.decode_identifier({"data": data}) == 5


@pytest.mark.parametrize("data", [None, "", "x", -1, True, 1.5, "9" * 30, []])
def test_what_is_no_id_is_none(data):
    assert wire_answers.decode_identifier({"data": data}) is None


CENTRE = {
    "id": "7", "name": "示例算力中心", "projectId": "1;2", "clusterId": 4, "hubId": "13",
    "longitude": "113.5", "latitude": 24, "province": 44, "city": "4402", "type": "3",
    "productionDate": "2024-1-9", "extra": [1],
}  # fmt: skip


@pytest.mark.parametrize(
    "data",
    [
        {"total": 1, "datalist": [CENTRE]},
        [{"total": 1, "datalist": [CENTRE]}],
        {"total": 1, "datalist": CENTRE},
        {"Total": 1, "DataList": [CENTRE]},
        [CENTRE],
        CENTRE,
    ],
)
def test_a_centre_is_read_in_every_spelling(data):
    (found,) = wire_answers.decode_centres({"data": data})
    assert found.identifier == 7
    assert found.project_ids == (1, 2)
    assert (found.cluster, found.hub, found.type) == ("4", "13", 3)
    assert (found.longitude, found.latitude) == (113.5, 24)
    assert (found.province, found.city) == ("440000", "440200")
    assert found.production_date == date(2024, 1, 9)


@pytest.mark.parametrize(
    "data", [None, [], {}, {"total": 0}, {"total": 0, "datalist": None}, {"datalist": []}]
)
def test_no_record_is_an_empty_list(data):
    if data == {}:
        # Not one word of a list: a record that tells nothing.
        assert wire_answers.decode_centres({"data": data})[0].identifier is None
    else:
        assert wire_answers.decode_centres({"data": data}) == ()


def test_members_are_found_in_their_group_or_beside_the_rest():
    nested = {"projectName": "p", "id": 1, "computePowerInvestment": {"a": 1}}
    flat = {"projectName": "p", "id": 1, "a": 1}
    for record in (nested, flat):
        (found,) = wire_answers.decode_projects({"data": {"datalist": [record]}}, group=GROUP)
        assert found.investment == {"a": 1}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["code", "data", "datalist", "total", "id", "name", "projectId", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON, st.sampled_from([200, 401, 404, 500]))
def test_no_answer_breaks_the_reader(value, status):
    try:
        fields = wire_answers.decode_answer(json.dumps(value).encode(), status=status)
        wire_answers.decode_identifier(fields)
        wire_answers.decode_projects(fields, group=GROUP)
        wire_answers.decode_centres(fields)
        wire_answers.decode_reports(fields)
        wire_answers.decode_token(fields)
    except AgentError:
        pass


@given(
    longitude=st.floats(-180, 180), latitude=st.floats(-90, 90),
    ids=st.lists(st.integers(0, 10**9), max_size=4, unique=True),
    day=st.dates(date(1990, 1, 1), date(2100, 1, 1)),
)  # fmt: skip
def test_a_centre_that_is_sent_is_read_back_as_the_same(longitude, latitude, ids, day):
    declared = centre(longitude=longitude, latitude=latitude, production_date=day)
    sent = json.loads(wire_reports.encode_centre_creation(declared, project_ids=ids))
    (found,) = wire_answers.decode_centres({"data": {"datalist": [{"id": 1, **sent}]}})
    assert found.project_ids == tuple(ids)
    assert found.production_date == day
    assert found.longitude == pytest.approx(longitude, abs=5.1e-7)
    assert found.latitude == pytest.approx(latitude, abs=5.1e-7)
    assert wire_reports.degrees(found.longitude) == found.longitude
