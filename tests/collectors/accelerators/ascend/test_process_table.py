"""The processes below npu-smi's table: who uses which chip, or why that is not known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model.accelerator import AcceleratorProcess
from collectors.accelerators.ascend import process_table
from collectors.accelerators.ascend import table as parser
from collectors.accelerators.ascend.facts import Missing

MIB = 1024 * 1024
END = "+=======+=========+==========+=========+"


def users_of(text):
    return {(chip.card, chip.chip): chip.users for chip in parser.parse(text)}


def test_each_chip_has_its_own(table):
    assert users_of(table("two-dies")) == {
        (0, 0): (),
        (0, 1): (AcceleratorProcess(pid=77, memory_used_bytes=17000 * MIB),),
        (1, 0): (),
        (1, 1): (),
    }


def test_the_number_in_the_container_is_not_the_number(table):
    assert users_of(table("910b-26"))[1, 0] == (
        AcceleratorProcess(pid=991, memory_used_bytes=30000 * MIB),
    )


def test_a_table_without_processes_says_nothing_of_them(table):
    found = users_of(table("four-chips"))

    assert set(found.values()) == {process_table.NOT_SHOWN}


def rows(*lines, head="| NPU Chip | Process id | Process name | Process memory(MB) |"):
    return process_table.parse([head, END, *lines])


@pytest.mark.parametrize(
    "lines",
    [
        ("| 0 0 | 7 | python | 10 |",),  # not ended
        ("| 0 0 | 7 | python | 10 |", "| 0 0 | x | python | 10 |", END),
        ("| 0 0 | 7 | python | 10 |", "| 0 0 | 8 | a | b | 10 |", END),
        ("| 0 0 | 7 | python | 10 |", "| No running processes found in NPU 0 |", END),
        ("| 0 0 | 7 | python | 10 |", "| 1 0 | 8 | python | 10 |", END),
        ("| 0 0 | 7 | python | 10 |", END, "| 0 0 | 8 | python | 10 |", END),
        ("| 0 0 | 7 | python | 10 |", "something else", END),
        (*(f"| 0 0 | {pid} | python | 10 |" for pid in range(1, 9)), END),
        ("| 0 | 7 | python | 10 |", END),
    ],
)
def test_of_a_card_whose_part_is_not_sure_nothing_is_known(lines):
    assert isinstance(rows(*lines).of_chip(0, 0), Missing)


def test_a_head_that_is_not_known_gives_nothing():
    for head in (
        "| NPU Chip | Process id | Process name | Process memory(GB) |",
        "| Chip NPU | Process id | Process name | Process memory(MB) |",
    ):
        found = rows("| 0 0 | 7 | python | 10 |", END, head=head)
        assert isinstance(found.of_chip(0, 0), Missing)


def test_a_memory_that_is_not_given_costs_only_itself():
    found = rows("| 0 0 | 7 | python | NA |", END)

    assert found.of_chip(0, 0) == (AcceleratorProcess(pid=7),)


WHOLE = [
    "| 0 0 | 7 | python | 10 |",
    "| 0 1 | 8 | python | 20 |",
    END,
    "| No running processes found in NPU 1 |",
    END,
    "| 2 0 | 9 | python | 30 |",
    END,
]
CHIPS = [(0, 0), (0, 1), (1, 0), (2, 0)]


@given(st.permutations(WHOLE), st.integers(0, len(WHOLE)))
def test_lines_in_any_order_never_give_a_process_to_another_chip(lines, length):
    found = rows(*lines[:length])
    right = rows(*WHOLE)
    for chip in CHIPS:
        users = found.of_chip(*chip)
        assert isinstance(users, Missing) or set(users) <= set(right.of_chip(*chip))
