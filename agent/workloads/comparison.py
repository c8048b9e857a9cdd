"""Compares what should run with what the runtime has; pure.

What runs stays. A container is of ours only where its label names this agent; of these, one is
taken away only where its service is not desired, where its service has no such replica, where
another container is the same replica already, or where it cannot be started again. What another
agent made, or this one before its database was lost, is an orphan and is left alone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from agent.model.workloads import Container, ContainerState, DesiredService
from agent.workloads import labels

ReplicaKey = tuple[str, int]  # service id, index

# Which of two containers of one replica is kept: the first of these.
_PREFERENCE = (
    ContainerState.RUNNING,
    ContainerState.RESTARTING,
    ContainerState.PAUSED,
    ContainerState.EXITED,
    ContainerState.CREATED,
    ContainerState.DEAD,
)
_GOES_ON = (ContainerState.RUNNING, ContainerState.RESTARTING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Remove:
    """Is a container that has to go."""

    container: Container
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recover:
    """Is a replica whose container is there and does not run."""

    replica: ReplicaKey
    container: Container


@dataclass(frozen=True, slots=True, kw_only=True)
class Create:
    """Is a replica that has no container."""

    service: DesiredService
    replica: ReplicaKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Holds the steps in the order in which they are to be begun, and what was found.

    `containers` are those that are the replicas' own; `orphans` those that nobody here asked for.
    """

    removals: tuple[Remove, ...]
    recoveries: tuple[Recover, ...]
    creations: tuple[Create, ...]
    containers: Mapping[ReplicaKey, Container]
    orphans: tuple[Container, ...]


def compare(
    *,
    desired: Sequence[DesiredService],
    containers: Sequence[Container],
    agent: str,
    beyond_repair: Collection[str] = (),
) -> Comparison:
    """Return what has to be done to get from the containers to the desired services.

    `beyond_repair` are the ids of containers that the runtime says it cannot start again.
    """
    services = {service.service_id: service for service in desired}
    removals: list[Remove] = []
    orphans: list[Container] = []
    candidates: dict[ReplicaKey, list[Container]] = {}
    for container in containers:
        service_id = container.labels.get(labels.SERVICE)
        if service_id is None:
            continue  # somebody else's: a runtime should not even have listed it
        if container.labels.get(labels.AGENT) != agent:
            orphans.append(container)
        elif service_id in services:
            index = labels.replica_of(container.labels)
            if index is None or index >= services[service_id].replicas:
                removals.append(Remove(container=container, reason="there is no such replica"))
            else:
                candidates.setdefault((service_id, index), []).append(container)
        else:
            removals.append(Remove(container=container, reason="its service is not desired"))

    kept: dict[ReplicaKey, Container] = {}
    for key, same in candidates.items():
        best, *others = sorted(same, key=_rank)
        removals += [Remove(container=each, reason="its replica runs twice") for each in others]
        if _is_lost(best, beyond_repair):
            removals.append(Remove(container=best, reason="it cannot be started again"))
        else:
            kept[key] = best

    return Comparison(
        removals=tuple(removals),
        recoveries=tuple(
            Recover(replica=key, container=container)
            for key, container in kept.items()
            if container.state not in _GOES_ON
        ),
        creations=tuple(
            Create(service=service, replica=(service.service_id, index))
            for service in desired
            for index in range(service.replicas)
            if (service.service_id, index) not in kept
        ),
        containers=kept,
        orphans=tuple(orphans),
    )


def _is_lost(container: Container, beyond_repair: Collection[str]) -> bool:
    if container.state in _GOES_ON:
        return False
    return container.state is ContainerState.DEAD or container.container_id in beyond_repair


def _rank(container: Container) -> tuple[int, float, str]:
    """Order containers of one replica, the one to keep first: what runs, then the newest."""
    started = container.started_at.timestamp() if container.started_at is not None else 0.0
    return (_PREFERENCE.index(container.state), -started, container.container_id)
