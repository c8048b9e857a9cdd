"""The strict check of a message against a table: every violation at once, each with its row."""

from __future__ import annotations

import difflib
import ipaddress
import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from agent.simulator.rows import Form, Kind, Row, Table

FINDINGS_MAXIMUM = 40
_SHOWN_LENGTH = 60
_PATTERNS = {
    Form.MD5: re.compile(r"[0-9A-Fa-f]{32}"),
    Form.PACKAGE_ID: re.compile(r"[0-9A-Za-z_-][0-9A-Za-z_.-]{0,39}"),
    Form.REGION: re.compile(r"[1-9][0-9]{5}"),
    Form.PROJECT_IDS: re.compile(r"([0-9]{1,18}(;[0-9]{1,18})*)?"),
    Form.MONTH: re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])"),
}
_SLASHED_DATE = re.compile(r"([0-9]{4})/([0-9]{1,2})/([0-9]{1,2})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Is one thing that was found in a message.

    `table` and `row` are as printed; `row` is None where no row speaks of it. `field` is the path
    in the message ("PageRequest.PageSize"). `fatal` says that the message is refused for it; what
    is not fatal is shown and no more. `is_missing` says that a mandatory field is not there, or is
    empty.
    """

    table: str
    row: int | None
    field: str
    problem: str
    fatal: bool = True
    is_missing: bool = False

    def __str__(self) -> str:
        row = f" row {self.row}" if self.row is not None else ""
        return f"table {self.table}{row}, {self.field}: {self.problem}"

    def as_json(self) -> dict[str, Any]:
        """Return the finding for the event log."""
        return {
            "table": self.table,
            "row": self.row,
            "field": self.field,
            "problem": self.problem,
            "fatal": self.fatal,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """Is a message after the check; `value` has the table's own spellings, findings or not."""

    value: Mapping[str, Any]
    findings: tuple[Finding, ...]

    @property
    def accepted(self) -> bool:
        """Is true where nothing fatal was found."""
        return not any(finding.fatal for finding in self.findings)


class NotJson(ValueError):  # noqa: N818 - names what the bytes are
    """Says why bytes are no JSON text that a table could be laid on."""


def decode(body: bytes) -> Any:
    """Return the JSON value of `body`: UTF-8, no NaN, no name twice in one object.

    Raises:
        NotJson: it is something else; the text says what and where.
    """
    try:
        return json.loads(
            body.decode("utf-8"), object_pairs_hook=_no_name_twice, parse_constant=_refuse_constant
        )
    except UnicodeDecodeError as error:
        raise NotJson(f"the body is not UTF-8: byte {error.start} is wrong") from error
    except json.JSONDecodeError as error:
        raise NotJson(
            f"the body is not JSON: {error.msg}, line {error.lineno} column {error.colno}"
        ) from error
    except RecursionError as error:
        raise NotJson("the body is nested too deep") from error
    except ValueError as error:
        raise NotJson(f"the body is not JSON: {_cut(str(error))}") from error


def check(message: Any, table: Table, *, strict_extra: bool = False) -> Checked:
    """Lay `table` on `message` and return all that does not fit.

    `strict_extra` makes a field that no row knows fatal; it is a note otherwise, since a later
    edition may add fields.
    """
    checker = _Checker(strict_extra=strict_extra)
    value = checker.object(message, table, path="")
    return Checked(value=value, findings=tuple(checker.findings))


class _Checker:
    def __init__(self, *, strict_extra: bool) -> None:
        self._strict_extra = strict_extra
        self.findings: list[Finding] = []

    def object(self, message: Any, table: Table, *, path: str) -> dict[str, Any]:
        if not isinstance(message, dict):
            self._report(
                table, None, path or "(message)", f"must be an object, got {_shown(message)}"
            )
            return {}
        value: dict[str, Any] = {}
        known: set[str] = set()
        for row in table.rows:
            names = (row.field, *row.spellings)
            known.update(names)
            name = next((each for each in names if each in message), None)
            if name is None:
                if row.required:
                    self._missing(message, table, row, path=path)
                continue
            value[row.field] = self._field(message[name], table, row, path=_join(path, name))
        for name in message:
            if name in known:
                continue
            if table.is_open:
                value[name] = message[name]
            else:
                self._unknown(name, table, path=path)
        return value

    def _field(self, value: Any, table: Table, row: Row, *, path: str) -> Any:
        match row.kind:
            case Kind.STRING:
                self._string(value, table, row, path=path)
            case Kind.INT | Kind.NUMBER:
                return self._number(value, table, row, path=path)
            case Kind.BOOLEAN:
                if not isinstance(value, bool):
                    self._type(value, table, row, path=path)
            case Kind.OBJECT:
                if row.element is not None and isinstance(value, dict):
                    return self.object(value, row.element, path=path)
                self._type(value, table, row, path=path)
            case Kind.LIST:
                if row.element is None and isinstance(value, list):
                    if not all(isinstance(each, str) for each in value):
                        self._report(table, row, path, "must be a list of strings")
                    return value
                if row.element is not None and isinstance(value, list):
                    return [
                        self.object(each, row.element, path=f"{path}[{index}]")
                        for index, each in enumerate(value)
                    ]
                self._type(value, table, row, path=path)
        return value

    def _string(self, value: Any, table: Table, row: Row, *, path: str) -> None:
        if not isinstance(value, str):
            self._type(value, table, row, path=path)
        elif _is_broken(value):
            self._report(table, row, path, "is no valid text: half of a surrogate pair")
        elif not value and row.required and not row.may_be_empty:
            self._report(table, row, path, "is mandatory and must not be empty", is_missing=True)
        elif row.length is not None and len(value) > row.length:
            self._report(
                table, row, path, f"has {len(value)} characters, at most {row.length} are allowed"
            )
        elif row.values and value not in row.values:
            self._report(
                table, row, path, f"must be one of {', '.join(row.values)}; got {_shown(value)}"
            )
        elif row.form is not None and not has_form(value, row.form):
            self._report(table, row, path, f"must be {row.form.value}; got {_shown(value)}")

    def _number(self, value: Any, table: Table, row: Row, *, path: str) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | float):
            self._type(value, table, row, path=path)
            return value
        if abs(value) > sys.float_info.max:
            self._report(table, row, path, "is too large for a number")
            return value
        if row.kind is Kind.INT:
            # JSON has one kind of number, and 8123.0 is the same one as 8123.
            if value != int(value):
                self._type(value, table, row, path=path)
                return value
            value = int(value)
        if row.minimum is not None and value < row.minimum:
            self._report(table, row, path, f"must be at least {row.minimum:g}, got {_shown(value)}")
        elif row.maximum is not None and value > row.maximum:
            self._report(
                table, row, path, f"must be at most {int(row.maximum)}, got {_shown(value)}"
            )
        return value

    def _missing(self, message: dict[str, Any], table: Table, row: Row, *, path: str) -> None:
        near = difflib.get_close_matches(
            row.field.lower(), [name.lower() for name in list(message)[:50]], n=1, cutoff=0.8
        )
        given = next((name for name in message if near and name.lower() == near[0]), None)
        hint = f"; {_shown(given)} was sent, names are case-sensitive" if given is not None else ""
        problem = f"is mandatory and missing{hint}"
        self._report(table, row, _join(path, row.field), problem, is_missing=True)

    def _unknown(self, name: str, table: Table, *, path: str) -> None:
        shown = _join(path, _shown(name)[1:-1])
        self._report(table, None, shown, "is not a field of the table", fatal=self._strict_extra)

    def _type(self, value: Any, table: Table, row: Row, *, path: str) -> None:
        self._report(table, row, path, f"must be of type {row.kind.value}, got {_shown(value)}")

    def _report(
        self,
        table: Table,
        row: Row | None,
        field: str,
        problem: str,
        *,
        fatal: bool = True,
        is_missing: bool = False,
    ) -> None:
        finding = Finding(
            table=table.number,
            row=None if row is None else row.number,
            field=field,
            problem=problem,
            fatal=fatal,
            is_missing=is_missing,
        )
        if len(self.findings) < FINDINGS_MAXIMUM:
            self.findings.append(finding)
        elif fatal and not any(each.fatal for each in self.findings):
            # A flood of notes must not hide the one thing that refuses the message.
            self.findings[-1] = finding


def has_form(value: str, form: Form) -> bool:
    """Tell whether a text keeps to a rule."""
    if form is Form.CODE:
        return len(value) == 20 and value.isascii() and value.isdigit()
    if form is Form.DATE_TIME:
        return _is_date_time(value)
    if form is Form.SLASHED_DATE:
        return _is_slashed_date(value)
    if form in _PATTERNS:
        return _PATTERNS[form].fullmatch(value) is not None
    try:
        ipaddress.IPv4Address(value)
    except ValueError:
        return False
    return True


def _is_date_time(value: str) -> bool:
    # The length is the table's; a fraction of a second stands in table F.13 alone.
    whole, dot, fraction = value.partition(".")
    if dot and not (fraction.isascii() and fraction.isdigit() and len(fraction) <= 6):
        return False
    if len(whole) != 19 or not whole.isascii():
        return False
    try:
        datetime.strptime(whole, "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007 - the standard has no zone
    except ValueError:
        return False
    return True


def _is_slashed_date(value: str) -> bool:
    parts = _SLASHED_DATE.fullmatch(value)
    if parts is None:
        return False
    try:
        date(int(parts[1]), int(parts[2]), int(parts[3]))
    except ValueError:
        return False
    return True


def _no_name_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise ValueError(f"the name {_shown(name)} stands twice in one object")
            seen.add(name)
    return value


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


def _is_broken(text: str) -> bool:
    return any(0xD800 <= ord(character) <= 0xDFFF for character in text)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _shown(value: Any) -> str:
    """Return a value as one short printable line: it comes from outside and goes to a terminal."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int) and abs(value) > 10**20:
        return "a very large number"
    if isinstance(value, str):
        value = value[:_SHOWN_LENGTH]
    return _cut(repr(value))


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN_LENGTH else text[: _SHOWN_LENGTH - 1] + "…"
