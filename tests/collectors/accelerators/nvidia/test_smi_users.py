"""The processes in the document of nvidia-smi: whose names are anybody's, and may be anything."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.accelerators.nvidia import smi_users
from collectors.accelerators.nvidia.answers import User
from collectors.accelerators.nvidia.explain import Failure

MIB = 1024 * 1024


def entry(pid, memory, *, gpu="N/A", compute="N/A", name="python"):
    return f"""
            <process_info>
                <gpu_instance_id>{gpu}</gpu_instance_id>
                <compute_instance_id>{compute}</compute_instance_id>
                <pid>{pid}</pid>
                <type>C</type>
                <process_name>{name}</process_name>
                <used_memory>{memory}</used_memory>
            </process_info>
    """


def test_processes_of_a_card_and_of_its_slices():
    table = smi_users.read(entry(7, "22 MiB", gpu=2, compute=0) + entry(8, "N/A", gpu=9, compute=0))

    assert smi_users.of_card(table) == (
        User(pid=7, memory_used_bytes=22 * MIB),
        User(pid=8, memory_used_bytes=None),
    )
    assert smi_users.of_slice(table, gpu_instance=9, compute_instance=0) == (
        User(pid=8, memory_used_bytes=None),
    )
    assert smi_users.of_slice(table, gpu_instance=1, compute_instance=0) == ()


def test_an_empty_list_says_that_nobody_uses_the_card():
    assert smi_users.read("\n      ") == ()


def test_a_process_without_its_slice_leaves_the_slices_unknown():
    table = smi_users.read(entry(7, "22 MiB"))

    assert isinstance(smi_users.of_slice(table, gpu_instance=1, compute_instance=0), Failure)


@pytest.mark.parametrize(
    "inside",
    [
        "N/A",
        "[Insufficient Permissions]",
        entry("x", "22 MiB"),
        entry("", "22 MiB"),
        entry(7, "22 MiB").replace("<pid>7</pid>", ""),
        entry(7, "22 MiB", name="a\nb"),
        entry(7, "22 MiB", name="a</process_name>\n<pid>1</pid>\n<process_name>b"),
        entry(7, "22 MiB").replace("</process_info>", ""),
        "<process_info>" + entry(7, "22 MiB"),
    ],
)
def test_a_list_that_is_not_as_it_must_be_is_unknown(inside):
    assert isinstance(smi_users.read(inside), Failure)


@given(st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), max_size=40))
def test_a_name_on_one_line_changes_no_figure(name):
    table = smi_users.read(entry(7, "22 MiB", name=name) + entry(8, "3 MiB", name=name))

    assert isinstance(table, Failure) or smi_users.of_card(table) == (
        User(pid=7, memory_used_bytes=22 * MIB),
        User(pid=8, memory_used_bytes=3 * MIB),
    )


WHOLE = entry(7, "22 MiB") + entry(8, "3 MiB")


@given(st.integers(0, len(WHOLE)))
def test_a_list_that_was_cut_off_holds_no_wrong_pair(length):
    assert_right_or_unknown(WHOLE[:length])


@given(st.integers(0, len(WHOLE.splitlines()) - 1), st.none() | st.text(max_size=30))
def test_a_line_that_is_lost_or_new_leads_to_no_wrong_pair(number, new):
    lines = WHOLE.splitlines()
    if new is None:
        del lines[number]
    else:
        lines.insert(number, new)
    assert_right_or_unknown("\n".join(lines))


def assert_right_or_unknown(inside):
    users = smi_users.of_card(smi_users.read(inside))
    right = (User(pid=7, memory_used_bytes=22 * MIB), User(pid=8, memory_used_bytes=3 * MIB))
    assert isinstance(users, Failure) or users == right[: len(users)]
