"""Projects of the monitoring platform (A.2, A.3, A.4)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from agent.simulator.monitoring import outcome, tables
from agent.simulator.monitoring.outcome import Outcome
from agent.simulator.monitoring.store import Entity, EntityKind, MonitoringStore
from agent.simulator.validation import Finding

_FIELDS = ("id", "projectName")
# What table A.3-1 cannot change.
_FIXED = ("id", "projectName", "province")


class Projects:
    """Creates, changes and tells projects; safe in every thread.

    A user sees and changes its own. Names need not be unique: the standard does not say so, and a
    client that creates a project twice is to be seen.
    """

    def __init__(self, store: MonitoringStore, *, maximum: int, now: Callable[[], str]) -> None:
        self._store = store
        self._maximum = maximum
        self._now = now

    def create(self, value: Mapping[str, Any], user: str) -> Outcome:
        """Keep a new project and return its id as text (A.2)."""
        name = value["projectName"]
        with self._store.lock:
            outcome.check_room(
                self._store.count(EntityKind.PROJECT), maximum=self._maximum, of="projects"
            )
            same = self._store.find(EntityKind.PROJECT, name=name, owner=user)
            identifier = self._store.add(
                EntityKind.PROJECT, owner=user, name=name, body=value, at=self._now()
            )
        notes = _notes_of_groups(value)
        if same:
            problem = f"project {same[0].identifier} has this name already"
            notes = (*notes, outcome.note(tables.PROJECT_CREATION, "projectName", problem))
        text = f"created project {identifier} {name!r}"
        return Outcome(text=text, data=str(identifier), notes=notes)

    def change(self, value: Mapping[str, Any], user: str) -> Outcome:
        """Change a project, found by its id, or by its name where there is no id (A.3)."""
        with self._store.lock:
            found = outcome.chosen(
                self._store,
                EntityKind.PROJECT,
                identifier=value.get("id"),
                name=value.get("projectName"),
                user=user,
                fields=_FIELDS,
                table=tables.PROJECT_CHANGE,
            )
            new = {name: each for name, each in value.items() if name not in _FIXED}
            body = {**found.body, **new}
            self._store.change(found, name=found.name, body=body, at=self._now())
        notes = _notes_of_groups(value)
        if value.get("projectName", found.name) != found.name:
            problem = "differs from the name of this id; a project cannot be renamed"
            notes = (*notes, outcome.note(tables.PROJECT_CHANGE, "projectName", problem))
        return Outcome(text=f"changed project {found.identifier} {found.name!r}", notes=notes)

    def query(self, value: Mapping[str, Any], user: str) -> Outcome:
        """Tell the user's projects that have the id and the name that are given (A.4)."""
        found = self._store.find(
            EntityKind.PROJECT,
            identifier=value.get("id"),
            name=value.get("projectName"),
            owner=user,
        )
        return outcome.listed([as_table(each) for each in found], of="projects")


def as_table(project: Entity) -> dict[str, Any]:
    """Return a project as table A.4-4."""
    return {"id": project.identifier, **project.body}


def _notes_of_groups(value: Mapping[str, Any]) -> tuple[Finding, ...]:
    if value.get(tables.INVESTMENT) != {}:
        return ()
    return (outcome.note(tables.PROJECT_CREATION, tables.INVESTMENT, "holds nothing"),)
