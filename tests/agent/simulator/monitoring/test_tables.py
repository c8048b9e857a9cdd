"""Every row of the tables of TC609: missing, of another type, too long, of no listed value."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.simulator.monitoring import dictionaries, tables
from agent.simulator.monitoring.codes import Code, refused_for
from agent.simulator.rows import Form, Kind, Row, Table
from agent.simulator.validation import check, has_form
from tests.agent.simulator.monitoring.conftest import CENTRE, CENTRE_CHANGE, MONTH, PROJECT

MESSAGES = [
    (tables.TOKEN_REQUEST, {"username": "u", "password": "p"}),
    (tables.PROJECT_CREATION, PROJECT),
    (tables.PROJECT_CHANGE, {**PROJECT, "id": 1}),
    (tables.CENTRE_CREATION, CENTRE),
    (tables.CENTRE_CHANGE, {**CENTRE_CHANGE, "id": 1}),
    (tables.MONTH_REPORT, MONTH),
    (tables.PROJECT_QUERY, {"projectName": "n", "id": 1}),
    (tables.CENTRE_QUERY, {"name": "n", "id": 1}),
    (tables.MONTH_QUERY, {"centerId": 1, "reportMonth": "2024-10"}),
]
ROWS = [
    pytest.param(table, row, message, id=f"{table.number} {row.field}")
    for table, message in MESSAGES
    for row in table.rows
]
WRONG: dict[Kind, list[Any]] = {
    Kind.STRING: [None, 1, True, {}, []],
    Kind.INT: [None, "1", 1.5, True, {}, []],
    Kind.NUMBER: [None, "1", True, {}, []],
    Kind.OBJECT: [None, "x", 1, True, []],
}


def only_fatal(message: Any, table: Table) -> Any:
    fatal = [finding for finding in check(message, table).findings if finding.fatal]
    assert len(fatal) == 1, fatal
    return fatal[0]


def code_of(message: Any, table: Table) -> Code:
    return refused_for(check(message, table).findings).code


@pytest.mark.parametrize(("table", "message"), MESSAGES)
def test_a_message_without_fault_is_taken_without_a_note(table: Table, message: Any) -> None:
    if table is tables.PROJECT_CHANGE:
        message = {name: message[name] for name in message if name != "province"}
    checked = check(message, table)
    assert checked.findings == ()
    assert checked.value == message


@pytest.mark.parametrize(("table", "row", "message"), ROWS)
def test_a_missing_field_is_refused_only_where_it_is_mandatory(
    table: Table, row: Row, message: dict[str, Any]
) -> None:
    less = {name: value for name, value in message.items() if name != row.field}
    if not row.required:
        assert check(less, table).accepted
        return
    finding = only_fatal(less, table)
    assert (finding.table, finding.row, finding.field) == (table.number, row.number, row.field)
    assert code_of(less, table) is Code.FIELD_MISSING


@pytest.mark.parametrize(("table", "row", "message"), ROWS)
def test_another_type_is_refused_with_its_row(
    table: Table, row: Row, message: dict[str, Any]
) -> None:
    for value in WRONG[row.kind]:
        wrong = {**message, row.field: value}
        finding = only_fatal(wrong, table)
        assert (finding.table, finding.row) == (table.number, row.number), value
        assert code_of(wrong, table) is Code.TYPE_WRONG


@pytest.mark.parametrize(("table", "row", "message"), ROWS)
def test_a_mandatory_text_that_is_empty_is_missing(
    table: Table, row: Row, message: dict[str, Any]
) -> None:
    if row.kind is Kind.STRING and row.required and not row.may_be_empty:
        assert code_of({**message, row.field: ""}, table) is Code.FIELD_MISSING


@pytest.mark.parametrize(
    ("table", "row", "message"), [each for each in ROWS if each.values[1].length is not None]
)
def test_characters_are_counted_and_not_bytes(table: Table, row: Row, message: Any) -> None:
    assert row.length is not None
    assert check({**message, row.field: "界" * row.length}, table).accepted
    wrong = {**message, row.field: "界" * (row.length + 1)}
    assert only_fatal(wrong, table).row == row.number
    assert code_of(wrong, table) is Code.TYPE_WRONG


@pytest.mark.parametrize(
    ("table", "row", "message"), [each for each in ROWS if each.values[1].values]
)
@given(data=st.data())
def test_only_listed_codes_are_taken(
    table: Table, row: Row, message: Any, data: st.DataObject
) -> None:
    value = data.draw(st.sampled_from(row.values) | st.from_regex(r"[0-9]{0,6}", fullmatch=True))
    assert check({**message, row.field: value}, table).accepted == (value in row.values)


def test_the_lists_are_those_of_the_annexes() -> None:
    assert [int(code) for code in dictionaries.CLUSTERS] == list(range(1, 11))
    assert [int(code) for code in dictionaries.HUBS] == list(range(11, 19))
    assert len(dictionaries.PROVINCES) == len(set(dictionaries.PROVINCES)) == 34


@pytest.mark.parametrize(("value", "is_type"), [(-1, False), (0, True), (6, True), (7, False)])
def test_a_centre_has_one_of_seven_types(value: int, is_type: bool) -> None:
    for table, message in ((tables.CENTRE_CREATION, CENTRE), (tables.CENTRE_CHANGE, CENTRE_CHANGE)):
        assert check({**message, "type": value}, table).accepted == is_type


@given(longitude=st.floats(allow_nan=False), latitude=st.floats(allow_nan=False))
def test_a_place_lies_on_the_earth(longitude: float, latitude: float) -> None:
    message = {**CENTRE, "longitude": longitude, "latitude": latitude}
    is_there = abs(longitude) <= 180 and abs(latitude) <= 90
    assert check(message, tables.CENTRE_CREATION).accepted == is_there


@given(identifiers=st.lists(st.integers(0, 10**18 - 1)), junk=st.sampled_from(["", ";", " ", ",1"]))
def test_ids_of_projects_are_separated_by_semicolons(identifiers: list[int], junk: str) -> None:
    text = ";".join(map(str, identifiers))
    assert has_form(text, Form.PROJECT_IDS)
    assert has_form(text + junk, Form.PROJECT_IDS) == (not junk)


@given(day=st.dates(), is_padded=st.booleans())
def test_a_date_is_one_of_the_calendar_with_slashes(day: Any, is_padded: bool) -> None:
    width = 2 if is_padded else 1
    text = f"{day.year:04d}/{day.month:0{width}d}/{day.day:0{width}d}"
    assert has_form(text, Form.SLASHED_DATE)
    for wrong in (text.replace("/", "-"), f"{text} ", f"{text}\n", text[1:], f"{text}00"):
        assert not has_form(wrong, Form.SLASHED_DATE)


@pytest.mark.parametrize("text", ["2023/2/29", "2024/13/1", "2024/0/1", "0000/1/1", "２024/1/1"])
def test_a_date_that_is_none_is_refused(text: str) -> None:
    assert not has_form(text, Form.SLASHED_DATE)


@given(
    month=st.text(alphabet="0123456789-/\n１", max_size=8) | st.dates().map(lambda d: f"{d}"[:7])
)
def test_a_month_is_four_digits_and_two(month: str) -> None:
    is_month = (
        len(month) == 7
        and month.isascii()
        and month[:4].isdigit()
        and month[4] == "-"
        and month[5:].isdigit()
        and 1 <= int(month[5:]) <= 12
    )
    assert has_form(month, Form.MONTH) == is_month


@given(
    members=st.dictionaries(
        st.text(), st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.integers())
    )
)
def test_a_group_without_identifiers_holds_anything(members: dict[str, Any]) -> None:
    message = {**MONTH, "computePowerSupply": members}
    checked = check(message, tables.MONTH_REPORT)
    assert checked.findings == ()
    assert checked.value == message


def test_a_field_of_no_table_is_a_note_unless_it_is_forbidden() -> None:
    message = {**PROJECT, "rackRate": 0.5}
    checked = check(message, tables.PROJECT_CREATION)
    assert checked.accepted
    assert "rackRate" not in checked.value
    assert [finding.field for finding in checked.findings] == ["rackRate"]
    assert not check(message, tables.PROJECT_CREATION, strict_extra=True).accepted


def test_open_groups_may_stand_in_the_message_itself() -> None:
    flat = {name: value for name, value in PROJECT.items() if name != tables.INVESTMENT}
    checked = check({**flat, "rackRate": 0.5}, tables.with_open_groups(tables.PROJECT_CREATION))
    assert checked.findings == ()
    assert checked.value["rackRate"] == 0.5


def test_what_is_missing_goes_before_what_is_wrong() -> None:
    assert code_of({"province": 1}, tables.PROJECT_CREATION) is Code.FIELD_MISSING
    assert code_of("x", tables.PROJECT_CREATION) is Code.TYPE_WRONG
