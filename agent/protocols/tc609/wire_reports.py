"""The messages of TC609 annex A that are sent to a monitoring platform.

Sent as the tables spell it: ids as numbers, codes as text, a key that says nothing left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import msgspec

from agent.protocols.tc609.declared import DeclaredCentre, DeclaredProject

TOKEN_PATH = "/api/token"  # noqa: S105 - a path
PROJECT_PATH = "/api/project"
CENTRE_PATH = "/api/computePowerCenter"
REPORT_PATH = "/api/monthReport"
REPORT_QUERY_PATH = "/api/queryMonthReport"


def encode_token_request(*, username: str, password: str) -> bytes:
    """Return the body of table A.1-1."""
    return _encode({"username": username, "password": password})


def encode_project_creation(project: DeclaredProject, *, group: str | None) -> bytes:
    """Return the body of table A.2-1; `group` None puts the members of 算力投入 beside the rest."""
    fields: dict[str, Any] = {"projectName": project.name}
    fields |= in_group(project.investment, group=group)
    fields["province"] = project.province
    return _encode(fields | _places(cluster=project.cluster, hub=project.hub))


def encode_project_change(
    project: DeclaredProject, *, identifier: int | None, group: str | None
) -> bytes:
    """Return the body of table A.3-1, found by its id, or by its name where that is None."""
    fields: dict[str, Any] = (
        {"projectName": project.name} if identifier is None else {"id": identifier}
    )
    fields |= in_group(project.investment, group=group)
    return _encode(fields | _places(cluster=project.cluster, hub=project.hub))


def encode_centre_creation(centre: DeclaredCentre, *, project_ids: Sequence[int]) -> bytes:
    """Return the body of table A.5-1."""
    fields = {"name": centre.name} | _centre_fields(centre, project_ids=project_ids)
    fields["province"], fields["city"] = centre.province, centre.city
    return _encode(fields)


def encode_centre_change(
    centre: DeclaredCentre, *, identifier: int | None, project_ids: Sequence[int]
) -> bytes:
    """Return the body of table A.6-1: with an id the name is the new one, without it finds."""
    fields: dict[str, Any] = {} if identifier is None else {"id": identifier}
    return _encode(fields | {"name": centre.name} | _centre_fields(centre, project_ids=project_ids))


def encode_month_report(
    *,
    centre_id: int | None,
    centre_name: str,
    month: str,
    groups: Sequence[tuple[str | None, Mapping[str, Any]]],
) -> bytes:
    """Return the body of table A.8-1: both of id and name, as the table marks both.

    A group whose name is None puts its members beside the rest.
    """
    fields: dict[str, Any] = {} if centre_id is None else {"centerId": centre_id}
    fields |= {"centerName": centre_name, "reportMonth": month}
    for group, members in groups:
        fields |= in_group(members, group=group)
    return _encode(fields)


def in_group(members: Mapping[str, Any], *, group: str | None) -> dict[str, Any]:
    """Return members under the name of their group, or as they are where it has none."""
    return dict(members) if group is None else {group: dict(members)}


def project_ids_text(identifiers: Sequence[int]) -> str:
    """Return `projectId` of table A.5-1: "1;2", empty where there is none."""
    return ";".join(str(identifier) for identifier in identifiers)


def date_text(day: date) -> str:
    """Return a date as table A.5-1 prints it: 2024/10/29."""
    return f"{day.year:04d}/{day.month:02d}/{day.day:02d}"


def month_text(year: int, month: int) -> str:
    """Return a month as table A.8-1 prints it: 2024-10."""
    return f"{year:04d}-{month:02d}"


def degrees(value: float) -> float:
    """Return a longitude or latitude with at most six decimals."""
    return round(value, 6) + 0.0


def _encode(fields: Mapping[str, Any]) -> bytes:
    return msgspec.json.encode(fields)


def _centre_fields(centre: DeclaredCentre, *, project_ids: Sequence[int]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if centre.description is not None:
        fields["description"] = centre.description
    fields |= {
        "projectId": project_ids_text(project_ids),
        "longitude": degrees(centre.longitude),
        "latitude": degrees(centre.latitude),
        "type": int(centre.type),
    }
    if centre.production_date is not None:
        fields["productionDate"] = date_text(centre.production_date)
    return fields | _places(cluster=centre.cluster, hub=centre.hub)


def _places(*, cluster: str | None, hub: str | None) -> dict[str, Any]:
    # "不填": who belongs to none leaves the key out.
    return {
        name: value for name, value in (("clusterId", cluster), ("hubId", hub)) if value is not None
    }
