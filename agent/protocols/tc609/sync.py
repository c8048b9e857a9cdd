"""Makes projects and centres of a platform what was declared (TC609, A.2 to A.7).

First everything is asked for and compared (`plan`); then what differs is created or changed
(`apply`). Nothing is deleted: the standard has no way to.
"""

from __future__ import annotations

import enum
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar

from agent.errors import ConflictError, PermanentError, PlatformRejected, TransientError
from agent.model.clock import Clock
from agent.protocols.tc609 import comparison
from agent.protocols.tc609.comparison import FieldDifference
from agent.protocols.tc609.declared import DeclaredCentre, DeclaredProject
from agent.protocols.tc609.platform_client import PlatformClient
from agent.protocols.tc609.wire_answers import FoundCentre, FoundProject
from agent.store.platform_ids import PlatformIds

logger = logging.getLogger(__name__)

# A creation whose answer was lost may still be at work on the platform for so long.
_LOST_ANSWER = timedelta(minutes=10)
_Found = TypeVar("_Found", FoundProject, FoundCentre)


class EntityKind(str, enum.Enum):
    """Says what is declared."""

    PROJECT = "project"
    CENTRE = "centre"


class SyncAction(str, enum.Enum):
    """Says what has to be done; UNCHANGED: nothing."""

    CREATE = "create"
    CHANGE = "change"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityPlan:
    """Is what has to be done for one project or centre; `identifier` None: not known yet."""

    kind: EntityKind
    name: str
    action: SyncAction
    identifier: int | None
    differences: tuple[FieldDifference, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """Is what a platform should have.

    Raises:
        ValueError: two have the same name, or a centre belongs to a project that is not declared.
    """

    projects: tuple[DeclaredProject, ...] = field(default=())
    centres: tuple[DeclaredCentre, ...] = field(default=())

    def __post_init__(self) -> None:
        project_names = [project.name for project in self.projects]
        for names in (project_names, [centre.name for centre in self.centres]):
            for name in names:
                if names.count(name) > 1:
                    raise ValueError(f"two have the name {name!r}")
        for centre in self.centres:
            for project in centre.projects:
                if project not in project_names:
                    raise ValueError(
                        f"the centre {centre.name!r} belongs to the project {project!r}, which is "
                        "not declared"
                    )


class PlatformSync:
    """Compares one platform with what was declared, and brings it there; one thread at a time.

    `plan` and `apply` raise as the client does, NoRoomError and TransientError as the store does,
    and ConflictError where the platform has several of one name.
    """

    def __init__(
        self,
        platform: str,
        *,
        declaration: Declaration,
        client: PlatformClient,
        identifiers: PlatformIds,
        clock: Clock,
    ) -> None:
        self._platform = platform
        self._declaration = declaration
        self._client = client
        self._identifiers = identifiers
        self._clock = clock

    def identifier_of(self, kind: EntityKind, name: str) -> int | None:
        """Return the platform's id of what was declared, as far as it is known; asks nobody."""
        return self._identifiers.get(self._platform, kind=kind.value, name=name)

    def has_centre(self, name: str) -> bool:
        """Tell whether the platform has a centre, and remember its id; asks where none is known.

        Raises as `plan`.
        """
        if self.identifier_of(EntityKind.CENTRE, name) is not None:
            return True
        return self._find_centre(name) is not None

    def plan(self) -> tuple[EntityPlan, ...]:
        """Return what has to be done, projects first; changes nothing on the platform."""
        projects = [self._plan_project(project) for project in self._declaration.projects]
        known = {plan.name: plan.identifier for plan in projects}
        centres = [self._plan_centre(centre, known) for centre in self._declaration.centres]
        return (*projects, *centres)

    def apply(self) -> tuple[EntityPlan, ...]:
        """Create and change what differs; return what was done, with the ids.

        What was done stays done where an error comes in between; run again, it goes on from there.
        """
        done: list[EntityPlan] = []
        known: dict[str, int | None] = {}
        for project in self._declaration.projects:
            plan = self._apply_project(project)
            known[project.name] = plan.identifier
            done.append(plan)
        done += [self._apply_centre(centre, known) for centre in self._declaration.centres]
        return tuple(done)

    def _plan_project(self, project: DeclaredProject) -> EntityPlan:
        found = self._find_project(project.name)
        if found is None:
            return _creation(EntityKind.PROJECT, project.name)
        differences = comparison.project_differences(project, found)
        return _change(EntityKind.PROJECT, project.name, found.identifier, differences)

    def _plan_centre(
        self, centre: DeclaredCentre, projects: Mapping[str, int | None]
    ) -> EntityPlan:
        found = self._find_centre(centre.name)
        if found is None:
            return _creation(EntityKind.CENTRE, centre.name)
        ids = [projects.get(name) for name in centre.projects]
        differences = comparison.centre_differences(centre, found, project_ids=ids)
        return _change(EntityKind.CENTRE, centre.name, found.identifier, differences)

    def _apply_project(self, project: DeclaredProject) -> EntityPlan:
        plan = self._plan_project(project)
        if plan.action is SyncAction.CREATE:
            identifier = self._create(
                EntityKind.PROJECT,
                project.name,
                create=lambda: self._client.create_project(project),
                find=lambda: self._find_project(project.name),
            )
            plan = _created(plan, identifier)
        elif plan.action is SyncAction.CHANGE:
            self._client.change_project(project, identifier=plan.identifier)
        self._log(plan)
        return plan

    def _apply_centre(
        self, centre: DeclaredCentre, projects: Mapping[str, int | None]
    ) -> EntityPlan:
        project_ids = []
        for name in centre.projects:
            identifier = projects[name]
            if identifier is None:
                raise TransientError(f"the platform tells no id of the project {name!r}")
            project_ids.append(identifier)
        plan = self._plan_centre(centre, projects)
        if plan.action is SyncAction.CREATE:
            created = self._create(
                EntityKind.CENTRE,
                centre.name,
                create=lambda: self._client.create_centre(centre, project_ids=project_ids),
                find=lambda: self._find_centre(centre.name),
            )
            plan = _created(plan, created)
        elif plan.action is SyncAction.CHANGE:
            self._client.change_centre(centre, identifier=plan.identifier, project_ids=project_ids)
        self._log(plan)
        return plan

    def _create(
        self,
        kind: EntityKind,
        name: str,
        *,
        create: Callable[[], int | None],
        find: Callable[[], FoundProject | FoundCentre | None],
    ) -> int | None:
        """Create what a query has just not found, so that it never comes to be twice."""
        now = self._clock.now()
        asked_at = self._identifiers.asked_at(self._platform, kind=kind.value, name=name)
        if asked_at is not None and timedelta(0) <= now - asked_at < _LOST_ANSWER:
            left_seconds = (asked_at + _LOST_ANSWER - now).total_seconds()
            raise TransientError(
                f"the {kind.value} {name!r} was to be created at {asked_at:%H:%M:%S} UTC, and no "
                "answer came: the platform may still be at it",
                retry_after_seconds=left_seconds,
            )
        # On the disk before it is sent: a kill in between must not lead to a second one.
        self._identifiers.ask(self._platform, kind=kind.value, name=name, at=now)
        try:
            identifier = create()
        except (PlatformRejected, PermanentError):
            self._identifiers.forget(self._platform, kind=kind.value, name=name)
            raise
        except TransientError:
            if find() is None:
                raise
            identifier = None
        if identifier is None:
            found = find()
            identifier = None if found is None else found.identifier
        if identifier is not None:
            self._remember(kind, name, identifier)
        return identifier

    def _find_project(self, name: str) -> FoundProject | None:
        remembered = self.identifier_of(EntityKind.PROJECT, name)
        named = [one for one in self._client.find_projects(name=name) if one.name == name]
        found = _choose(named, name=name, remembered=remembered)
        if found is not None and found.identifier is not None:
            self._remember(EntityKind.PROJECT, name, found.identifier)
        return found

    def _find_centre(self, name: str) -> FoundCentre | None:
        remembered = self.identifier_of(EntityKind.CENTRE, name)
        named = [one for one in self._client.find_centres(name=name) if one.name == name]
        if not named and remembered is not None:
            # Somebody gave it another name on the platform; A.6 gives it ours again.
            named = [
                one
                for one in self._client.find_centres(identifier=remembered)
                if one.identifier == remembered
            ]
        found = _choose(named, name=name, remembered=remembered)
        if found is not None and found.identifier is not None:
            self._remember(EntityKind.CENTRE, name, found.identifier)
        return found

    def _remember(self, kind: EntityKind, name: str, identifier: int) -> None:
        if self.identifier_of(kind, name) != identifier:
            self._identifiers.remember(
                self._platform, kind=kind.value, name=name, identifier=identifier
            )

    def _log(self, plan: EntityPlan) -> None:
        if plan.action is not SyncAction.UNCHANGED:
            logger.info(
                "event=%s_%s platform=%s name=%r id=%s fields=%s",
                plan.kind.value, plan.action.value, self._platform, plan.name, plan.identifier,
                ",".join(difference.name for difference in plan.differences),
            )  # fmt: skip


def _choose(named: Sequence[_Found], *, name: str, remembered: int | None) -> _Found | None:
    if len(named) <= 1:
        return named[0] if named else None
    for one in named:
        if remembered is not None and one.identifier == remembered:
            return one
    ids = ", ".join(str(one.identifier) for one in named)
    raise ConflictError(
        f"the platform has {len(named)} of the name {name!r} (ids {ids}): have all but one removed"
    )


def _creation(kind: EntityKind, name: str) -> EntityPlan:
    return EntityPlan(kind=kind, name=name, action=SyncAction.CREATE, identifier=None)


def _created(plan: EntityPlan, identifier: int | None) -> EntityPlan:
    return EntityPlan(kind=plan.kind, name=plan.name, action=plan.action, identifier=identifier)


def _change(
    kind: EntityKind,
    name: str,
    identifier: int | None,
    differences: Sequence[FieldDifference],
) -> EntityPlan:
    needs_change = any(difference.is_changeable for difference in differences)
    return EntityPlan(
        kind=kind,
        name=name,
        action=SyncAction.CHANGE if needs_change else SyncAction.UNCHANGED,
        identifier=identifier,
        differences=tuple(differences),
    )
