"""What an operation of the monitoring platform gives: the answer's data, and words for the log."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent.simulator.monitoring.codes import Code, Refused
from agent.simulator.monitoring.store import Entity, EntityKind, MonitoringStore
from agent.simulator.rows import Table
from agent.simulator.validation import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Is what came of an operation; `data` None where the table of its answer has none."""

    text: str
    data: Any = None
    notes: tuple[Finding, ...] = ()


# Takes a message that kept to its table, and the user who sent it.
Operation = Callable[[Mapping[str, Any], str], Outcome]


def listed(records: Sequence[Mapping[str, Any]], *, of: str) -> Outcome:
    """Return tables A.4-3, A.7-3 and A.9-3."""
    data = {"total": len(records), "datalist": list(records)}
    return Outcome(text=f"told {len(records)} {of}", data=data)


def note(table: Table, field: str, problem: str) -> Finding:
    """Return what the table lets pass and a platform would wonder at."""
    return _finding(table, field, problem, fatal=False)


def refusal(table: Table, field: str, problem: str, *, code: Code) -> Refused:
    """Return the refusal of one field; whether it is missing is told by the code."""
    finding = _finding(table, field, problem, fatal=True, is_missing=code is Code.FIELD_MISSING)
    return Refused(str(finding), code=code, findings=[finding])


def chosen(
    store: MonitoringStore,
    kind: EntityKind,
    *,
    identifier: int | None,
    name: str | None,
    user: str,
    fields: tuple[str, str],
    table: Table,
) -> Entity:
    """Return the one record that an id, or a name where there is no id, stands for.

    `fields` are what the table calls id and name.

    Raises:
        Refused: neither was sent (10005), nothing has this id or name (99999), several have the
            name (99999), or it belongs to another user (10003).
    """
    id_field, name_field = fields
    if identifier is None and not name:
        problem = f"is missing, and so is {name_field}: one of them is mandatory"
        raise refusal(table, id_field, problem, code=Code.FIELD_MISSING)
    field = id_field if identifier is not None else name_field
    shown = str(identifier)[:20] if identifier is not None else repr(name)[:60]
    wanted_name = name if identifier is None else None
    found = store.find(kind, identifier=identifier, name=wanted_name)
    own = [each for each in found if each.owner == user]
    if found and not own:
        problem = f"{shown} is a {kind.value} of another user"
        raise refusal(table, field, problem, code=Code.PERMISSION_DENIED)
    if not own:
        raise refusal(table, field, f"no {kind.value} has {shown}", code=Code.OTHER)
    if len(own) > 1:
        ids = ", ".join(str(each.identifier) for each in own)
        problem = f"several have the name {shown} (ids {ids}): send the id"
        raise refusal(table, field, problem, code=Code.OTHER)
    return own[0]


def check_room(count: int, *, maximum: int, of: str) -> None:
    """Return if there is room for another.

    Raises:
        Refused: there is none (99999).
    """
    if count >= maximum:
        raise Refused(f"the platform holds {maximum} {of}, which is all it takes", code=Code.OTHER)


def _finding(
    table: Table, field: str, problem: str, *, fatal: bool, is_missing: bool = False
) -> Finding:
    row = next((each.number for each in table.rows if each.field == field), None)
    return Finding(
        table=table.number,
        row=row,
        field=field,
        problem=problem,
        fatal=fatal,
        is_missing=is_missing,
    )
