"""The tables of TC609 annexes A and B that the platform judges by, as data.

The tables number no rows; they are counted here in their order. Groups for which the standard has
words and no identifier ("--") bear the names that this project gives them, and may hold anything.
"""

from __future__ import annotations

from dataclasses import replace

from agent.simulator.monitoring import dictionaries
from agent.simulator.rows import Form, Kind, Row, Table

INVESTMENT = "computePowerInvestment"
MONTH_GROUPS = (
    "computePowerSupply",
    "computePowerApplication",
    "computeElectricitySynergy",
    "computeNetworkSecurity",
)
GROUPS = (INVESTMENT, *MONTH_GROUPS)
_ANY = Table(number="-", title="members of a group", rows=(), is_open=True)


def _text(number: int, field: str, *, required: bool, length: int | None = None) -> Row:
    return Row(number=number, field=field, kind=Kind.STRING, required=required, length=length)


def _formed(number: int, field: str, form: Form, *, required: bool) -> Row:
    return replace(_text(number, field, required=required), form=form)


def _listed(number: int, field: str, values: tuple[str, ...], *, required: bool = False) -> Row:
    return replace(_text(number, field, required=required), values=values)


def _id(number: int, field: str) -> Row:
    # Mandatory is one of id and name: what no table can say, `api` looks at.
    return Row(number=number, field=field, kind=Kind.INT, required=False)


def _group(number: int, field: str) -> Row:
    return Row(number=number, field=field, kind=Kind.OBJECT, required=True, element=_ANY)


def _degrees(number: int, field: str, *, maximum: int) -> Row:
    return Row(
        number=number,
        field=field,
        kind=Kind.NUMBER,
        required=True,
        minimum=-maximum,
        maximum=maximum,
    )


def _project_ids(number: int) -> Row:
    row = _formed(number, "projectId", Form.PROJECT_IDS, required=True)
    # "如果没有项目则填空": the key has to be there, and may be empty.
    return replace(row, may_be_empty=True)


def _centre_type(number: int) -> Row:
    return Row(
        number=number,
        field="type",
        kind=Kind.INT,
        required=True,
        minimum=0,
        maximum=dictionaries.CENTRE_TYPE_MAXIMUM,
    )


TOKEN_REQUEST = Table(
    number="A.1-1",
    title="token request",
    rows=(_text(1, "username", required=True), _text(2, "password", required=True)),
)

PROJECT_CREATION = Table(
    number="A.2-1",
    title="project to create",
    rows=(
        _text(1, "projectName", required=True, length=dictionaries.NAME_LENGTH),
        _group(2, INVESTMENT),
        _listed(3, "province", dictionaries.PROVINCES, required=True),
        _listed(4, "clusterId", dictionaries.CLUSTERS),
        _listed(5, "hubId", dictionaries.HUBS),
    ),
)

PROJECT_CHANGE = Table(
    number="A.3-1",
    title="project to change",
    rows=(
        _text(1, "projectName", required=False),
        _id(2, "id"),
        _group(3, INVESTMENT),
        _listed(4, "clusterId", dictionaries.CLUSTERS),
        _listed(5, "hubId", dictionaries.HUBS),
    ),
)

CENTRE_CREATION = Table(
    number="A.5-1",
    title="centre to create",
    rows=(
        _text(1, "name", required=True, length=dictionaries.NAME_LENGTH),
        _text(2, "description", required=False, length=dictionaries.DESCRIPTION_LENGTH),
        _project_ids(3),
        _listed(4, "clusterId", dictionaries.CLUSTERS),
        _degrees(5, "longitude", maximum=180),
        _degrees(6, "latitude", maximum=90),
        _listed(7, "province", dictionaries.PROVINCES, required=True),
        _formed(8, "city", Form.REGION, required=True),
        _centre_type(9),
        _formed(10, "productionDate", Form.SLASHED_DATE, required=False),
        _listed(11, "hubId", dictionaries.HUBS),
    ),
)

CENTRE_CHANGE = Table(
    number="A.6-1",
    title="centre to change",
    rows=(
        _id(1, "id"),
        # No length stands here; a longer one could not be told in table A.7-4.
        _text(2, "name", required=False, length=dictionaries.NAME_LENGTH),
        _text(3, "description", required=False, length=dictionaries.DESCRIPTION_LENGTH),
        _project_ids(4),
        _listed(5, "clusterId", dictionaries.CLUSTERS),
        _degrees(6, "longitude", maximum=180),
        _degrees(7, "latitude", maximum=90),
        _centre_type(8),
        _formed(9, "productionDate", Form.SLASHED_DATE, required=False),
        _listed(10, "hubId", dictionaries.HUBS),
    ),
)

MONTH_REPORT = Table(
    number="A.8-1",
    title="month to report",
    rows=(
        _id(1, "centerId"),
        _text(2, "centerName", required=False),
        _formed(3, "reportMonth", Form.MONTH, required=True),
        *(_group(number, field) for number, field in enumerate(MONTH_GROUPS, start=4)),
    ),
)

PROJECT_QUERY = Table(
    number="A.4-1",
    title="query of projects",
    rows=(_text(1, "projectName", required=False), _id(2, "id")),
)
CENTRE_QUERY = Table(
    number="A.7-1",
    title="query of centres",
    rows=(_text(1, "name", required=False), _id(2, "id")),
)
MONTH_QUERY = Table(
    number="A.9-1",
    title="query of months",
    rows=(_id(1, "centerId"), _formed(2, "reportMonth", Form.MONTH, required=False)),
)

TOKEN_ANSWER = Table(
    number="A.1-2",
    title="token",
    rows=(
        Row(number=1, field="code", kind=Kind.INT, required=True),
        _text(2, "token", required=True),
        Row(number=3, field="expiresIn", kind=Kind.INT, required=True, minimum=1),
        replace(_text(4, "msg", required=False), may_be_empty=True),
    ),
)


def _figure(number: int, field: str) -> Row:
    return Row(number=number, field=field, kind=Kind.NUMBER, required=False, minimum=0)


def _answer(number: str, title: str, data: Table) -> Table:
    return Table(
        number=number,
        title=title,
        rows=(
            Row(number=1, field="code", kind=Kind.INT, required=True),
            Row(number=2, field="data", kind=Kind.OBJECT, required=True, element=data),
            replace(_text(3, "msg", required=False), may_be_empty=True),
        ),
    )


# The members of 算力负载 and 算力规模 have no identifiers, and neither have these two.
OPERATIONAL_DATA = Table(number="B.1-3", title="operational data", rows=(), is_open=True)
OPERATIONAL_ANSWER = _answer("B.1-2", "operational data", OPERATIONAL_DATA)
SUPERVISION_DATA = Table(
    number="B.2-3",
    title="power and environment of an hour",
    rows=(
        _figure(1, "electricityConsume"),
        _figure(2, "greenElectricityConsume"),
        _figure(3, "pue"),
        _figure(4, "wue"),
    ),
)
SUPERVISION_ANSWER = _answer("B.2-2", "power and environment", SUPERVISION_DATA)


def with_open_groups(table: Table) -> Table:
    """Return a table whose groups may be absent: their members then stand in the message itself."""
    rows = tuple(replace(row, required=False) if row.field in GROUPS else row for row in table.rows)
    return replace(table, rows=rows, is_open=True)
