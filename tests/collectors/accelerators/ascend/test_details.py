"""The finer answers of npu-smi: whatever happens to them, never a wrong number."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.accelerators import vendor_tool
from collectors.accelerators.ascend import details, facts, refine
from collectors.accelerators.ascend.facts import Memory, Missing
from collectors.accelerators.ascend.refine import Gap, Question

EXPECTED = Path(__file__).resolve().parents[1] / "expected/ascend/details"

# Of our own answers: what was asked, and the names of the chips on the card.
OWN = {
    "common-duo": (Question("common", 0), ("310P3", "310P3")),
    "usages-duo": (Question("usages", 0), ("310P3", "310P3")),
    "common-910": (Question("common", 0), ("910B3",)),
    "usages-910": (Question("usages", 0), ("910B3",)),
    "usages-950": (Question("usages", 0), ("Ascend950PR",)),
    "power-950": (Question("power", 0), ("Ascend950PR",)),
    "temp-950": (Question("temp", 0), ("Ascend950PR",)),
    "health-alarm": (Question("health", 0, 0), ("910B3",)),
}

FIELD = (
    "board-950-manual",
    "board-card-910A-23.0.5",
    "board-chip-910A-23.0.5",
    "common-310P-i1-2chips",
    "common-910-i0",
    "common-910B1-i1-23.0.rc2",
    "common-950-manual",
    "driver-version-info-23.0.7",
    "ecc-910A-i0-23.0.5",
    "health-950-manual",
    "health-alarm-910A",
    "health-ok-910A",
    "memory-950-manual",
    "power-950-manual",
    "temp-950-manual",
    "usages-310P-i1-2chips",
    "usages-910-i0",
    "usages-910A-23.0.5",
    "usages-910B1-i0-23.0.rc2",
    "usages-950-manual",
)
ASKED_FOR = frozenset({"common", "health", "power", "temp", "usages"})
# These name a single machine, or are sentences.
LEFT_OUT = re.compile(r"serial number|.*die id|error information")


def chips_of(card, names):
    return [
        replace(
            facts.unread(card=card, chip=number, reason="npu-smi gives NA", name=name),
            chips_on_card=len(names),
        )
        for number, name in enumerate(names)
    ]


def answered(text, *, question, names):
    return refine.answers(text, question=question, chips=chips_of(question.card, names))


def own(name, table):
    question, names = OWN[name]
    return answered(table(name), question=question, names=names)


def by_chip(values):
    found = {}
    for gap, value in values.items():
        shown = [value.used_mib, value.total_mib] if isinstance(value, Memory) else value
        found.setdefault(str(gap.chip), {})[gap.field] = shown
    return found


def test_the_power_of_a_310p_is_that_of_its_card(table):
    assert own("common-duo", table) == {
        Gap(0, 0, "temperature_celsius"): 61.0,
        Gap(0, 0, "utilization_percent"): 37.0,
        Gap(0, 1, "temperature_celsius"): 62.0,
        Gap(0, 1, "utilization_percent"): 12.0,
        Gap(0, 0, "power_watts"): 51.7,
    }


def test_the_power_of_the_controller_of_a_910_is_not_that_of_the_chip(table):
    question, names = OWN["common-910"]
    text = table("common-910")

    assert own("common-910", table)[Gap(0, 0, "power_watts")] == 71.5
    without = text.replace("\tNPU Real-time Power(W)         : 71.5\n", "")
    assert Gap(0, 0, "power_watts") not in answered(without, question=question, names=names)


def test_memory_is_that_which_models_use(table):
    duo, with_hbm = own("usages-duo", table), own("usages-910", table)

    assert duo[Gap(0, 0, "memory")] == Memory(used_mib=2214.0, total_mib=44280.0)
    assert duo[Gap(0, 1, "memory")] == Memory(used_mib=4369.0, total_mib=43690.0)
    assert with_hbm[Gap(0, 0, "memory")] == Memory(used_mib=8000.0, total_mib=32000.0)


def test_an_answer_without_numbers_of_chips(table):
    assert own("usages-950", table) == {
        Gap(0, 0, "utilization_percent"): 9.0,
        Gap(0, 0, "memory"): Memory(used_mib=43008.0, total_mib=86016.0),
    }
    assert own("power-950", table) == {Gap(0, 0, "power_watts"): 201.5}
    assert own("temp-950", table) == {Gap(0, 0, "temperature_celsius"): 54.0}


def test_what_is_said_of_a_card_is_not_said_of_a_chip_where_it_may_have_several(table):
    [chip] = chips_of(0, ["Ascend950PR"])
    not_counted = [replace(chip, chips_on_card=None)]

    found = refine.answers(table("usages-950"), question=Question("usages", 0), chips=not_counted)

    assert found == {}


def test_an_answer_without_any_number_is_about_what_was_asked(table):
    text = table("health-alarm")

    assert own("health-alarm", table) == {Gap(0, 0, "health"): "Alarm"}
    [section] = details.sections(text, asked=(3, 1))
    assert (section.card, section.chip) == (3, 1)
    assert section.entries["error information"].text.splitlines() == [
        "a fan of ours stands still",
        "node type=own, event state=Ours.",
    ]
    assert details.sections(text) == ()


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("NPU Real-time Power(W) : 12.5", 12.5),
        ("NPU Real-time Power (W):12.5", 12.5),
        ("NPU Real-time Power(W) : NA", None),
        ("NPU Real-time Power(W) : -", None),
        ("NPU Real-time Power(W) : 0.0", None),
        ("NPU Real-time Power(mW) : 12.5", None),
        ("NPU Real-time Power : 12.5", None),
        ("NPU Real-time Power(W) : 12.5 W", None),
        ("Rated Power Dissipation(W) : 12.8", None),
        ("NPU Real-time Power(W) : 12.5\nNPU Real-time Power(W) : 13.5", None),
    ],
)
def test_what_counts_as_a_power(line, value):
    text = f"NPU ID : 0\n{line}\n"

    found = answered(text, question=Question("power", 0), names=("910B3",)) or {}

    assert found.get(Gap(0, 0, "power_watts")) == value


def test_blocks_that_ran_together_are_nobodys(table):
    text = re.sub(r"\n\n", "\n", table("common-duo"))

    assert answered(text, question=Question("common", 0), names=("310P3", "310P3")) is None


def test_an_answer_about_another_card_is_none(table):
    question = Question("common", 7)

    assert answered(table("common-duo"), question=question, names=("310P3", "310P3")) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Error parameter of -t\nUsage: npu-smi info <watch|proc|-h> [Options...]\n",
        "This device does not support querying power.\n",
        "dcmi module initialize failed. ret is -8005\n",
    ],
)
def test_complaints_are_no_answers(text, table):
    for question, names in OWN.values():
        assert answered(text, question=question, names=names) is None
        assert answered(table("duo"), question=question, names=names) is None


@pytest.mark.parametrize("name", OWN)
def test_every_beginning_of_an_answer_is_never_wrong(name, table):
    question, names = OWN[name]
    text = table(name)
    whole = own(name, table).items()

    for end in range(len(text)):
        found = answered(text[:end], question=question, names=names) or {}
        assert found.items() <= whole


@pytest.mark.parametrize("name", OWN)
def test_an_answer_with_a_line_less_is_never_wrong(name, table):
    question, names = OWN[name]
    lines = table(name).splitlines(keepends=True)
    whole = own(name, table).items()

    for number in range(len(lines)):
        text = "".join(lines[:number] + lines[number + 1 :])
        assert (answered(text, question=question, names=names) or {}).items() <= whole


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: re.sub(r"(?m)$", "   ", text),
        lambda text: re.sub(r"(?m)^\s*(.)", r"        \1", text.replace("\n\n", "\n@\n")).replace(
            "        @\n", "\n"
        ),
        lambda text: re.sub(r"(?m)^(.)", "\x1b[32m\\1\x1b[0m", text),
        lambda text: re.sub(r" +: ", ": ", text),
        lambda text: "[WARN] no log level (ret=4)\n" + text,
    ],
    ids=["crlf", "trailing", "indent", "ansi", "narrow", "before"],
)
def test_what_surrounds_an_answer_changes_nothing(name, change, table):
    question, names = OWN[name]
    text = vendor_tool.decode(change(table(name)).encode())

    assert answered(text, question=question, names=names) == own(name, table)


UNKNOWN_LINES = (
    "\tSocket Power(W)                : 999",
    "\tBoard Temperature(C)           : 99",
    "[WARN] something",
    "+-----+",
    "| 0 | 310P3 | OK |",
    "\tFan : 12 : 13",
    "",
)


@pytest.mark.parametrize("name", OWN)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_widths_and_unknown_lines_never_give_a_wrong_number(name, table, data):
    question, names = OWN[name]
    lines = table(name).splitlines()
    width = data.draw(st.integers(min_value=0, max_value=50))
    lines = [re.sub(" +:", " " * width + ":", line, count=1) for line in lines]
    for row in data.draw(st.lists(st.sampled_from(UNKNOWN_LINES), max_size=4)):
        lines.insert(data.draw(st.integers(min_value=0, max_value=len(lines))), row)

    found = answered("\n".join(lines) + "\n", question=question, names=names) or {}

    assert found.items() <= own(name, table).items()


@given(st.text(alphabet=" :\n\tNPUIDChipmcu()W%0123456789.=|-", max_size=300))
@settings(max_examples=150, deadline=None)
def test_no_text_is_too_strange(text):
    for section in details.sections(text, asked=(0, 0)):
        for key in section.entries:
            section.text(key)
            section.number(key, unit="w")


@pytest.mark.parametrize("stem", FIELD)
def test_an_answer_from_the_field(stem, recording):
    text = recording(f"ascend/{stem}.txt")
    found = shown(text, stem=stem)
    path = EXPECTED / f"{stem}.json"
    if not path.is_file():
        if os.environ.get("COMPUTILITY_WRITE_EXPECTED") == "1":
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        pytest.fail(f"{path.name} was missing: check what is in it now by eye")
    assert found == json.loads(path.read_text(encoding="utf-8"))


def shown(text, *, stem):
    """Return the sections of a recording as JSON has them, and what they give for which chip."""
    sections = details.sections(text, asked=(0, 0))
    values = [
        {
            "card": section.card,
            "chip": section.chip,
            "helper": section.helper,
            **{
                key if entry.unit is None else f"{key} ({entry.unit})": entry.text
                for key, entry in section.entries.items()
                if not LEFT_OUT.fullmatch(key)
            },
        }
        for section in sections
    ]
    kind = stem.split("-")[0]
    if kind not in ASKED_FOR:
        return {"sections": values}
    card = sections[0].card
    name = "310P3" if "310P" in stem else "910"
    names = [name] * max(1, sum(section.chip is not None for section in sections))
    question = Question(kind, card, 0 if kind == "health" else None)
    return {"sections": values, "gives": by_chip(answered(text, question=question, names=names))}


def test_the_errors_of_an_alarm_from_the_field_stay_together(recording):
    [section] = details.sections(recording("ascend/health-alarm-910A.txt"), asked=(0, 0))

    assert len(section.entries["error code"].text.split()) == 3
    assert len(section.entries["error information"].text.splitlines()) == 3


def test_a_missing_key_says_so(table):
    [section] = details.sections(table("power-950"))

    assert section.number("fan", unit="%") == Missing("not in this answer of npu-smi")
