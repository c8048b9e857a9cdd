"""What the engine says of containers and events, brought to the model's words. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from agent.model.workloads import Container, ContainerHealth, ContainerState

SERVICE_LABEL = "computility-agent.service"

# Enough for a word like OVERLOAD and an error; a health check may print without end.
_HEALTH_OUTPUT_CHARACTERS = 4096

_STATES = {
    "created": ContainerState.CREATED,
    "running": ContainerState.RUNNING,
    "restarting": ContainerState.RESTARTING,
    "paused": ContainerState.PAUSED,
    "exited": ContainerState.EXITED,
    "removing": ContainerState.DEAD,
    "dead": ContainerState.DEAD,
    # podman's own words
    "configured": ContainerState.CREATED,
    "initialized": ContainerState.CREATED,
    "stopping": ContainerState.RUNNING,
    "stopped": ContainerState.EXITED,
}

_TIME = re.compile(
    r"(?P<second>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(?P<fraction>\d{1,9}))?"
    r"(?P<zone>Z|[+-]\d\d:\d\d)"
)

# Those of the engine's events after which a listing may differ. Health checks run commands in the
# container, each of which is three events more: these would wake the agent for nothing.
CONTAINER_ACTIONS = (
    "create",
    "destroy",
    "die",
    "health_status",
    "oom",
    "pause",
    "remove",
    "rename",
    "start",
    "stop",
    "unpause",
)
IMAGE_ACTIONS = ("delete", "remove", "untag")


def inspected(answer: object) -> dict[str, Any]:
    """Return what GET /containers/{id}/json answers, with all its sections there.

    Raises:
        ValueError: this is no such answer.
    """
    document = _mapping(answer)
    sections = ("Config", "State", "HostConfig")
    return {
        **document,
        "Id": identifier(document),
        **{name: _mapping(document.get(name)) for name in sections},
    }


def identifier(answer: object) -> str:
    """Return the id in an answer.

    Raises:
        ValueError: it has none.
    """
    found = _mapping(answer).get("Id")
    if not isinstance(found, str) or not found:
        raise ValueError("the engine described a container without an id")
    return found


def identifiers(answer: object) -> tuple[str, ...]:
    """Return the ids of a listing.

    Raises:
        ValueError: this is none.
    """
    if not isinstance(answer, list):
        raise ValueError("the engine's list of containers is none")  # noqa: TRY004 - its, not ours
    return tuple(identifier(entry) for entry in answer)


def host_paths(document: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the devices and the mounted paths of this node that a container was made with."""
    host = _mapping(document.get("HostConfig"))
    devices = (_text(_mapping(item).get("PathOnHost")) for item in _items(host.get("Devices")))
    sources = (_text(_mapping(item).get("Source")) for item in _items(host.get("Mounts")))
    return tuple(filter(None, devices)), tuple(filter(None, sources))


def runtime(document: Mapping[str, Any]) -> str | None:
    """Return the runtime that a container was made for, None for the engine's default."""
    return _text(_mapping(document.get("HostConfig")).get("Runtime")) or None


def name(document: Mapping[str, Any]) -> str:
    """Return a container's name."""
    return _text(document.get("Name")).lstrip("/")


def container(document: Mapping[str, Any]) -> Container:
    """Return a container from what GET /containers/{id}/json answers.

    Raises:
        ValueError: this is no such answer.
    """
    config = _mapping(document.get("Config"))
    state = _mapping(document.get("State"))
    finished_at = moment(state.get("FinishedAt"))
    now = container_state(state)
    # For one that runs the engine tells 0 and the time of the last end, not how that ended.
    has_ended = finished_at is not None and now in (
        ContainerState.EXITED,
        ContainerState.RESTARTING,
        ContainerState.DEAD,
    )
    health = _mapping(state.get("Health") or state.get("Healthcheck"))
    return Container(
        container_id=identifier(document),
        name=name(document),
        # podman puts a registry before every name.
        image=_text(config.get("Image")).removeprefix("localhost/").removeprefix("docker.io/"),
        labels=labels(config.get("Labels")),
        state=now,
        health=_health(health.get("Status")),
        health_output=_last_output(health.get("Log")),
        restarts=_count(document.get("RestartCount")),
        exit_code=_exit_code(state.get("ExitCode")) if has_ended else None,
        error=_text(state.get("Error")) or None,
        was_killed_for_memory=state.get("OOMKilled") is True,
        started_at=moment(state.get("StartedAt")),
        finished_at=finished_at,
    )


def container_state(state: Mapping[str, Any]) -> ContainerState:
    """Return what a container does; by the engine's flags where its word is not known."""
    word = _text(state.get("Status")).lower()
    if word in _STATES:
        return _STATES[word]
    for flag, value in (
        ("Dead", ContainerState.DEAD),
        ("Restarting", ContainerState.RESTARTING),
        ("Paused", ContainerState.PAUSED),
        ("Running", ContainerState.RUNNING),
    ):
        if state.get(flag) is True:
            return value
    return ContainerState.EXITED


def labels(value: object) -> dict[str, str]:
    """Return labels; none where the engine says null."""
    if not isinstance(value, Mapping):
        return {}
    return {str(name): _text(content) for name, content in value.items()}


def moment(value: object) -> datetime | None:
    """Return a time of the engine in UTC; None for its zero, the year 1, and for no time at all."""
    found = _TIME.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return None
    zone = "+00:00" if found["zone"] == "Z" else found["zone"]
    # The engine counts nanoseconds and drops zeros; Python takes exactly six digits.
    fraction = (found["fraction"] or "").ljust(6, "0")[:6]
    try:
        parsed = datetime.fromisoformat(f"{found['second']}.{fraction}{zone}")
        if parsed.year <= 1:
            return None
        return parsed.astimezone(timezone.utc)
    except (ValueError, OverflowError):
        return None


def is_change(event: Mapping[str, Any]) -> bool:
    """Tell whether an event says that a container of ours, or an image, may have changed."""
    action = _text(event.get("Action") or event.get("status")).partition(":")[0]
    kind = event.get("Type")
    if kind == "image":
        return action in IMAGE_ACTIONS
    if kind != "container" or action not in CONTAINER_ACTIONS:
        return False
    actor = _mapping(event.get("Actor"))
    return SERVICE_LABEL in _mapping(actor.get("Attributes"))


def _health(value: object) -> ContainerHealth:
    try:
        return ContainerHealth(_text(value).lower() or "none")
    except ValueError:
        return ContainerHealth.NONE


def _last_output(log: object) -> str | None:
    entries = _items(log)
    output = _mapping(entries[-1]).get("Output") if entries else None
    if not isinstance(output, str):
        return None
    return output[:_HEALTH_OUTPUT_CHARACTERS].strip()


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _items(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else ()


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _exit_code(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
