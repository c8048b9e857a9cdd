"""The container grant between a plugin's child process and the daemon; see `child_messages`.

The daemon believes a grant least of all: what stands in it opens this machine to a container.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from agent.errors import ReadingUnavailable
from agent.model.accelerator import ContainerGrant

_MAX_ENTRIES = 1024
_MAX_PATH_CHARACTERS = 4096
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RUNTIME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def encode(grant: ContainerGrant) -> dict[str, Any]:
    """Return a grant as the body of a message.

    Raises:
        ReadingUnavailable: the plugin gave something that is no grant.
    """
    try:
        return {
            "devices": list(grant.devices),
            "mounts": [list(pair) for pair in grant.mounts],
            "environment": dict(grant.environment),
            "runtime": grant.runtime,
        }
    except (AttributeError, TypeError, ValueError) as error:
        raise ReadingUnavailable(f"the plugin broke its contract: {error}") from error


def decode(message: Mapping[str, Any]) -> ContainerGrant:
    """Return the grant of a message.

    Raises:
        ReadingUnavailable: a path is not absolute and plain, a device is not below /dev, a
            variable or a runtime has no name that these have, or there are too many of them.
    """
    devices = tuple(_device(each) for each in _list(message, "devices"))
    mounts = tuple(_mount(each) for each in _list(message, "mounts"))
    environment = message.get("environment")
    if not isinstance(environment, dict) or len(environment) > _MAX_ENTRIES:
        raise _refused("environment", environment)
    for name, value in environment.items():
        if _VARIABLE.fullmatch(name) is None or not _is_text(value):
            raise _refused("environment", {name: value})
    runtime = message.get("runtime")
    if runtime is not None and not (
        isinstance(runtime, str) and _RUNTIME.fullmatch(runtime) is not None
    ):
        raise _refused("runtime", runtime)
    return ContainerGrant(devices=devices, mounts=mounts, environment=environment, runtime=runtime)


def _list(message: Mapping[str, Any], key: str) -> list[Any]:
    value = message.get(key)
    if not isinstance(value, list) or len(value) > _MAX_ENTRIES:
        raise _refused(key, value)
    return value


def _device(value: object) -> str:
    path = _path(value, key="devices")
    if not path.startswith("/dev/"):
        raise _refused("devices", value)
    return path


def _mount(value: object) -> tuple[str, str]:
    if not isinstance(value, list) or len(value) != 2:
        raise _refused("mounts", value)
    return _path(value[0], key="mounts"), _path(value[1], key="mounts")


def _path(value: object, *, key: str) -> str:
    # A colon would be read as a separator by container tools.
    if (
        not isinstance(value, str)
        or not _is_text(value)
        or not value.startswith("/")
        or len(value) > _MAX_PATH_CHARACTERS
        or ":" in value
        or ".." in value.split("/")
        or value == "/"
    ):
        raise _refused(key, value)
    return value


def _is_text(value: object) -> bool:
    return isinstance(value, str) and _CONTROL.search(value) is None


def _refused(key: str, value: object) -> ReadingUnavailable:
    return ReadingUnavailable(f"the plugin's grant has {value!r:.80} in {key}, which cannot be")
