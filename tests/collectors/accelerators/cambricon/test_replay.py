"""Recordings: what is written down is read back, and what somebody edited does no harm."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import PermanentError, ReadingUnavailable
from collectors.accelerators.cambricon.library import RecordedCalls
from collectors.accelerators.cambricon.plugin import CambriconConfig, CambriconPlugin
from collectors.accelerators.vendor_tool import RecordedTool


@pytest.mark.peer
def test_a_recording_plays_back_what_was_read(stub, printed, own_table):
    plugin = CambriconPlugin(
        CambriconConfig(library=stub("mim")), tool=printed(own_table("release-6-modules"))
    )
    files = plugin.record()

    again = CambriconPlugin.replay(CambriconConfig(), files)
    by_tool = CambriconPlugin.replay(CambriconConfig(source="tool"), files)

    assert again.list_accelerators() == plugin.list_accelerators()
    assert again.read() == plugin.read()
    assert [card.product_name for card in by_tool.list_accelerators()] == ["MLU590-M9"] * 4
    with pytest.raises(ReadingUnavailable):
        again.grant([again.list_accelerators()[0].uuid])


CALLS = st.sampled_from(
    [
        "cndevInit(0)",
        "cndevGetDeviceCount()",
        "cndevGetDeviceHandleByIndex(0)",
        "cndevGetUUID(100)",
        "cndevGetMemoryUsageV2(100)",
        "cndevGetCardHealthStateV2(100)",
        "cndevGetPCIeInfoV2(100)",
        "cndevGetMimMode(100)",
        "cndevGetAllMluInstanceInfo(100)",
        "cndevGetMluInstanceById(1, 100)",
    ]
)
NAMES = ("number", "device", "uuid", "physical_total", "health", "overall", "incidents", "bus",
         "domain", "function", "mode", "instances", "instance_id", "memory_size")  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 300) | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4)
    ),
    max_leaves=12,
)
ANSWERS = st.fixed_dictionaries({"code": st.just(0) | JSON, "value": JSON})


@given(st.dictionaries(CALLS, ANSWERS | JSON, max_size=10), st.booleans())
def test_an_edited_recording_ends_in_values_or_in_words(answers, starts):
    if starts:
        answers |= {
            "cndevInit(0)": {"code": 0},
            "cndevGetDeviceCount()": {"code": 0, "value": {"number": 1}},
            "cndevGetDeviceHandleByIndex(0)": {"code": 0, "value": {"device": 100}},
            "cndevGetDevicePowerInfo(100)": {"code": 0, "value": {"usage": 5}},
            "cndevGetMimMode(100)": {"code": 0, "value": {"mode": 1}},
        }
    files = {
        "index.json": json.dumps({"version": 1, "tools": []}),
        "library.json": json.dumps({"cndevRelease()": {"code": 0}, **answers}),
    }
    plugin = CambriconPlugin.replay(CambriconConfig(), files)

    with contextlib.suppress(ReadingUnavailable):
        assert len(plugin.list_accelerators()) == len(plugin.read())


def test_a_recording_of_another_vendor_is_refused():
    files = {"index.json": '{"version": 1, "tools": []}'}

    with pytest.raises(PermanentError):
        CambriconPlugin.replay(CambriconConfig(), files)


def test_nothing_to_record_is_said():
    with pytest.raises(ReadingUnavailable):
        CambriconPlugin(
            CambriconConfig(), calls=RecordedCalls({}), tool=RecordedTool("cnmon", {})
        ).record()
