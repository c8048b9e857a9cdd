"""A month's report, made of the totals of a month and the figures that a person filled in."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent.metering.months import MonthTotals
from agent.model.metering import Figure
from agent.protocols.tc609 import wire_reports
from agent.protocols.tc609.figures_file import Figures, Value
from agent.protocols.tc609.report_map import (
    METERED_FIGURES,
    MONTH_GROUPS,
    Group,
    GroupMap,
    Member,
    ReportMap,
)
from agent.protocols.tc609.wire_answers import FoundReport

_JOULES_PER_KWH = 3_600_000
_MILLILITRES_PER_LITRE = 1000
_DECIMALS = 3
_RATIO_DECIMALS = 4
_MONTH = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """Is a month of the calendar."""

    year: int
    month: int

    def __str__(self) -> str:
        return wire_reports.month_text(self.year, self.month)

    @classmethod
    def parse(cls, text: str) -> Month:
        """Return the month of a text such as 2026-01; ValueError for any other."""
        match = _MONTH.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is no month; write it like 2026-01")
        return cls(year=int(match[1]), month=int(match[2]))

    def before(self) -> Month:
        """Return the month before this one."""
        if self.month == 1:
            return Month(year=self.year - 1, month=12)
        return Month(year=self.year, month=self.month - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingMember:
    """Is a member that a report leaves out, since its figure is not known."""

    group: Group
    wire_name: str
    figure: str
    title: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedReport:
    """Is a month's report as it will be sent.

    `by_hand` are the metered figures that the file of figures had to tell. `is_empty` says that
    nothing at all is known of this very month.
    """

    month: Month
    body: bytes
    groups: Mapping[Group, Mapping[str, Value]]
    missing: tuple[MissingMember, ...]
    by_hand: tuple[str, ...]
    is_empty: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberDifference:
    """Is a member that a platform has otherwise than it was sent; None: one side has none."""

    name: str
    sent: Any
    found: Any


def render(
    month: Month,
    *,
    totals: MonthTotals,
    figures: Figures,
    report_map: ReportMap,
    centre_id: int | None,
    centre_name: str,
) -> RenderedReport:
    """Return the report of a month (table A.8-1); the same arguments give the same bytes.

    What is not known is left out and listed in `missing`, never sent as 0.
    """
    metered, reasons = _metered(totals)
    given = figures.of_month(str(month))
    by_hand = tuple(name for name in METERED_FIGURES if name in given and name not in metered)
    values: dict[str, Value] = {**given, **metered}
    groups: dict[Group, Mapping[str, Value]] = {}
    missing: list[MissingMember] = []
    for group in MONTH_GROUPS:
        members, absent = _members(report_map.group(group), values)
        groups[group] = members
        missing += [
            MissingMember(
                group=group,
                wire_name=member.wire_name,
                figure=member.figure,
                title=member.title,
                reason=reasons.get(member.figure, "not in the file of figures"),
            )
            for member in absent
        ]
    body = wire_reports.encode_month_report(
        centre_id=centre_id,
        centre_name=centre_name,
        month=str(month),
        groups=[(report_map.group(group).wire_name, groups[group]) for group in MONTH_GROUPS],
    )
    return RenderedReport(
        month=month,
        body=body,
        groups=groups,
        missing=tuple(missing),
        by_hand=by_hand,
        is_empty=not metered and not figures.months.get(str(month)),
    )


def render_investment(
    figures: Figures, *, project: str, report_map: ReportMap
) -> tuple[Mapping[str, Value], tuple[MissingMember, ...]]:
    """Return 算力投入 of a project by wire names (table A.2-1), and what is missing of it."""
    members, absent = _members(report_map.investment, figures.of_project(project))
    return members, tuple(
        MissingMember(
            group=Group.INVESTMENT,
            wire_name=member.wire_name,
            figure=member.figure,
            title=member.title,
            reason="not in the file of figures",
        )
        for member in absent
    )


def differences(
    sent: RenderedReport, found: FoundReport, *, report_map: ReportMap
) -> tuple[MemberDifference, ...]:
    """Return where a platform's report differs from what was sent; its own fields do not count."""
    result: list[MemberDifference] = []
    for group in MONTH_GROUPS:
        wire_name = report_map.group(group).wire_name
        theirs = found.members if wire_name is None else found.members.get(wire_name, {})
        if not isinstance(theirs, Mapping):
            theirs = {}
        result += member_differences(sent.groups[group], theirs)
    return tuple(result)


def member_differences(
    declared: Mapping[str, Any], found: Mapping[str, Any]
) -> Sequence[MemberDifference]:
    """Return which declared members are found otherwise; a number as text is the same."""
    return [
        MemberDifference(name=name, sent=value, found=found.get(name))
        for name, value in declared.items()
        if not _is_same(value, found.get(name))
    ]


def _members(
    group: GroupMap, values: Mapping[str, Value]
) -> tuple[Mapping[str, Value], Sequence[Member]]:
    known = {
        member.wire_name: values[member.figure]
        for member in group.members
        if member.figure in values
    }
    return known, [member for member in group.members if member.figure not in values]


def _metered(totals: MonthTotals) -> tuple[dict[str, Value], dict[str, str]]:
    """Return the figures that meters give, and why they do not give the others."""
    known: dict[str, Value] = {}
    reasons: dict[str, str] = {}

    def amount(name: str, figure: Figure, *, divisor: int) -> None:
        if figure.value is None:
            reasons[name] = f"the meters do not tell: {figure.reason or 'no reason given'}"
        else:
            known[name] = round(figure.value / divisor, _DECIMALS)

    def ratio(name: str, value: float | None, *, of: str) -> None:
        if value is None:
            reasons[name] = f"the meters do not tell: {totals.unknown.get(of, 'no reason given')}"
        else:
            known[name] = round(value, _RATIO_DECIMALS)

    amount("electricity_kwh", totals.facility, divisor=_JOULES_PER_KWH)
    amount("it_electricity_kwh", totals.it, divisor=_JOULES_PER_KWH)
    amount("green_electricity_kwh", totals.green, divisor=_JOULES_PER_KWH)
    amount("water_litres", totals.water, divisor=_MILLILITRES_PER_LITRE)
    ratio("pue", totals.pue, of="pue")
    ratio("wue_litres_per_kwh", totals.wue_litres_per_kwh, of="wue")
    return known, reasons


def _is_same(declared: Any, found: Any) -> bool:
    if isinstance(declared, Mapping):
        return isinstance(found, Mapping) and not member_differences(declared, found)
    if isinstance(declared, bool) or not isinstance(declared, int | float):
        return bool(declared == found)
    if isinstance(found, bool) or not isinstance(found, int | float | str):
        return False
    try:
        number = float(found)
    except ValueError:
        return False
    # Platforms keep doubles or decimals; neither loses the sixth digit.
    return abs(number - declared) <= 1e-6 * max(1.0, abs(declared))
