"""The YAML file of figures that no meter gives: a person fills it in.

`project` holds what stands in 算力投入 of every project, `projects` what is true of one, by its
name, `always` what is true of every month until it is changed, `months` what is true of one month,
such as "2026-01". What is said of one goes before what is said of all. A figure that meters give
may stand in a month, too: it counts where the meters do not know it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from agent.config import yaml_source
from agent.config.findings import Findings, quoted
from agent.config.nodes import Entry, Node, Nothing, Place, Section, Text, join_key
from agent.protocols.tc609.report_map import (
    METERED_FIGURES,
    MONTH_GROUPS,
    Group,
    Kind,
    ReportMap,
)

Value = str | int | float

MAXIMUM_TEXT_CHARACTERS = 800
_LARGEST = 1e15
_MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?")
_SECTIONS = ("project", "projects", "always", "months")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Is what a person filled in, by the keys of the map."""

    project: Mapping[str, Value] = field(default_factory=dict)
    projects: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)
    always: Mapping[str, Value] = field(default_factory=dict)
    months: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)

    def of_project(self, name: str) -> Mapping[str, Value]:
        """Return what holds of a project."""
        return {**self.project, **self.projects.get(name, {})}

    def of_month(self, month: str) -> Mapping[str, Value]:
        """Return what holds in a month such as "2026-01"."""
        return {**self.always, **self.months.get(month, {})}


def parse_figures(content: bytes, *, file: str, report_map: ReportMap) -> Figures:
    """Return what stands in the file.

    Raises:
        ConfigError: with every problem of the file, each with its place.
    """
    findings = Findings(file)
    root = yaml_source.parse(
        content, findings=findings, least="one of project, projects, always and months",
        example='sections such as "always:"',
    )  # fmt: skip
    if root is None:
        raise findings.error()
    project = _kinds(report_map, Group.INVESTMENT)
    month = _kinds(report_map, *MONTH_GROUPS)
    always = {key: kind for key, kind in month.items() if key not in METERED_FIGURES}
    figures = Figures()
    for entry in root.entries:
        if entry.key not in _SECTIONS:
            _unknown(entry.key, "", known=_SECTIONS, place=entry.place, findings=findings)
        elif entry.key == "project":
            values = _values(entry.value, "project", kinds=project, findings=findings)
            figures = replace(figures, project=values)
        elif entry.key == "projects":
            projects = {
                one.key: _values(
                    one.value, join_key("projects", one.key), kinds=project, findings=findings
                )
                for one in _entries(entry.value, "projects", findings=findings)
            }
            figures = replace(figures, projects=projects)
        elif entry.key == "always":
            values = _values(entry.value, "always", kinds=always, findings=findings)
            figures = replace(figures, always=values)
        else:
            months = _months(entry.value, kinds=month, findings=findings)
            figures = replace(figures, months=months)
    findings.raise_problems()
    return figures


def _kinds(report_map: ReportMap, *groups: Group) -> dict[str, Kind]:
    return {member.figure: member.kind for member in report_map.figures(*groups)}


def _months(
    node: Node, *, kinds: Mapping[str, Kind], findings: Findings
) -> dict[str, Mapping[str, Value]]:
    months: dict[str, Mapping[str, Value]] = {}
    for entry in _entries(node, "months", findings=findings):
        path = join_key("months", entry.key)
        if _MONTH.fullmatch(entry.key) is None:
            findings.problem(path, "this is no month; write it like 2026-01", place=entry.place)
            continue
        months[entry.key] = _values(entry.value, path, kinds=kinds, findings=findings)
    return months


def _values(
    node: Node, path: str, *, kinds: Mapping[str, Kind], findings: Findings
) -> dict[str, Value]:
    values: dict[str, Value] = {}
    for entry in _entries(node, path, findings=findings):
        key = join_key(path, entry.key)
        kind = kinds.get(entry.key)
        if kind is None:
            if path == "always" and entry.key in METERED_FIGURES:
                message = "a figure that meters give stands in a month, under months"
                findings.problem(key, message, place=entry.place)
            else:
                _unknown(entry.key, path, known=kinds, place=entry.place, findings=findings)
        elif isinstance(entry.value, Text):
            try:
                values[entry.key] = _value(entry.value.text, kind=kind)
            except ValueError as error:
                findings.problem(key, str(error), place=entry.value.place)
        elif not isinstance(entry.value, Nothing):
            # A key without a value has just not been filled in yet.
            findings.problem(key, "expected one value", place=entry.value.place)
    return values


def _entries(node: Node, path: str, *, findings: Findings) -> tuple[Entry, ...]:
    if isinstance(node, Section):
        return node.entries
    if not isinstance(node, Nothing):
        findings.problem(path, 'expected lines like "key: value"', place=node.place)
    return ()


def _value(text: str, *, kind: Kind) -> Value:
    """Return a value of a kind; ValueError says what was expected."""
    if kind is Kind.TEXT:
        if not text.strip() or len(text) > MAXIMUM_TEXT_CHARACTERS:
            raise ValueError(f"expected a text of 1 to {MAXIMUM_TEXT_CHARACTERS} characters")
        return text.strip()
    plain = text.strip()
    number = float(plain) if _NUMBER.fullmatch(plain) else math.nan
    if not 0 <= number <= _LARGEST:
        raise ValueError(f"expected a number from 0 to {_LARGEST:g}, found {quoted(text)}")
    if kind is Kind.RATIO and number > 1:
        raise ValueError(f"expected a share from 0 to 1 (62 % is 0.62), found {quoted(text)}")
    if kind is Kind.COUNT and not number.is_integer():
        raise ValueError(f"expected a whole number, found {quoted(text)}")
    return int(number) if number.is_integer() else number


def _unknown(
    key: str, path: str, *, known: Mapping[str, Kind] | tuple[str, ...], place: Place,
    findings: Findings,
) -> None:  # fmt: skip
    near = findings.suggestion(key, known)
    advice = f"did you mean {near}?" if near else f"known are {', '.join(sorted(known))}"
    findings.problem(join_key(path, key), f"unknown key; {advice}", place=place)
