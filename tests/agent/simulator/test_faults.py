"""Which request meets which fault, and how a fault is written down."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.simulator.fault_board import FaultBoard
from agent.simulator.faults import BadFault, Fault, FaultKind, parse_fault, parse_flag


def test_a_flag_and_an_object_say_the_same() -> None:
    assert parse_flag("refuse:Register,count=2,status=401,code=7,message=no") == parse_fault(
        {
            "kind": "refuse",
            "operation": "Register",
            "count": 2,
            "status": 401,
            "code": 7,
            "message": "no",
        }
    )


@pytest.mark.parametrize("kind", [kind for kind in FaultKind if kind is not FaultKind.RESTART])
def test_every_kind_needs_no_more_than_its_name(kind: FaultKind) -> None:
    assert parse_flag(kind.value).kind is kind


def test_what_happens_to_a_node_happens_once_and_at_a_keepalive_unless_it_is_said() -> None:
    for kind in ("forget", "expire_token"):
        fault = parse_flag(kind)
        assert (fault.count, fault.operation) == (1, "Keepalive")
    assert parse_flag("rotate_token").count is None


@pytest.mark.parametrize(
    ("description", "says"),
    [
        ({}, "kind must be one of refuse, delay"),
        ({"kind": "explode"}, "explode"),
        ({"kind": ["error"]}, "kind must be"),
        ({"kind": "error", "operation": "register"}, "Register, Keepalive"),
        ({"kind": "error", "count": 0}, "count must be a whole number from 1"),
        ({"kind": "error", "count": 1.5}, "count must be"),
        ({"kind": "error", "count": True}, "count must be"),
        ({"kind": "error", "seconds": "nan"}, "seconds must be"),
        ({"kind": "error", "seconds": 1e400}, "seconds must be"),
        ({"kind": "error", "status": 200}, "status must be"),
        ({"kind": "error", "cuont": 1}, "did you mean count"),
        ({"kind": "refuse", "message": "\ud800"}, "message must be"),
        ({"kind": "restart"}, "restart needs seconds"),
    ],
)
def test_a_bad_description_says_what_to_write(description: dict[str, Any], says: str) -> None:
    with pytest.raises(BadFault, match=says):
        parse_fault(description)


def test_all_problems_of_a_description_come_at_once() -> None:
    with pytest.raises(BadFault) as caught:
        parse_fault({"kind": "x", "operation": "y", "count": "z"})
    assert str(caught.value).count(";") == 2


@given(
    st.dictionaries(
        st.sampled_from(["kind", "operation", "count", "seconds", "status", "message"]) | st.text(),
        st.none() | st.integers() | st.floats() | st.text() | st.lists(st.integers()),
    )
)
def test_a_description_gives_a_fault_or_says_why_not(description: dict[str, Any]) -> None:
    try:
        assert str(parse_fault(description))
    except BadFault as error:
        assert error.args[0]  # noqa: PT017 - either way is right, and neither is silent


@given(st.text())
def test_a_flag_gives_a_fault_or_says_why_not(text: str) -> None:
    try:
        assert str(parse_flag(text))
    except BadFault as error:
        assert error.args[0]  # noqa: PT017 - either way is right, and neither is silent


def test_the_manual_shows_every_kind_with_a_line_that_works() -> None:
    manual = Path(__file__).parents[3] / "docs" / "simulator.md"
    lines = re.findall(r"'(\{\"kind\".*?\})'", manual.read_text(encoding="utf-8"))
    faults = [parse_fault(json.loads(line)) for line in lines]
    assert {fault.kind for fault in faults} == set(FaultKind)


@pytest.fixture
def board(clock: Any) -> FaultBoard:
    return FaultBoard(monotonic=clock)


def test_a_fault_meets_its_operation_alone(board: FaultBoard) -> None:
    fault = Fault(kind=FaultKind.ERROR, operation="Register")
    board.add(fault)
    assert board.take("Keepalive") is None
    assert board.take("Register") is fault


def test_a_fault_ends_after_its_count(board: FaultBoard) -> None:
    board.add(Fault(kind=FaultKind.ERROR, count=2))
    assert [board.take("Register") is not None for _ in range(3)] == [True, True, False]
    assert board.as_json() == []


def test_a_fault_begins_and_ends_by_the_clock(board: FaultBoard, clock: Any) -> None:
    board.add(Fault(kind=FaultKind.ERROR, after_seconds=10, seconds=5))
    met = []
    for _ in range(4):
        met.append(board.take("Register") is not None)
        clock.seconds += 5
    assert met == [False, False, True, False]


def test_a_fault_meets_each_nth_request(board: FaultBoard) -> None:
    board.add(Fault(kind=FaultKind.ERROR, every=3))
    assert [board.take("Register") is not None for _ in range(6)] == [False, False, True] * 2


def test_the_first_of_two_faults_is_met_first(board: FaultBoard) -> None:
    first = Fault(kind=FaultKind.ERROR, count=1)
    second = Fault(kind=FaultKind.GARBAGE)
    board.add(first)
    board.add(second)
    assert [board.take("Register"), board.take("Register")] == [first, second]


def test_one_fault_or_all_are_lifted(board: FaultBoard) -> None:
    identifiers = [board.add(Fault(kind=FaultKind.ERROR)) for _ in range(3)]
    assert board.clear(identifiers[1]) == 1
    assert [each["id"] for each in board.as_json()] == [identifiers[0], identifiers[2]]
    assert board.clear() == 2


def test_faults_are_bounded(board: FaultBoard) -> None:
    for _ in range(100):
        board.add(Fault(kind=FaultKind.ERROR))
    with pytest.raises(BadFault, match="delete some"):
        board.add(Fault(kind=FaultKind.ERROR))


def test_no_more_are_held_than_allowed(board: FaultBoard) -> None:
    # Nobody releases it: it returns because there is no room to be held.
    board.hold(60, holders_maximum=0)
