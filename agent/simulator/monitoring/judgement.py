"""Judges what a centre answers to a question of annex B."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent.simulator.monitoring import messages, tables
from agent.simulator.monitoring.codes import Code
from agent.simulator.rows import Kind, Row, Table
from agent.simulator.validation import Finding, check

_KNOWN_CODES = frozenset(int(code) for code in Code)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """Is an answer after the check.

    `code` None where there was none; `value` has the fields of a success, and is empty without.
    What is fatal makes the answer none of the standard.
    """

    code: int | None
    value: Mapping[str, Any]
    message: str | None
    findings: tuple[Finding, ...]

    @property
    def is_valid(self) -> bool:
        """Tell whether the answer keeps to its table."""
        return not any(finding.fatal for finding in self.findings)

    @property
    def is_success(self) -> bool:
        """Tell whether the question was answered, in the words of the standard."""
        return self.is_valid and self.code == Code.SUCCESS


def judge(answer: Any, table: Table) -> Judged:
    """Lay a table of an answer on what came; a failure needs `code` and `msg` alone."""
    problem = messages.problem_of(answer)
    if problem is not None:
        return _judged(answer, findings=(_finding(table, "(message)", problem, fatal=True),))
    code = answer.get("code") if isinstance(answer, dict) else None
    if isinstance(code, int) and code != Code.SUCCESS:
        return _judge_failure(answer, table)
    notes: list[Finding] = []
    message = _without_nulls(_unwrapped(answer, table, notes), table, notes)
    checked = check(message, table)
    findings = (*checked.findings, *notes)
    if checked.accepted:
        findings += _oddities(checked.value, table)
    return _judged(answer, findings=findings, value=checked.value)


def _judge_failure(answer: Mapping[str, Any], table: Table) -> Judged:
    findings: tuple[Finding, ...] = ()
    message = answer.get("msg")
    if not isinstance(message, str) or not message:
        findings += (_finding(table, "msg", "has to tell why, as code is not 200", fatal=True),)
    if answer["code"] not in _KNOWN_CODES:
        # Annex C lists the common ones.
        problem = f"{str(answer['code'])[:20]} is not in annex C"
        findings += (_finding(table, "code", problem, fatal=False),)
    return _judged(answer, findings=findings)


def _unwrapped(answer: Any, table: Table, notes: list[Finding]) -> Any:
    """Return an answer whose data is an object, also where it came in a list of one."""
    data = answer.get("data") if isinstance(answer, dict) else None
    if isinstance(data, list) and len(data) == 1:
        # One column of the table says list, the other object.
        notes.append(_finding(table, "data", "is a list of one object", fatal=False))
        return {**answer, "data": data[0]}
    return answer


def _without_nulls(answer: Any, table: Table, notes: list[Finding]) -> Any:
    """Return an answer without what is null: the standard has no word for a figure not known."""
    if not isinstance(answer, dict):
        return answer
    answer = {name: value for name, value in answer.items() if name != "msg" or value is not None}
    data, row = answer.get("data"), _data_row(table)
    if not isinstance(data, dict) or row is None or row.element is None:
        return answer
    unknown = [each.field for each in row.element.rows if data.get(each.field, 0) is None]
    if unknown and not answer.get("msg"):
        problem = "is null, and msg does not say why"
        notes += [_finding(row.element, name, problem, fatal=False) for name in unknown]
    return {**answer, "data": {name: data[name] for name in data if name not in unknown}}


def _oddities(value: Mapping[str, Any], table: Table) -> tuple[Finding, ...]:
    if table is tables.OPERATIONAL_ANSWER:
        if _has_a_figure(value["data"]):
            return ()
        return (_finding(tables.OPERATIONAL_DATA, "(data)", "holds no figure", fatal=False),)
    if table is not tables.SUPERVISION_ANSWER:
        return ()
    data, problems = value["data"], {}
    if data.get("pue", 1) < 1:
        problems["pue"] = "is less than 1: the centre takes less than its IT equipment"
    total, green = data.get("electricityConsume"), data.get("greenElectricityConsume")
    if total is not None and green is not None and green > total:
        problems["greenElectricityConsume"] = "is more than electricityConsume"
    if not data:
        problems["(data)"] = "holds no figure"
    return tuple(
        _finding(tables.SUPERVISION_DATA, field, problem, fatal=False)
        for field, problem in problems.items()
    )


def _has_a_figure(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_has_a_figure, value.values()))
    if isinstance(value, list):
        return any(map(_has_a_figure, value))
    return isinstance(value, int | float) and not isinstance(value, bool)


def _data_row(table: Table) -> Row | None:
    return next((row for row in table.rows if row.kind is Kind.OBJECT), None)


def _judged(
    answer: Any, *, findings: tuple[Finding, ...], value: Mapping[str, Any] | None = None
) -> Judged:
    fields = answer if isinstance(answer, dict) else {}
    code, message = fields.get("code"), fields.get("msg")
    return Judged(
        code=code if isinstance(code, int) and not isinstance(code, bool) else None,
        value=value or {},
        message=message[:1024] if isinstance(message, str) else None,
        findings=findings,
    )


def _finding(table: Table, field: str, problem: str, *, fatal: bool) -> Finding:
    row = next((each.number for each in table.rows if each.field == field), None)
    return Finding(table=table.number, row=row, field=field, problem=problem, fatal=fatal)
