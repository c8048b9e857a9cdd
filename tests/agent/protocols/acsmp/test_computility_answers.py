"""What an agent tells in annex G is read back as what it is, and nothing else is."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import PlatformRejected, TransientError
from agent.model.operations import CardLoad, NodeLoad
from agent.protocols.acsmp import computility_answers, wire_monitoring
from agent.protocols.acsmp.device_info import device_info
from agent.protocols.acsmp.wire_monitoring import ComputilityInfo, ComputilityQuery

CODE = "11010800005020000001"
GIB = 2**30


def decode(document, *, status=200):
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return computility_answers.decode_node(body, status=status)


def test_the_golden_answer_is_one_node(golden):
    node = decode(golden("computility_list_response"))
    assert node == NodeLoad(
        codes=frozenset({CODE}),
        logical_cores=64,
        cpu_utilization_ratio=node.cpu_utilization_ratio,
        memory_total_bytes=128 * GIB,
        memory_used_bytes=round(45.3 * GIB),
        cards=(
            CardLoad(
                memory_total_bytes=16 * GIB, memory_used_bytes=5 * GIB, utilization_ratio=0.233444
            ),
            CardLoad(),
        ),
    )


def test_what_the_device_api_writes_is_read_back(view):
    info = ComputilityInfo(
        computility_code=CODE,
        device_infos=[
            device_info(view, computility_code=CODE, address=None, identify=lambda _: None)
        ],
    )
    body = wire_monitoring.encode_computility_list([info], query=ComputilityQuery(), request_id="1")
    node = decode(body)
    assert node.codes == {CODE}
    assert node.logical_cores == view.cpu.logical_cores
    assert node.cpu_utilization_ratio == view.cpu.utilization_ratio
    # 1 MiB in GiB is the last place that travels.
    assert abs(node.memory_total_bytes - view.memory.total_bytes) <= 2**20
    assert len(node.cards) == len(view.accelerators)


def test_a_key_that_is_not_there_is_unknown_and_an_empty_list_is_none(golden):
    document = golden("computility_list_response")
    device = document["Data"]["PageContent"][0]["DeviceInfos"][0]
    for name in ("Cpu", "CpuUtilization", "Memory", "MemoryUsed", "XpuMonitors"):
        device.pop(name, None)
    assert decode(document) == NodeLoad(codes=frozenset({CODE}))
    device["XpuMonitors"] = []
    assert decode(document).cards == ()


def test_a_node_under_the_codes_of_two_platforms_is_one_node(golden):
    document = golden("computility_list_response")
    content = document["Data"]["PageContent"]
    content.append(copy.deepcopy(content[0]))
    content[1]["ComputilityCode"] = content[1]["DeviceInfos"][0]["DeviceID"] = "2"
    assert decode(document).codes == {CODE, "2"}
    content[1]["DeviceInfos"][0]["Memory"] = 64
    with pytest.raises(TransientError, match="several nodes"):
        decode(document)


def test_an_answer_without_a_node_is_none():
    with pytest.raises(TransientError, match="no node"):
        decode({"Code": 0, "Message": "success", "Data": {"PageContent": []}})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Memory", -1),
        ("Memory", 2**31),
        ("Memory", "128"),
        ("Memory", True),
        ("CpuUtilization", 23.3),
        ("CpuUtilization", None),
        ("Cpu", -4),
        ("XpuMonitors", "none"),
        ("XpuMonitors", [{}] * 5000),
    ],
)
def test_a_value_that_cannot_be_makes_no_figure(golden, name, value):
    document = golden("computility_list_response")
    document["Data"]["PageContent"][0]["DeviceInfos"][0][name] = value
    if value is None:
        assert decode(document).cpu_utilization_ratio is None
        return
    with pytest.raises(TransientError, match=name):
        decode(document)


def test_a_refusal_is_one_and_trouble_is_trouble():
    with pytest.raises(PlatformRejected):
        decode({"Code": 401, "Message": "wrong user, password or token"}, status=401)
    with pytest.raises(PlatformRejected):
        decode({"Code": 404, "Message": "no such path"}, status=404)
    with pytest.raises(TransientError):
        decode({"Code": 503, "Message": "busy"}, status=503)
    with pytest.raises(TransientError):
        decode(b"<html>", status=200)


NAMES = ["Code", "Data", "PageContent", "DeviceInfos", "DeviceID", "Memory", "Cpu", "XpuMonitors"]
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5)
    ),
    max_leaves=20,
)


@given(ANY)
def test_no_answer_breaks_it(data):
    try:
        node = decode({"Code": 0, "Data": {"PageContent": [{"DeviceInfos": data}]}})
    except TransientError:
        return
    assert isinstance(node, NodeLoad)
