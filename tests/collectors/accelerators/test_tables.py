"""Tables for people are read by their header words."""

from __future__ import annotations

import re

from collectors.accelerators import tables
from collectors.accelerators.tables import TableLayout

LAYOUT = TableLayout(
    title=("Card", "Name"),
    phrases=("Bus Id",),
    signs={"Card": re.compile(r"[0-9]+"), "Memory": re.compile(r"[0-9]+MiB/[0-9]+MiB|NA")},
)
TABLE = """
+----------------------+-----------------+
| Some tool 1.2        | 3               |
|----------------------+-----------------|
| Card  Name           | Bus Id          |
| Temp  Mode           | Memory          |
|======================+=================|
| 0     Board One      | 0000:01:00.0    |
| 40C   Normal         | 1MiB /   10MiB  |
+----------------------+-----------------+
| 1     Board Two      | 0000:02:00.0    |
| N/A   Normal         | N/A             |
+----------------------+-----------------+
"""


def texts(text: str) -> list[dict[str, str]]:
    return [dict(entry.texts) for entry in tables.read_table(text, LAYOUT)]


def test_each_entry_has_its_texts_by_header_word() -> None:
    assert texts(TABLE) == [
        {
            "card": "0",
            "name": "Board One",
            "bus id": "0000:01:00.0",
            "temp": "40C",
            "mode": "Normal",
            "memory": "1MiB/10MiB",
        },
        {
            "card": "1",
            "name": "Board Two",
            "bus id": "0000:02:00.0",
            "temp": "NA",
            "mode": "Normal",
            "memory": "NA",
        },
    ]


def test_another_column_in_a_cell_moves_nothing() -> None:
    wider = TABLE.replace("Temp  Mode  ", "Temp  Fan  Mode  ").replace("40C   ", "40C   90%   ")
    assert texts(wider)[0]["mode"] == "Normal"
    assert texts(wider)[0]["temp"] == "40C"


def test_a_value_whose_place_is_not_certain_is_left_out() -> None:
    entry = texts(TABLE.replace("40C   Normal", "      Normal"))[0]
    assert "temp" not in entry
    assert "mode" not in entry
    assert entry["memory"] == "1MiB/10MiB"


def test_a_line_that_was_cut_off_is_not_believed() -> None:
    cut = TABLE[: TABLE.index("10MiB") + 2]
    assert "memory" not in texts(cut)[0]


def test_a_line_without_its_closing_bar_is_not_believed() -> None:
    entry = texts(TABLE.replace("1MiB /   10MiB  |", "1MiB /   10MiB"))[0]
    assert "memory" not in entry
    assert entry["name"] == "Board One"


def test_a_word_that_names_two_columns_makes_the_table_unreadable() -> None:
    assert texts(TABLE.replace("Temp  Mode  ", "Temp  Temp  ")) == []


def test_a_line_between_the_lines_of_an_entry_is_passed_over() -> None:
    first = "| 0     Board One      | 0000:01:00.0    |\n"
    assert texts(TABLE.replace(first, first + "| something new        | 1  2            |\n")) == (
        texts(TABLE)
    )


def test_a_line_of_one_entry_never_completes_another_behind_a_rule() -> None:
    second = "| 1     Board Two      | 0000:02:00.0    |\n"
    entries = texts(TABLE.replace(second, ""))
    assert len(entries) == 1
    assert entries[0]["memory"] == "1MiB/10MiB"
    first_of_memory = "| 40C   Normal         | 1MiB /   10MiB  |\n"
    entries = texts(TABLE.replace(second, "").replace(first_of_memory, ""))
    assert "memory" not in entries[0]


def test_a_line_without_end_is_passed_over_at_once() -> None:
    blanks = "|" + " " * 1_000_000 + "x\n"
    assert texts(blanks + TABLE + blanks) == texts(TABLE)


def test_no_header_is_no_table() -> None:
    assert texts("") == []
    assert texts("Card\n") == []
    assert texts("no devices were found\n") == []


def test_blocks_keep_the_first_value_of_a_key() -> None:
    text = "noise : 1\nDEV ID 3\n  Temp : 40 C\n  Rx : 1\n  Temp : 99 C\nDEV ID 4\nTemp : 50"
    blocks = tables.read_blocks(text, start=re.compile(r"DEV ID\s+([0-9]+)"))
    assert blocks == [("3", {"Temp": "40 C", "Rx": "1"}), ("4", {})]
