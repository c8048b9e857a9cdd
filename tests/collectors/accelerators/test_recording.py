"""A recording comes back as it was, and a bad one is refused in words."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import PermanentError
from agent.sampling.file_messages import is_file_name
from collectors.accelerators.recording import INDEX, LIBRARY, Recording
from collectors.accelerators.vendor_tool import ToolAnswer

words = st.lists(st.text(max_size=30), max_size=4).map(tuple)
answers = st.builds(ToolAnswer, text=st.text(), exit_status=st.integers(-64, 255))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
recordings = st.builds(
    Recording,
    tools=st.dictionaries(st.text(max_size=20), st.dictionaries(words, answers, min_size=1)),
    library=st.dictionaries(st.text(), json_values),
)


@given(recordings)
def test_what_was_written_is_read(recording):
    files = recording.to_files()
    assert Recording.from_files(files) == recording
    assert all(is_file_name(name) for name in files)


def test_two_commands_whose_names_fall_together_keep_their_answers():
    answers = {
        ("-i", "0"): ToolAnswer(text="zero", exit_status=0),
        ("i/0",): ToolAnswer(text="path", exit_status=1),
        ("x" * 200,): ToolAnswer(text="long", exit_status=0),
        ("x" * 201,): ToolAnswer(text="longer", exit_status=0),
    }
    recording = Recording(tools={"npu-smi": answers, "NPU-SMI": answers})
    files = recording.to_files()
    assert len(files) == 9
    assert Recording.from_files(files) == recording


def test_the_files_can_be_read_by_people():
    recording = Recording(
        tools={"npu-smi": {("info", "-t", "board"): ToolAnswer(text="板卡\n", exit_status=0)}},
        library={"dcmi_init()": {"code": -8005, "value": None}},
    )
    files = recording.to_files()
    assert sorted(files) == [INDEX, LIBRARY, "npu-smi-info-t-board.txt"]
    assert files["npu-smi-info-t-board.txt"] == "板卡\n"
    assert json.loads(files[INDEX])["tools"] == [
        {
            "program": "npu-smi",
            "words": ["info", "-t", "board"],
            "exit_status": 0,
            "file": "npu-smi-info-t-board.txt",
        }
    ]


def index(**entry):
    good = {"program": "acme-smi", "words": [], "exit_status": 0, "file": "a.txt"}
    return json.dumps({"version": 1, "tools": [{**good, **entry}]})


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({}, "index.json is missing"),
        ({INDEX: "{"}, "this is no recording"),
        ({INDEX: "[]"}, "this is no recording"),
        ({INDEX: "{}"}, "version is missing"),
        ({INDEX: '{"version": 2, "tools": []}'}, "of version 2; this program reads 1"),
        ({INDEX: '{"version": 1}'}, "tools is missing"),
        ({INDEX: '{"version": 1, "tools": 7}'}, "this is no recording"),
        ({INDEX: '{"version": 1, "tools": ["x"]}'}, "this is no recording"),
        ({INDEX: index()}, "a.txt is missing"),
        ({INDEX: index(file="../../etc/passwd")}, "../../etc/passwd is missing"),
        ({INDEX: index(file="/etc/passwd")}, "/etc/passwd is missing"),
        ({INDEX: index(file=["a.txt"])}, "this is no recording"),
        ({INDEX: index(exit_status="much"), "a.txt": ""}, "this is no recording"),
        ({INDEX: index(exit_status=None), "a.txt": ""}, "this is no recording"),
        ({INDEX: index(words=7), "a.txt": ""}, "this is no recording"),
        ({INDEX: index(), "a.txt": "", LIBRARY: "[]"}, "library.json is no JSON object"),
        ({INDEX: index(), "a.txt": "", LIBRARY: "{"}, "this is no recording"),
        ({INDEX: "[" * 100_000}, "this is no recording"),
        ({INDEX: index(), "a.txt": "", LIBRARY: '{"a":' * 100_000}, "this is no recording"),
    ],
)
def test_what_is_no_recording_is_refused_in_words(files, reason):
    with pytest.raises(PermanentError) as refused:
        Recording.from_files(files)
    assert reason in refused.value.reason


@given(st.dictionaries(st.sampled_from([INDEX, LIBRARY, "a.txt"]), json_values.map(json.dumps)))
def test_no_files_are_too_strange(files):
    with contextlib.suppress(PermanentError):
        Recording.from_files(files)
