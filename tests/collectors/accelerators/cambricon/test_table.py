"""cnmon's table: every layout, and what is left of one that is damaged."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.accelerators.cambricon import table
from collectors.accelerators.cambricon.facts import Chip, Unknown

TABLES = {path.stem: path.read_text() for path in (Path(__file__).parent / "tables").glob("*.txt")}


def facts(chip: Chip) -> dict[str, object]:
    """Return what a table may tell of a chip, flat."""
    return {
        "name": chip.name,
        "pci_address": chip.pci_address,
        "memory_total": chip.load.memory_total_mebibytes,
        "memory_used": chip.load.memory_used_mebibytes,
        "utilization": chip.load.utilization_percent,
        "temperature": chip.temperature_celsius,
        "power": chip.power_watts,
    }


def assert_no_wrong_value(text: str, *, original: str) -> None:
    """A damaged table tells of the same chips what the whole one does, or less."""
    whole = {chip.index: facts(chip) for chip in table.read(original)}
    for chip in table.read(text):
        for name, value in facts(chip).items():
            if not isinstance(value, Unknown):
                assert value == whole[chip.index][name], (chip.index, name)
            else:
                assert value.reason


def test_a_card_with_two_chips_gives_two_entries(own_table):
    chips = table.read(own_table("release-5-x8"))

    assert [chip.index for chip in chips] == [0, 1, 2, 3]
    assert facts(chips[0]) == {
        "name": "MLU370-X8",
        "pci_address": "0000:1a:00.0",
        "memory_total": 23374,
        "memory_used": 1024,
        "utilization": 37,
        "temperature": 54,
        "power": 112,
    }
    assert facts(chips[2])["utilization"] == 100
    assert facts(chips[2])["memory_used"] == 23374


def test_release_6_renames_columns(own_table):
    chips = table.read(own_table("release-6-modules"))

    assert [facts(chip)["temperature"] for chip in chips] == [38, 39, 40, 41]
    assert [facts(chip)["memory_used"] for chip in chips] == [0, 1000, 2000, 3000]
    assert {facts(chip)["memory_total"] for chip in chips} == {81920}


def test_release_4_has_no_bus_id_and_a_second_memory(own_table):
    first, second = table.read(own_table("release-4-no-bus-id"))

    assert isinstance(first.pci_address, Unknown)
    # The column beside it holds virtual memory, which is not the card's.
    assert facts(first)["memory_total"] == 16384
    assert facts(first)["memory_used"] == 512
    assert facts(second)["utilization"] == 0


def test_what_is_no_value_is_unknown_with_what_was_printed(own_table):
    first, second = table.read(own_table("release-5-gaps"))

    assert first.load.utilization_percent == Unknown("cnmon prints 'N/A'")
    assert first.temperature_celsius == Unknown("cnmon prints 'N/A'")
    assert first.power_watts == Unknown("cnmon prints 'N/A W/ 75 W'")
    assert first.load.memory_used_mebibytes == 7
    assert second.pci_address == Unknown("cnmon prints 'N/A'")
    assert isinstance(second.load.memory_used_mebibytes, Unknown)
    assert second.load.memory_total_mebibytes == 23308
    assert second.power_watts == 28


def test_a_name_of_two_words_shifts_nothing(own_table):
    text = own_table("release-6-modules").replace("MLU590-M9   ", "MLU590 M9 D ")

    chips = table.read(text)

    assert {chip.name for chip in chips} == {"MLU590 M9 D"}
    assert chips[0].pci_address == "0000:2f:00.0"


def test_a_blank_in_place_of_a_word_makes_its_cell_unknown(own_table):
    # Without its fan, the first cell has two words less than its header.
    text = own_table("release-5-x8").replace("|   0%  54C", "|       54C")

    first, second = table.read(text)[:2]

    assert isinstance(first.temperature_celsius, Unknown)
    assert second.temperature_celsius == 41


@pytest.mark.parametrize("unit", ["MB", "GiB", "KiB"])
def test_memory_in_another_unit_is_unknown(own_table, unit):
    text = re.sub(r"MiB", unit, own_table("release-6-modules"))

    assert all(isinstance(chip.load.memory_total_mebibytes, Unknown) for chip in table.read(text))


def test_virtual_functions_are_instances_of_their_card(own_table):
    text = own_table("release-5-x8").replace("| 1     / ", "| 0     2 ")

    first, *others = table.read(text)

    assert [each.number for each in first.instances] == [2]
    assert first.instances[0].load.memory_total_mebibytes == 23374
    assert [chip.index for chip in others] == [2, 3]


def test_a_table_printed_twice_has_each_chip_once(own_table):
    text = own_table("release-5-x8")

    assert table.read(text + text) == table.read(text)
    assert table.read(text.split("Processes")[0] + text) == table.read(text)


@pytest.mark.parametrize("text", ["", "\n", "cnmon: command failed", "| a | b |\n|===|===|\n| 0 |"])
def test_what_is_no_table_has_no_chips(text):
    assert table.read(text) == []


@pytest.mark.parametrize("name", sorted(TABLES))
def test_every_prefix_gives_right_values_or_none(name):
    text = TABLES[name]
    for end in range(0, len(text), 3):
        assert_no_wrong_value(text[:end], original=text)


@given(st.sampled_from(sorted(TABLES)), st.integers(0, 6), st.sampled_from(["", " ", "   ", "\t"]))
def test_wider_columns_change_nothing(name, more, trailing):
    text = TABLES[name]
    wider = "\n".join(
        re.sub(r" (?=\||\S+ \|)", " " * (more + 1), line) + trailing for line in text.splitlines()
    )

    assert [facts(chip) for chip in table.read(wider)] == [facts(chip) for chip in table.read(text)]


@given(st.sampled_from(sorted(TABLES)))
def test_narrower_columns_change_nothing(name):
    text = TABLES[name]
    narrow = re.sub(r" {2,}", " ", text)

    assert [chip.load for chip in table.read(narrow)] != []
    assert_no_wrong_value(narrow.replace("W/ ", "W/"), original=text.replace("W/  ", "W/ "))


STRANGE_LINES = st.sampled_from(
    [
        "Warning: something about the clock",
        "| N/A |",
        "|      notice of the driver     |                      |                       |",
        "+-------------------------------+----------------------+-----------------------+",
        "|                               | 0000:ff:00.0         | 99%               N/A |",
        "",
    ]
)


@given(
    st.sampled_from(sorted(TABLES)),
    st.lists(st.tuples(st.integers(0, 40), STRANGE_LINES), max_size=6),
)
def test_lines_that_nobody_knows_give_no_wrong_value(name, inserted):
    lines = TABLES[name].splitlines()
    for place, line in inserted:
        lines.insert(min(place, len(lines)), line)

    assert_no_wrong_value("\n".join(lines), original=TABLES[name])


@given(st.sampled_from(sorted(TABLES)), st.data())
def test_a_further_column_changes_nothing(name, data):
    cell = data.draw(st.integers(0, 3))
    lines = []
    for line in TABLES[name].splitlines():
        parts = line.split("|")
        if len(parts) == 5:
            head = "Extra" if "Name" in line else "Thing" if "Fan" in line else "7"
            parts.insert(cell + 1, f" {head} ")
            if cell == 0 and head == "7":
                # The number of the card must stay in the first cell.
                parts[1], parts[2] = parts[2], parts[1]
            elif cell == 0:
                parts[1], parts[2] = parts[2], parts[1]
        lines.append("|".join(parts))

    assert [facts(chip) for chip in table.read("\n".join(lines))] == [
        facts(chip) for chip in table.read(TABLES[name])
    ]


@given(st.text(alphabet="| =+-0123456789%CWMiB/Name Card\n", max_size=400))
def test_any_text_is_read_without_an_exception(text):
    table.read(text)


@pytest.mark.parametrize(
    ("old", "new", "is_nobody"),
    [
        ("", "", True),
        ("No running processes found", "0     /   4242    python   100 MiB", False),
        ("|  No running processes found", "|  No running processes fo", False),
        ("| Processes:", "| Procs:", False),
    ],
)
def test_nobody_is_told_only_where_the_table_says_so(old, new, is_nobody):
    text = TABLES["release-6-modules"]

    for chip in table.read(text.replace(old, new) if old else text):
        assert (chip.users == ()) is is_nobody


def test_a_table_cut_in_its_processes_says_nothing_of_them():
    text = TABLES["release-6-modules"]
    start = text.index("Processes:")

    for end in range(start, len(text.rstrip()) - 78):
        for chip in table.read(text[:end]):
            assert chip.users != ()
