"""Every recording from the field has what must come of it, be it that nothing may.

What is expected lies in `expected/<vendor>/`: the cards of a recording, or in a folder below what
else it gives. In `no-source` stands why a text is no source of any figure.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from agent import contracts
from agent.errors import ReadingUnavailable
from collectors.accelerators.amd import parse as amd
from collectors.accelerators.ascend import facts, listings, refine
from collectors.accelerators.ascend import table as ascend_table
from collectors.accelerators.ascend.refine import Question
from collectors.accelerators.axera import parse as axera
from collectors.accelerators.cambricon import table as cambricon_table
from collectors.accelerators.hygon import parse as hygon
from collectors.accelerators.metax import parse as metax
from collectors.accelerators.nvidia import smi, smi_csv, smi_output, smi_table, smi_tree
from collectors.accelerators.recording import Recording
from collectors.accelerators.vendor_tool import ToolAnswer

HERE = Path(__file__).resolve().parent
EXPECTED = HERE / "expected"

# Complaints and listings: what must come of these is a few words, which stand in the tests.
IN_TESTS = {
    "error-dcmi-8005": "ascend/test_recordings.py",
    "error-dcmi-8020-device-used": "ascend/test_recordings.py",
    "error-invalid-card-id": "ascend/test_recordings.py",
    "list-310-4chips-edited": "ascend/test_recordings.py",
    "list-310-atlas200-annotated-22.0.4": "ascend/test_recordings.py",
    "list-950-manual": "ascend/test_recordings.py",
    "mapping-310-1card-4chips-20.2.0": "ascend/test_recordings.py",
    "mapping-310-1card-4chips-mcu-21.0.4": "ascend/test_recordings.py",
    "mapping-310P-x4cards-2chips-mcu": "ascend/test_recordings.py",
    "mapping-910A-x8-22.0.3.1": "ascend/test_recordings.py",
    "mapping-910A-x8-23.0.5": "ascend/test_recordings.py",
    "mapping-910A-x8-24.1.RC2": "ascend/test_recordings.py",
    "mapping-910B-x8-mcu": "ascend/test_recordings.py",
    "mapping-910B3-mcu": "ascend/test_recordings.py",
    "mapping-950-manual": "ascend/test_recordings.py",
    "error-gpu-lost": "nvidia/test_recordings.py",
    "error-gpu-lost-mixed-with-csv": "nvidia/test_recordings.py",
    "error-no-driver": "nvidia/test_recordings.py",
    "error-version-mismatch-580": "nvidia/test_recordings.py",
}

# How each vendor's tool is asked for its cards, so that a text can stand for every answer.
QUESTIONS: dict[str, tuple[str, Sequence[tuple[str, ...]]]] = {
    "amd": ("rocm-smi", [("-a", "--json")]),
    "ascend": ("npu-smi", [("info",), ("info", "-m"), ("info", "-l")]),
    "axera": ("axcl-smi", [()]),
    "cambricon": ("cnmon", [()]),
    "hygon": ("hy-smi", [()]),
    "metax": ("mx-smi", [()]),
    "nvidia": ("nvidia-smi", smi.FORMS),
}


def _finer_answers(text: str) -> list[Any]:
    chip = dataclasses.replace(
        facts.unread(card=0, chip=0, reason="not read", name="910A"), chips_on_card=1
    )
    kinds = ("common", "usages", "power", "temp", "health")
    answers = [
        refine.answers(text, question=Question(kind, 0), chips=[chip]) or {} for kind in kinds
    ]
    return [value for each in answers for value in each.values()]


# Every way in which a vendor's texts are read; none of them may find anything.
PARSERS: dict[str, Sequence[Callable[[str], Any]]] = {
    "amd": [amd.json_cards],
    "ascend": [ascend_table.parse, listings.places, listings.products, _finer_answers],
    "axera": [axera.table_cards],
    "cambricon": [cambricon_table.read],
    "hygon": [hygon.any_cards, hygon.table_cards],
    "metax": [metax.table_cards],
    "nvidia": [
        lambda text: smi_output.read(text).gpus,
        lambda text: smi_csv.read_csv(text).gpus,
        lambda text: smi_table.read_table(text).gpus,
        lambda text: smi_tree.read_long_text(text).gpus,
        smi_output.slice_names,
    ],
}

NO_SOURCE = sorted(EXPECTED.glob("*/no-source/*.json"))


def _texts(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*.txt")) if path.is_file())


def test_every_recording_has_what_is_expected_of_it(recordings_folder: Path) -> None:
    expected = {path.stem for path in EXPECTED.rglob("*.json")}

    without = [
        str(path.relative_to(recordings_folder))
        for path in _texts(recordings_folder)
        if path.stem not in expected and path.stem not in IN_TESTS
    ]

    assert without == []


def test_every_recording_of_the_index_is_there_and_no_other(recordings_folder: Path) -> None:
    index = (recordings_folder / "INDEX.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `([a-z]+/[^`]+\.txt)`", index, re.MULTILINE)

    assert sorted(listed) == sorted(
        str(path.relative_to(recordings_folder)) for path in _texts(recordings_folder)
    )


def test_what_is_expected_is_of_a_recording_that_is_there(recordings_folder: Path) -> None:
    there = {path.stem for path in _texts(recordings_folder)}

    assert {
        str(path.relative_to(EXPECTED))
        for path in EXPECTED.rglob("*.json")
        if path.stem not in there and path.relative_to(EXPECTED).parts[0] != "blueprint"
    } == set()
    assert set(IN_TESTS) <= there


@pytest.mark.parametrize("stem", IN_TESTS)
def test_what_stands_in_a_test_is_tested(stem: str) -> None:
    assert f'"{stem}"' in (HERE / IN_TESTS[stem]).read_text(encoding="utf-8")


@pytest.mark.parametrize("path", NO_SOURCE, ids=lambda path: path.stem)
def test_what_is_no_source_gives_nothing_and_the_reason_is_told(
    path: Path, recordings_folder: Path, recording: Callable[[str], str]
) -> None:
    (found,) = recordings_folder.rglob(f"{path.stem}.txt")
    text = recording(str(found.relative_to(recordings_folder)))
    vendor = path.parts[-3]
    assert json.loads(path.read_text(encoding="utf-8"))["no source"]

    for parser in PARSERS[vendor]:
        assert not parser(text), parser

    program, questions = QUESTIONS[vendor]
    answer = ToolAnswer(text=text, exit_status=0)
    recorded = Recording(tools={program: dict.fromkeys(questions, answer)})
    (entry_point,) = entry_points(group=contracts.ACCELERATORS, name=vendor)
    plugin_type = entry_point.load()
    plugin = plugin_type.replay(plugin_type.config_type(), recorded.to_files())
    for read in (plugin.list_accelerators, plugin.read):
        with pytest.raises(ReadingUnavailable) as caught:
            read()
        assert caught.value.reason
