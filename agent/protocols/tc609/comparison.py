"""What a platform has otherwise than it was declared (TC609, tables A.4-4 and A.7-4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from agent.protocols.tc609 import month_report, wire_reports
from agent.protocols.tc609.declared import DeclaredCentre, DeclaredProject
from agent.protocols.tc609.wire_answers import FoundCentre, FoundProject


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldDifference:
    """Is one field that a platform has otherwise, by its wire name; None: one side has none.

    The values are those of the wire: text, numbers, and what else JSON can hold.
    `is_changeable` False: the standard has no way to change it, so the platform has to.
    """

    name: str
    declared: Any
    found: Any
    is_changeable: bool = True


def project_differences(project: DeclaredProject, found: FoundProject) -> Sequence[FieldDifference]:
    """Return which fields of a project a platform has otherwise."""
    result = [
        FieldDifference(name=one.name, declared=one.sent, found=one.found)
        for one in month_report.member_differences(project.investment, found.investment)
    ]
    result += _place_differences(project, found)
    if project.province != found.province:
        result.append(
            FieldDifference(
                name="province",
                declared=project.province,
                found=found.province,
                is_changeable=False,
            )
        )
    return result


def centre_differences(
    centre: DeclaredCentre, found: FoundCentre, *, project_ids: Sequence[int | None]
) -> Sequence[FieldDifference]:
    """Return which fields of a centre a platform has otherwise.

    `project_ids` are those of its declared projects, None for one that is still to be created.
    """
    known = [identifier for identifier in project_ids if identifier is not None]
    pairs: list[tuple[str, Any, Any]] = [
        ("name", centre.name, found.name),
        ("description", centre.description, found.description),
        ("longitude", wire_reports.degrees(centre.longitude), _degrees(found.longitude)),
        ("latitude", wire_reports.degrees(centre.latitude), _degrees(found.latitude)),
        ("type", int(centre.type), found.type),
        ("productionDate", _day(centre.production_date), _day(found.production_date)),
    ]
    result = [
        _difference(name, declared, theirs)
        for name, declared, theirs in pairs
        if declared != theirs
    ]
    if set(known) != set(found.project_ids) or len(known) < len(project_ids):
        declared_text = ";".join("new" if one is None else str(one) for one in project_ids)
        found_text = wire_reports.project_ids_text(found.project_ids)
        result.append(FieldDifference(name="projectId", declared=declared_text, found=found_text))
    result += _place_differences(centre, found)
    result += [
        FieldDifference(name=name, declared=declared, found=theirs, is_changeable=False)
        for name, declared, theirs in (
            ("province", centre.province, found.province),
            ("city", centre.city, found.city),
        )
        if declared != theirs
    ]
    return result


def _place_differences(
    declared: DeclaredProject | DeclaredCentre, found: FoundProject | FoundCentre
) -> list[FieldDifference]:
    return [
        _difference(name, ours, theirs)
        for name, ours, theirs in (
            ("clusterId", declared.cluster, found.cluster),
            ("hubId", declared.hub, found.hub),
        )
        if ours != theirs
    ]


def _day(value: date | None) -> str | None:
    return None if value is None else wire_reports.date_text(value)


def _degrees(value: float | None) -> float | None:
    return None if value is None else wire_reports.degrees(value)


def _difference(name: str, declared: Any, found: Any) -> FieldDifference:
    # A key that is left out takes nothing away on a platform, so it would be sent for ever.
    return FieldDifference(
        name=name, declared=declared, found=found, is_changeable=declared is not None
    )
