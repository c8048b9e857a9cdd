"""Reads the message of a request: a JSON object from a body, or the parameters of a query."""

from __future__ import annotations

import math
import re
from typing import Any
from urllib.parse import parse_qsl

from agent.simulator.monitoring.codes import Code, Refused
from agent.simulator.rows import Kind, Table
from agent.simulator.validation import Finding, NotJson, decode

DEPTH_MAXIMUM = 32
_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,4000}")


def of_body(body: bytes, *, content_type: str | None) -> Any:
    """Return the JSON value of a body.

    Raises:
        Refused: it is none, or holds what no answer could hold (99999).
    """
    kind = (content_type or "application/json").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Refused(f"Content-Type must be application/json, got {kind[:60]!r}", code=Code.OTHER)
    try:
        message = decode(body)
    except NotJson as error:
        raise Refused(str(error), code=Code.OTHER) from error
    problem = problem_of(message)
    if problem is not None:
        raise Refused(problem, code=Code.OTHER)
    return message


def of_query(query: str, table: Table) -> dict[str, Any]:
    """Return the parameters of a query; those that the table has as Integer become numbers.

    Raises:
        Refused: it cannot be read (99999), or a parameter stands twice or is no Integer (10004).
    """
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=100)
    except ValueError as error:
        raise Refused(f"the query cannot be read: {error}", code=Code.OTHER) from error
    rows = {row.field: row for row in table.rows}
    message: dict[str, Any] = {}
    for name, text in pairs:
        row = rows.get(name)
        if name in message:
            raise _wrong(table, name, "stands twice")
        if row is not None and row.kind is Kind.INT:
            if _WHOLE_NUMBER.fullmatch(text) is None:
                raise _wrong(table, name, f"must be of type int, got {text[:40]!r}")
            message[name] = int(text)
        else:
            message[name] = text
    return message


def problem_of(message: Any) -> str | None:
    """Return why a value could not be told again, None where it can."""
    left: list[tuple[Any, int]] = [(message, 0)]
    while left:
        value, depth = left.pop()
        if depth > DEPTH_MAXIMUM:
            return f"the body is nested deeper than {DEPTH_MAXIMUM}"
        if isinstance(value, float) and not math.isfinite(value):
            return "the body holds a number that is too large"
        if isinstance(value, str) and any(0xD800 <= ord(each) <= 0xDFFF for each in value):
            return "the body holds half of a surrogate pair, which is no text"
        if isinstance(value, list):
            left += [(each, depth + 1) for each in value]
        elif isinstance(value, dict):
            left += [(each, depth + 1) for pair in value.items() for each in pair]
    return None


def _wrong(table: Table, name: str, problem: str) -> Refused:
    row = next((row.number for row in table.rows if row.field == name), None)
    finding = Finding(table=table.number, row=row, field=repr(name[:40])[1:-1], problem=problem)
    return Refused(str(finding), code=Code.TYPE_WRONG, findings=[finding])
