"""Computing centres of the monitoring platform (A.5, A.6, A.7)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from agent.simulator.monitoring import outcome, tables
from agent.simulator.monitoring.codes import Code
from agent.simulator.monitoring.outcome import Outcome
from agent.simulator.monitoring.store import Entity, EntityKind, MonitoringStore
from agent.simulator.rows import Table
from agent.simulator.validation import Finding

DECIMALS_MAXIMUM = 6
_FIELDS = ("id", "name")


class Centres:
    """Creates, changes and tells centres; safe in every thread.

    A user sees and changes its own, and puts them into its own projects.
    """

    def __init__(self, store: MonitoringStore, *, maximum: int, now: Callable[[], str]) -> None:
        self._store = store
        self._maximum = maximum
        self._now = now

    def create(self, value: Mapping[str, Any], user: str) -> Outcome:
        """Keep a new centre and return its id as text (A.5)."""
        table = tables.CENTRE_CREATION
        _check_places(value, table)
        name = value["name"]
        with self._store.lock:
            outcome.check_room(
                self._store.count(EntityKind.CENTRE), maximum=self._maximum, of="centres"
            )
            notes = self._check_projects(value["projectId"], user, table)
            same = self._store.find(EntityKind.CENTRE, name=name, owner=user)
            identifier = self._store.add(
                EntityKind.CENTRE, owner=user, name=name, body=value, at=self._now()
            )
        if same:
            problem = f"centre {same[0].identifier} has this name already"
            notes += (outcome.note(table, "name", problem),)
        if value["city"][:2] != value["province"][:2]:
            notes += (outcome.note(table, "city", f"lies outside {value['province']}"),)
        return Outcome(
            text=f"created centre {identifier} {name!r}", data=str(identifier), notes=notes
        )

    def change(self, value: Mapping[str, Any], user: str) -> Outcome:
        """Change a centre (A.6): beside an id the name is a new one, else it finds the centre."""
        table = tables.CENTRE_CHANGE
        _check_places(value, table)
        with self._store.lock:
            found = outcome.chosen(
                self._store,
                EntityKind.CENTRE,
                identifier=value.get("id"),
                name=value.get("name"),
                user=user,
                fields=_FIELDS,
                table=table,
            )
            notes = self._check_projects(value["projectId"], user, table)
            if value.get("name") == "":
                problem = "is the new name, and must not be empty"
                raise outcome.refusal(table, "name", problem, code=Code.TYPE_WRONG)
            new = {name: each for name, each in value.items() if name != "id"}
            body = {**found.body, **new}
            self._store.change(found, name=body["name"], body=body, at=self._now())
        renamed = "" if body["name"] == found.name else f", now {body['name']!r}"
        text = f"changed centre {found.identifier} {found.name!r}{renamed}"
        return Outcome(text=text, notes=notes)

    def query(self, value: Mapping[str, Any], user: str) -> Outcome:
        """Tell the user's centres that have the id and the name that are given (A.7)."""
        found = self._store.find(
            EntityKind.CENTRE, identifier=value.get("id"), name=value.get("name"), owner=user
        )
        return outcome.listed([as_table(each) for each in found], of="centres")

    def _check_projects(self, text: str, user: str, table: Table) -> tuple[Finding, ...]:
        identifiers = text.split(";") if text else []
        for each in identifiers:
            outcome.chosen(
                self._store,
                EntityKind.PROJECT,
                identifier=int(each),
                name=None,
                user=user,
                fields=("projectId", "projectId"),
                table=table,
            )
        if len(set(map(int, identifiers))) < len(identifiers):
            return (outcome.note(table, "projectId", "names a project twice"),)
        return ()


def as_table(centre: Entity) -> dict[str, Any]:
    """Return a centre as table A.7-4."""
    return {"id": centre.identifier, **centre.body}


def _check_places(value: Mapping[str, Any], table: Table) -> None:
    """Return if longitude and latitude have at most six decimals (最多 6 位)."""
    for field in ("longitude", "latitude"):
        exponent = Decimal(repr(value[field])).normalize().as_tuple().exponent
        if isinstance(exponent, int) and -exponent > DECIMALS_MAXIMUM:
            problem = f"has {-exponent} decimals, at most {DECIMALS_MAXIMUM} are allowed"
            raise outcome.refusal(table, field, problem, code=Code.TYPE_WRONG)
