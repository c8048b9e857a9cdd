"""Each message stands as the tables have it, and nothing unknown becomes a number."""

from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model import operations
from agent.model.metering import Quality
from agent.model.operations import CentreLoad
from agent.model.secret import Secret
from agent.protocols.tc609 import operational, wire
from agent.protocols.tc609.operational import OperationalMembers
from agent.protocols.tc609.wire import Code
from tests.agent.protocols.tc609.makers import KILOWATT_HOUR, hour, known, unknown

FIGURES = {
    "computing_utilization_ratio": 0.625,
    "cpu_utilization_ratio": 0.25,
    "accelerator_utilization_ratio": 0.625,
    "memory_utilization_ratio": 0.5,
    "accelerator_memory_utilization_ratio": None,
    "computing_power_tflops": 260.0,
    "schedulable_computing_power_tflops": 130.0,
    "node_count": 2,
    "accelerator_count": 4,
    "memory_gib": 256.0,
    "of_another_program": 1,
}


def supervision(made):
    return json.loads(wire.encode_supervision(made))


def test_a_token_stands_as_in_table_a_1_2(golden):
    sent = wire.encode_token(Secret("uR3vZ0k"), expires_in_seconds=3600)
    assert json.loads(sent) == golden("token_response")


def test_a_refusal_has_a_code_and_words(golden):
    sent = wire.encode_failure(Code.SIGN_MISSING, "this needs the header sign")
    assert json.loads(sent) == golden("failure")
    assert json.loads(wire.encode_failure(Code.OTHER, ""))["msg"]
    assert len(json.loads(wire.encode_failure(Code.OTHER, "x" * 9999))["msg"]) == 1024


def test_the_codes_are_those_of_annex_c():
    assert {code.value for code in Code} == {200, *range(10001, 10007), 99999}
    assert set(wire.HTTP_STATUSES) == set(Code)


def test_an_hour_stands_as_in_table_b_2_3(golden):
    assert supervision(hour()) == golden("supervision_system_data_response")


def test_what_is_unknown_is_null_and_explained(golden):
    made = hour(
        facility=known(KILOWATT_HOUR // 2),
        it=unknown("no reading"),
        green=unknown("no meter has a green role"),
        water=unknown("no meter has the role water"),
        pue=None,
        wue_litres_per_kwh=None,
        unknown={"pue": "the IT energy is unknown", "wue": "no meter has the role water"},
    )
    assert supervision(made) == golden("supervision_system_data_unknown_response")


def test_without_an_hour_everything_is_null():
    answer = supervision(None)

    assert answer["code"] == 200
    assert set(answer["data"].values()) == {None}
    assert set(answer["data"]) == set(supervision(hour())["data"])
    assert answer["msg"]


@pytest.mark.parametrize("quality", [Quality.PARTIAL, Quality.UNKNOWN])
def test_a_figure_of_too_little_coverage_is_no_figure(quality):
    answer = supervision(hour(facility=known(KILOWATT_HOUR, quality)))

    assert answer["data"]["electricityConsume"] is None
    assert "electricityConsume is unknown" in answer["msg"]


def test_a_flag_is_told_beside_its_figure():
    answer = supervision(hour(pue=0.9, flags=("pue_below_1",)))

    assert answer["data"]["pue"] == 0.9
    assert answer["msg"] == "note: pue_below_1"


def test_an_hour_that_is_not_covered_whole_is_no_figure():
    most = dataclasses.replace(known(KILOWATT_HOUR), coverage_ratio=0.917)
    answer = supervision(hour(facility=most))

    assert answer["data"]["electricityConsume"] is None
    assert answer["msg"] == (
        "electricityConsume is unknown: readings cover 91.7% of the hour, 1.000 kWh"
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_ratio_that_is_no_number_is_null(value):
    assert supervision(hour(pue=value))["data"]["pue"] is None


def test_nothing_used_is_zero_and_not_unknown():
    answer = supervision(hour(green=known(0)))

    assert answer["data"]["greenElectricityConsume"] == 0
    assert "msg" not in answer


@given(st.integers(0, 10**18))
def test_joules_become_kilowatt_hours_to_the_watt_hour(joules):
    sent = supervision(hour(facility=known(joules)))["data"]["electricityConsume"]

    assert sent == pytest.approx(joules / KILOWATT_HOUR, abs=0.0005 + 1e-3 * (joules > 10**15))
    assert round(sent, 3) == sent


def test_operational_data_stand_in_the_groups_of_table_b_1_3(golden):
    sent = OperationalMembers().encode(CentreLoad(figures=FIGURES))
    assert json.loads(sent) == golden("operational_data_response")


def test_every_figure_of_the_default_map_is_in_one_of_the_two_groups():
    groups = {place.split(".")[0] for place in operational.DEFAULT_MEMBERS.values()}
    assert groups == {operational.LOAD_GROUP, operational.SCALE_GROUP}


def test_a_site_may_have_members_of_its_own():
    members = OperationalMembers(
        {"node_count": "nodes", "memory_gib": "算力规模.内存", "missing": "a.b.c"}
    )
    answer = json.loads(members.encode(CentreLoad(figures=FIGURES)))

    assert answer["data"] == {"nodes": 2, "算力规模": {"内存": 256.0}, "a": {"b": {"c": None}}}
    assert answer["msg"] == "unknown: a.b.c"


def test_figures_that_are_unknown_for_one_reason_stand_together():
    members = OperationalMembers({"a": "x.a", "b": "x.b", "c": "c", "d": "d"})
    dead = "no answer of 1 of 5 nodes: 192.0.2.21:8123"
    load = CentreLoad(figures={"d": 1}, unknown={"a": dead, "b": "none", "c": dead})
    answer = json.loads(members.encode(load))

    assert answer["data"] == {"x": {"a": None, "b": None}, "c": None, "d": 1}
    assert answer["msg"] == f"unknown: x.a, c ({dead}); unknown: x.b (none)"


def test_the_default_map_has_a_place_for_every_figure():
    assert tuple(operational.DEFAULT_MEMBERS) == operations.FIGURES


def test_nothing_known_of_the_centre_is_null_throughout():
    answer = json.loads(OperationalMembers({"a": "x.y", "b": "z"}).encode(None))

    assert answer["data"] == {"x": {"y": None}, "z": None}
    assert answer["msg"]


@pytest.mark.parametrize("value", [float("nan"), float("-inf"), [], {}, object()])
def test_what_is_no_figure_is_null(value):
    answer = json.loads(OperationalMembers({"a": "a"}).encode(CentreLoad(figures={"a": value})))
    assert answer["data"] == {"a": None}


@pytest.mark.parametrize(
    "members",
    [{"a": ""}, {"a": "x."}, {"a": ".x"}, {"a": "1.2.3.4.5"}, {"a": "x", "b": "x"},
     {"a": "x", "b": "x.y"}, {"a": "x.y", "b": "x"}, {"a": "x.y.z", "b": "x.y"}],
)  # fmt: skip
def test_a_map_that_cannot_be_is_refused(members):
    with pytest.raises(ValueError, match=r"place|already|both"):
        OperationalMembers(members)
