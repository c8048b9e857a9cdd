"""The table of `npu-smi info`: whatever happens to it, never a wrong number."""

from __future__ import annotations

import re
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.model.accelerator import AcceleratorProcess
from collectors.accelerators import vendor_tool
from collectors.accelerators.ascend import table as parser
from collectors.accelerators.ascend.facts import Missing

MIB = 1024 * 1024
TABLES = ("duo", "four-chips", "910a", "910b-26", "two-dies", "950", "soc", "gaps")
VALUES = ("name", "health", "power_watts", "temperature_celsius", "utilization_percent", "bus_id")


def facts_of(chip):
    values = {name: getattr(chip, name) for name in VALUES}
    values |= {"used_mib": chip.memory.used_mib, "total_mib": chip.memory.total_mib}
    values |= {"users": chip.users}
    return values | {"index": chip.index, "chips_on_card": chip.chips_on_card}


def assert_never_wrong(found, whole):
    """Assert that every value is that of the whole table, or unknown."""
    right = {(chip.card, chip.chip): facts_of(chip) for chip in whole}
    for chip in found or ():
        assert (chip.card, chip.chip) in right
        for name, value in facts_of(chip).items():
            is_unknown = value is None or isinstance(value, Missing)
            assert is_unknown or value == right[chip.card, chip.chip][name], (chip, name)


def test_a_card_of_two_chips(table):
    first, second, third, fourth = parser.parse(table("duo"))

    assert facts_of(first) == {
        "name": "310P3",
        "health": "OK",
        "power_watts": Missing("npu-smi gives NA"),
        "temperature_celsius": 41.0,
        "utilization_percent": 37.0,
        "bus_id": "0000:05:00.0",
        "used_mib": 2000.0,
        "total_mib": 44280.0,
        "users": (AcceleratorProcess(pid=4242, memory_used_bytes=1200 * MIB),),
        "index": 0,
        "chips_on_card": 2,
    }
    assert (second.card, second.chip, second.health) == (0, 1, "Warning")
    assert (third.card, third.chip, third.bus_id) == (32768, 0, "0000:c5:00.0")
    assert (third.memory.used_mib, third.memory.total_mib) == (40123.0, 44280.0)
    assert (fourth.index, fourth.health) == (3, "Alarm")


def test_four_chips_on_a_card_without_a_column_for_hugepages(table):
    chips = parser.parse(table("four-chips"))

    assert [(chip.card, chip.chip, chip.chips_on_card) for chip in chips] == [
        (17, number, 4) for number in range(4)
    ]
    assert [chip.power_watts for chip in chips] == [12.8] * 4
    assert [chip.utilization_percent for chip in chips] == [0.0, 7.0, 14.0, 21.0]
    assert chips[3].memory.used_mib == 2603.0


def test_hbm_is_the_memory_where_there_is_a_column_for_it(table):
    chips = parser.parse(table("910a"))

    assert [chip.memory.used_mib for chip in chips] == [0.0, 1000.0, 2000.0]
    assert {chip.memory.total_mib for chip in chips} == {32768.0}
    assert chips[2].health == Missing("npu-smi gives UNKNOWN")


def test_a_wider_layout_with_more_processes_columns(table):
    chips = parser.parse(table("910b-26"))

    assert [chip.card for chip in chips] == [0, 1, 2]
    assert [chip.memory.used_mib for chip in chips] == [2871.0, 32871.0, 62871.0]
    assert [chip.power_watts for chip in chips] == [90.5, 91.5, 92.5]


def test_two_dies_have_their_own_physical_numbers(table):
    chips = parser.parse(table("two-dies"))

    assert [(chip.card, chip.chip, chip.index) for chip in chips] == [
        (0, 0, 0),
        (0, 1, 1),
        (1, 0, 2),
        (1, 1, 3),
    ]
    assert chips[1].power_watts == Missing("npu-smi gives -")
    assert chips[3].bus_id == "0001:0e:00.0"
    assert {chip.chips_on_card for chip in chips} == {2}


def test_a_table_without_a_column_for_the_chip(table):
    chips = parser.parse(table("950"))

    assert [(chip.card, chip.chip, chip.name) for chip in chips] == [
        (0, 0, "Ascend950PR"),
        (1, 0, "Ascend950PR"),
    ]
    assert [chip.utilization_percent for chip in chips] == [8.0, 9.0]
    assert chips[0].memory.total_mib == 86016.0


def test_a_chip_without_a_pci_address(table):
    [chip] = parser.parse(table("soc"))

    assert isinstance(chip.bus_id, Missing)
    assert (chip.memory.used_mib, chip.memory.total_mib) == (1800.0, 3513.0)


def test_gaps_cost_only_themselves(table):
    gone, odd, empty, blank = parser.parse(table("gaps"))

    assert gone.memory.used_mib == Missing("npu-smi gives ERR!")
    assert gone.memory.total_mib == 65536.0
    assert isinstance(gone.utilization_percent, Missing)
    assert odd.name == Missing("npu-smi shows xxx: masked")
    assert isinstance(empty.health, Missing)
    assert isinstance(empty.memory.total_mib, Missing)
    # With a blank in its place nobody knows which number is which.
    assert isinstance(blank.power_watts, Missing)
    assert isinstance(blank.temperature_celsius, Missing)
    assert blank.memory.used_mib == 3000.0


def test_an_unknown_unit_is_no_value(table):
    chips = parser.parse(table("duo").replace("Memory-Usage(MB)", "Memory-Usage(GB)"))

    assert chips[0].memory.used_mib == Missing("npu-smi gives it in an unknown unit: gb")
    assert chips[0].utilization_percent == 37.0


def test_a_new_column_beside_the_known_ones(table):
    text = table("duo").replace("Temp(C) ", "Fan Speed(%) Temp(C) ")
    text = re.sub(r"\bNA  ( +)(\d+)  ", r"NA   55 \1\2", text)

    chips = parser.parse(text)

    assert [chip.temperature_celsius for chip in chips] == [41.0, 42.0, 43.0, 44.0]


def test_rows_left_out_by_an_author_leave_the_others(table):
    lines = table("910a").splitlines()
    lines[9:12] = ["..."]

    chips = parser.parse("\n".join(lines))

    assert [chip.card for chip in chips] == [0, 2]


@pytest.mark.parametrize("name", TABLES)
def test_a_line_less_never_mixes_chips(name, table):
    lines = table(name).splitlines()
    whole = parser.parse(table(name))

    for number in range(len(lines)):
        assert_never_wrong(parser.parse("\n".join(lines[:number] + lines[number + 1 :])), whole)


def test_a_border_ends_a_chip_even_where_its_second_line_is_lost(table):
    lines = table("910a").splitlines()
    # The second line of the first chip, and the first line of the second one.
    kept = lines[:7] + lines[8:9] + lines[10:]

    chips = parser.parse("\n".join(kept))

    assert [chip.card for chip in chips] == [2]


@pytest.mark.parametrize("name", TABLES)
def test_every_beginning_of_a_table_is_never_wrong(name, table):
    text = table(name)
    whole = parser.parse(text)
    assert whole

    for end in range(len(text)):
        found = parser.parse(text[:end])
        assert len(found or ()) <= len(whole)
        assert_never_wrong(found, whole)


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: re.sub(r"(?m)$", "   ", text),
        lambda text: re.sub(r"(?m)^", "\t", text),
        lambda text: re.sub(r"(?m)^(.)", "\x1b[32m\\1\x1b[0m", text),
        lambda text: "DrvMngGetConsoleLogLevel failed. (ret=4)\n" + text,
        lambda text: text + "\n\n",
    ],
    ids=["crlf", "trailing", "indent", "ansi", "before", "after"],
)
def test_what_surrounds_a_table_changes_nothing(name, change, table):
    text = table(name)

    assert parser.parse(vendor_tool.decode(change(text).encode())) == parser.parse(text)


@pytest.mark.parametrize("name", TABLES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_widths_and_unknown_rows_never_give_a_wrong_number(name, table, data):
    whole = parser.parse(table(name))
    lines = []
    for line in table(name).splitlines():
        more = data.draw(st.integers(min_value=-60, max_value=4))
        lines.append(re.sub(" {2,}", partial(_widened, more=more), line))
    for row in data.draw(st.lists(st.sampled_from(UNKNOWN_ROWS), max_size=4)):
        lines.insert(data.draw(st.integers(min_value=0, max_value=len(lines))), row)

    assert_never_wrong(parser.parse("\n".join(lines)), whole)


def _widened(blanks, *, more):
    return " " * max(1, len(blanks[0]) + more)


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("place", ["cell before", "cell after", "column before", "column after"])
def test_unknown_columns_change_no_value(name, place, table):
    lines = table(name).splitlines()
    heads = [number for number, line in enumerate(lines) if "Health" in line or "Bus-Id" in line]
    for number in range(3, len(lines)):
        if "Process id" in lines[number]:
            break
        if lines[number].startswith("|"):
            is_head = number in heads
            lines[number] = _with_column(lines[number], place, "Fan(%)" if is_head else "55")

    found, whole = parser.parse("\n".join(lines)), parser.parse(table(name))

    assert [(chip.card, chip.chip) for chip in found] == [(c.card, c.chip) for c in whole]
    if name == "gaps":  # where a value is missing nobody knows which
        assert_never_wrong(found, whole)
    else:
        assert found == whole


def _with_column(line, place, text):
    *cells, last = line.strip("|").split("|")
    return {
        "cell before": "|".join(["", f" {text} ", *cells, last, ""]),
        "cell after": "|".join(["", *cells, last, f" {text} ", ""]),
        "column before": "|".join(["", *cells, f" {text} {last}", ""]),
        "column after": "|".join(["", *cells, f"{last} {text} ", ""]),
    }[place]


def test_two_columns_of_one_name_are_none(table):
    text = table("soc").replace("Temp(C) ", "Temp(C)  Temp(C)").replace("38  ", "38  70")

    assert parser.parse(text)[0].temperature_celsius == Missing(
        "npu-smi has two columns of this name"
    )


def test_a_310_has_ddr_even_in_a_table_with_a_column_for_hbm(table):
    chips = parser.parse(table("910a").replace("910A ", "310P3"))

    assert [chip.memory.used_mib for chip in chips] == [1900.0, 1901.0, 1902.0]


UNKNOWN_ROWS = (
    "| Total power          | OK            | 512.5                                        |",
    "| 3 | 7 |",
    "|                               |                 |                                    |",
    "| FW                            | 7.1.0.7.220     | 12          1 / 2                   |",
    "| 4       Firmware: 7.1         | 0000:05:00.0    | 1 2 3 4 5 6                         |",
    "...",
    "[WARN] a line of the log",
    "",
)


@given(st.text(alphabet=" |+=-/:.0123456789NAOKaxdPu()%\n", max_size=400))
@settings(max_examples=150, deadline=None)
def test_no_text_is_too_strange(text):
    parser.parse(text)
    parser.parse("| NPU Name | Health | Power(W) |\n| Chip | Bus-Id | AICore(%) |\n" + text)
