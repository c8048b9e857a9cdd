"""Every row of every table: missing, of another type, too long, of no listed value."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.simulator import tables
from agent.simulator.rows import Form, Kind, Row, Table
from agent.simulator.validation import NotJson, check, decode

TABLES = [value for value in vars(tables).values() if isinstance(value, Table)]
CODE = "11010800005020000001"


def sample(table: Table) -> dict[str, Any]:
    """Return a message of the table without fault, made of its rows."""
    return {row.field: sample_of(row) for row in table.rows}


def sample_of(row: Row) -> Any:
    if row.values:
        return row.values[0]
    if row.form is Form.CODE:
        return CODE
    if row.form is Form.IPV4:
        return "192.0.2.10"
    if row.kind is Kind.OBJECT:
        assert row.element is not None
        return sample(row.element)
    if row.kind is Kind.LIST:
        assert row.element is not None
        return [sample(row.element)]
    return {Kind.STRING: "x", Kind.INT: 1, Kind.NUMBER: 0.5, Kind.BOOLEAN: True}[row.kind]


def rows(keep: Any = lambda row: True) -> list[Any]:
    return [
        pytest.param(table, row, id=f"{table.number} {table.title} {row.field}")
        for table in TABLES
        for row in table.rows
        if keep(row)
    ]


def only_fatal(message: Any, table: Table) -> Any:
    checked = check(message, table)
    assert not checked.accepted
    fatal = [finding for finding in checked.findings if finding.fatal]
    assert len(fatal) == 1, fatal
    return fatal[0]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: f"{table.number} {table.title}")
def test_a_message_without_fault_is_accepted_without_a_finding(table: Table) -> None:
    assert check(sample(table), table).findings == ()


@pytest.mark.parametrize(("table", "row"), rows(lambda row: row.required))
def test_a_missing_mandatory_field_is_refused_with_its_row(table: Table, row: Row) -> None:
    message = sample(table)
    del message[row.field]
    finding = only_fatal(message, table)
    assert (finding.table, finding.row, finding.field) == (table.number, row.number, row.field)
    assert f"table {table.number} row {row.number}" in str(finding)
    assert "missing" in finding.problem


@pytest.mark.parametrize(("table", "row"), rows(lambda row: not row.required))
def test_an_optional_field_may_be_absent(table: Table, row: Row) -> None:
    message = sample(table)
    del message[row.field]
    assert check(message, table).findings == ()


@pytest.mark.parametrize(("table", "row"), rows())
def test_another_type_is_refused_with_its_row(table: Table, row: Row) -> None:
    wrong: list[Any] = [None]
    wrong += [] if row.kind is Kind.STRING else ["1"]
    wrong += [] if row.kind in (Kind.INT, Kind.NUMBER) else [1]
    wrong += [1.5] if row.kind is Kind.INT else []
    wrong += [] if row.kind is Kind.BOOLEAN else [True]
    wrong += [] if row.kind is Kind.OBJECT else [{}]
    wrong += [] if row.kind is Kind.LIST else [[]]
    for value in wrong:
        finding = only_fatal({**sample(table), row.field: value}, table)
        assert (finding.table, finding.row) == (table.number, row.number), value
        assert "type" in finding.problem


@pytest.mark.parametrize(("table", "row"), rows(lambda row: row.length is not None))
def test_one_character_too_many_is_refused_with_its_row(table: Table, row: Row) -> None:
    assert row.length is not None
    finding = only_fatal({**sample(table), row.field: "界" * (row.length + 1)}, table)
    assert (finding.table, finding.row) == (table.number, row.number)
    assert str(row.length) in finding.problem
    if not row.values and row.form is None:
        assert check({**sample(table), row.field: "界" * row.length}, table).accepted


@pytest.mark.parametrize(("table", "row"), rows(lambda row: row.values or row.form))
def test_a_value_that_is_not_listed_is_refused_with_its_row(table: Table, row: Row) -> None:
    for value in ("ai_box", "1" * 19, "300.0.0.1", "1101080000502000000x"):
        finding = only_fatal({**sample(table), row.field: value}, table)
        assert (finding.table, finding.row) == (table.number, row.number)


@pytest.mark.parametrize(
    ("table", "row"), rows(lambda row: row.minimum is not None or row.maximum is not None)
)
def test_a_number_outside_its_bounds_is_refused_with_its_row(table: Table, row: Row) -> None:
    outside = [row.minimum - 1] if row.minimum is not None else []
    outside += [row.maximum + 1] if row.maximum is not None else []
    for value in outside:
        finding = only_fatal({**sample(table), row.field: value}, table)
        assert (finding.table, finding.row) == (table.number, row.number)


@pytest.mark.parametrize(
    ("table", "row"), rows(lambda row: row.required and row.kind is Kind.STRING)
)
def test_an_empty_mandatory_string_is_refused_unless_it_is_a_message(
    table: Table, row: Row
) -> None:
    accepted = check({**sample(table), row.field: ""}, table).accepted
    assert accepted == (row.field == "Message")


def test_every_violation_is_reported_at_once() -> None:
    findings = check(
        {"Code": 1, "Type": "BOX", "IP": "::1", "Port": 0, "Username": "u" * 33},
        tables.REGISTER_REQUEST,
    ).findings
    assert [finding.row for finding in findings] == [1, 2, 3, 4, 5, 6]


def test_nested_fields_are_named_by_their_path() -> None:
    message = sample(tables.COMPUTILITY_LIST_RESPONSE)
    message["Data"]["PageContent"][0]["DeviceInfos"][0]["XpuMonitors"][0]["XpuUtilization"] = 50
    finding = only_fatal(message, tables.COMPUTILITY_LIST_RESPONSE)
    assert finding.field == "Data.PageContent[0].DeviceInfos[0].XpuMonitors[0].XpuUtilization"


def test_both_printed_spellings_of_the_page_are_taken() -> None:
    message = sample(tables.COMPUTILITY_PAGE_RESPONSE)
    page = message.pop("PageRequest")
    checked = check({**message, "PageReqest": page}, tables.COMPUTILITY_PAGE_RESPONSE)
    assert checked.findings == ()
    assert checked.value["PageRequest"] == page


def test_a_field_that_no_table_has_is_a_note_and_fatal_when_strict() -> None:
    message = {"Code": CODE, "Extra": 1}
    relaxed = check(message, tables.KEEPALIVE_REQUEST)
    assert relaxed.accepted
    assert [str(finding) for finding in relaxed.findings] == [
        "table B.5, Extra: is not a field of the table"
    ]
    assert "Extra" not in relaxed.value
    assert not check(message, tables.KEEPALIVE_REQUEST, strict_extra=True).accepted


def test_a_flood_of_notes_does_not_hide_what_refuses_the_message() -> None:
    message = sample(tables.COMPUTILITY_LIST_RESPONSE)
    message["Data"] |= {f"x{number}": 0 for number in range(200)}
    message["RequestID"] = 5
    assert only_fatal(message, tables.COMPUTILITY_LIST_RESPONSE).field == "RequestID"


def test_a_name_in_other_letters_is_pointed_out() -> None:
    finding = check({"code": CODE}, tables.KEEPALIVE_REQUEST).findings[0]
    assert "'code' was sent" in finding.problem


def test_half_a_surrogate_pair_is_refused() -> None:
    message = decode(b'{"Code": "\\ud800"}')
    assert not check(message, tables.KEEPALIVE_REQUEST).accepted


def test_terminal_escapes_do_not_reach_the_log() -> None:
    message = {"Code": "\x1b[31m" + "1" * 15, "\x1b]0;x\x07": 1}
    for finding in check(message, tables.KEEPALIVE_REQUEST).findings:
        assert str(finding).isprintable()


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "not JSON"),
        (b"\xff", "UTF-8"),
        (b'{"Code": }', "column 10"),
        (b'{"Port": NaN}', "NaN"),
        (b'{"Code": 1, "Code": 2}', "'Code' stands twice"),
        (b'{"Port": ' + b"9" * 5000 + b"}", "not JSON"),
        (b"[" * 100_000, "deep"),
        ("\ufeff{}".encode(), "not JSON"),
    ],
)
def test_what_is_no_json_is_refused_with_a_reason(body: bytes, says: str) -> None:
    with pytest.raises(NotJson, match=says):
        decode(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["Code", "Data", "PageRequest", "PageContent", "DeviceInfos"])
            | st.text(),
            inner,
            max_size=6,
        )
    ),
    max_leaves=20,
)


@given(message=JSON, table=st.sampled_from(TABLES))
def test_the_check_answers_whatever_comes(message: Any, table: Table) -> None:
    before = copy.deepcopy(message)
    checked = check(message, table)
    assert repr(message) == repr(before)
    assert all(str(finding).isprintable() for finding in checked.findings)
    if checked.accepted:
        json.dumps(checked.value, allow_nan=False)


@given(body=st.binary())
def test_decoding_gives_a_value_or_says_why_not(body: bytes) -> None:
    try:
        decode(body)
    except NotJson as error:
        assert error.args[0]  # noqa: PT017 - either way is right, and neither is silent
