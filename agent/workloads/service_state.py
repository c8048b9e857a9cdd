"""Derives how a service fares from what was seen of its replicas; pure (T/BAX 0006.5, table F.13).

A replica works, is overloaded, starts for the first time, comes back, or has failed. From these:

| replicas                                        | service                    |
|-------------------------------------------------|----------------------------|
| all work                                        | RUNNING                    |
| all work, and one says that it is overloaded    | OVERLOAD                   |
| one is still to start for the first time        | INIT                       |
| some work, and the others failed or come back   | OVERLOAD                   |
| none works                                      | ERROR                      |
| the runtime cannot be asked                     | UNSPECIFIED                |
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from agent.model.workloads import (
    Container,
    ContainerHealth,
    ContainerState,
    DesiredService,
    Replica,
    Service,
    ServiceState,
    ServiceUsage,
)
from agent.workloads import labels
from agent.workloads.comparison import ReplicaKey

OVERLOAD_WORD = "OVERLOAD"
# Three ends of which the last is this near: it will end again.
_CRASH_LOOP_RESTARTS = 3
_CRASH_LOOP_SECONDS = 60.0
_REASON_CHARACTERS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """Holds what one pass saw and did; a replica that is in no mapping was not looked at yet.

    `failures` says why the last attempt failed, `activities` what is being done, and `started`
    names the replicas that ran at some time. `unreachable` says why nothing could be seen.
    """

    containers: Mapping[ReplicaKey, Container] = field(default_factory=dict)
    failures: Mapping[ReplicaKey, str] = field(default_factory=dict)
    activities: Mapping[ReplicaKey, str] = field(default_factory=dict)
    started: frozenset[ReplicaKey] = frozenset()
    unreachable: str | None = None


class _Condition(enum.Enum):
    WORKS = enum.auto()
    OVERLOADED = enum.auto()
    STARTS = enum.auto()
    RETURNS = enum.auto()
    FAILED = enum.auto()


def derive(
    desired: DesiredService, sighting: Sighting, *, now: datetime, usage: ServiceUsage
) -> Service:
    """Return a service as it stands at a moment of the wall clock."""
    keys = [(desired.service_id, index) for index in range(desired.replicas)]
    if sighting.unreachable is not None:
        reason = f"the container runtime cannot be asked: {sighting.unreachable}"
        return Service(
            desired=desired,
            state=ServiceState.UNSPECIFIED,
            reason=reason[:_REASON_CHARACTERS],
            replicas=tuple(Replica(index=index) for _, index in keys),
            usage=usage,
        )
    found = [_look(key, sighting, now=now) for key in keys]
    return Service(
        desired=desired,
        state=_joined([condition for condition, _ in found]),
        reason=_reason([replica for _, replica in found]),
        replicas=tuple(replica for _, replica in found),
        usage=usage,
    )


def _joined(conditions: list[_Condition]) -> ServiceState:
    working = sum(each in (_Condition.WORKS, _Condition.OVERLOADED) for each in conditions)
    if working == len(conditions):
        return (
            ServiceState.OVERLOAD if _Condition.OVERLOADED in conditions else ServiceState.RUNNING
        )
    if _Condition.STARTS in conditions:
        return ServiceState.INIT
    return ServiceState.OVERLOAD if working else ServiceState.ERROR


def _look(key: ReplicaKey, sighting: Sighting, *, now: datetime) -> tuple[_Condition, Replica]:
    container = sighting.containers.get(key)
    failure = sighting.failures.get(key)
    activity = sighting.activities.get(key)
    if container is None:
        if failure is not None:
            return _Condition.FAILED, Replica(index=key[1], reason=failure)
        if key in sighting.started:
            reason = f"its container is gone; {activity or 'another is about to be made'}"
            return _Condition.RETURNS, Replica(index=key[1], reason=reason)
        return _Condition.STARTS, Replica(index=key[1], reason=activity or "it is about to start")
    condition, reason_or_none = _judge(container, failure, activity, now=now)
    return condition, Replica(
        index=key[1],
        container_id=container.container_id,
        state=container.state,
        reason=reason_or_none,
        restarts=container.restarts,
        started_at=container.started_at,
        accelerators=labels.accelerators_of(container.labels),
    )


def _judge(
    container: Container, failure: str | None, activity: str | None, *, now: datetime
) -> tuple[_Condition, str | None]:
    """Return what a container's own state says of its replica, and why it does not work."""
    if container.state is ContainerState.RESTARTING or _ends_again(container, now):
        return (
            _Condition.FAILED,
            f"it keeps ending ({container.restarts} times): {ended(container)}",
        )
    if container.state is not ContainerState.RUNNING:
        if failure is not None:
            return _Condition.FAILED, failure
        if container.state is ContainerState.CREATED and container.started_at is None:
            return _Condition.STARTS, activity or "it is about to start"
        return _Condition.RETURNS, f"{_stopped(container)}; {activity or 'it is to be started'}"
    if container.health is ContainerHealth.UNHEALTHY:
        return _Condition.FAILED, f"its health check fails: {_line(container.health_output)}"
    if container.health is ContainerHealth.STARTING:
        condition = _Condition.RETURNS if container.restarts else _Condition.STARTS
        return condition, "its health check has not passed yet"
    if (container.health_output or "").lstrip().startswith(OVERLOAD_WORD):
        return _Condition.OVERLOADED, _line(container.health_output)
    return _Condition.WORKS, None


def _ends_again(container: Container, now: datetime) -> bool:
    if container.restarts < _CRASH_LOOP_RESTARTS or container.started_at is None:
        return False
    # A wall clock that was set back makes this negative: it started not long ago then, too.
    return (now - container.started_at).total_seconds() < _CRASH_LOOP_SECONDS


def _stopped(container: Container) -> str:
    if container.state is ContainerState.PAUSED:
        return "it was paused"
    if container.state is ContainerState.CREATED:
        return "it was never started"
    return ended(container)


def ended(container: Container) -> str:
    """Return in words how a container ended the last time."""
    if container.was_killed_for_memory:
        return "it was killed because it used more memory than it may"
    text = "it ended" if container.exit_code is None else f"it ended with {container.exit_code}"
    return f"{text}: {_line(container.error)}" if container.error else text


def _reason(replicas: list[Replica]) -> str | None:
    """Return the replicas' reasons in one line, each once."""
    indexes: dict[str, list[str]] = {}
    for replica in replicas:
        if replica.reason is not None:
            indexes.setdefault(replica.reason, []).append(str(replica.index))
    if not indexes:
        return None
    if len(replicas) == 1:
        return next(iter(indexes))[:_REASON_CHARACTERS]
    parts = [f"replica {', '.join(each)}: {reason}" for reason, each in indexes.items()]
    return "; ".join(parts)[:_REASON_CHARACTERS]


def _line(text: str | None) -> str:
    """Return what a program printed, as one line fit to be shown."""
    words = " ".join((text or "").split())
    printable = "".join(each for each in words if each.isprintable())
    return printable[:_REASON_CHARACTERS] or "it says nothing"
