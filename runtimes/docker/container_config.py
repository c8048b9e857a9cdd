"""What the engine is sent to make a container (POST /containers/create), from a specification.

Pure. The fields are those of the docker engine's API since 1.24; podman's socket takes them too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.model.workloads import ContainerSpec, HealthCheck, Mount, Port

_NANOSECONDS = 1_000_000_000
# The disks of boxes are small: at most 30 MB for each container.
_LOG_MAXIMUM_SIZE = "10m"
_LOG_FILES = "3"
# Programs that compile for the chip at hand run what they wrote there.
_TEMPORARY_FOLDER = "rw,nosuid,nodev,exec,mode=1777"


def create_body(spec: ContainerSpec) -> dict[str, Any]:
    """Return the body that makes the container; its name is a parameter of the request.

    `Init` asks for the engine's own small init as process 1, which reaps and passes signals on.
    """
    body: dict[str, Any] = {
        "Image": spec.image,
        "Labels": dict(spec.labels),
        "Env": [f"{name}={value}" for name, value in spec.environment.items()],
        "HostConfig": _host_config(spec),
    }
    if spec.command is not None:
        body["Cmd"] = list(spec.command)
    if spec.ports:
        body["ExposedPorts"] = {_port_key(port): {} for port in spec.ports}
    if spec.health is not None:
        body["Healthcheck"] = _health(spec.health)
    return body


def without_init(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the same body for an engine that has no init program of its own."""
    return {**body, "HostConfig": {**body["HostConfig"], "Init": False}}


def split_device(device: str) -> tuple[str, str, str]:
    """Return path on this node, path in the container, and what is allowed there.

    The form is docker's: `/dev/x`, `/dev/x:/dev/y` or `/dev/x:/dev/y:rw`.
    """
    parts = device.split(":")
    on_host = parts[0]
    inside = parts[1] if len(parts) > 1 and parts[1] else on_host
    allowed = parts[2] if len(parts) > 2 and parts[2] else "rwm"
    return on_host, inside, allowed


def _host_config(spec: ContainerSpec) -> dict[str, Any]:
    config: dict[str, Any] = {
        "Privileged": False,
        "CapDrop": ["ALL"],
        "CapAdd": list(spec.capabilities),
        "SecurityOpt": ["no-new-privileges"],
        "ReadonlyRootfs": spec.read_only_root,
        "Init": True,
        "NetworkMode": "default",
        "RestartPolicy": {"Name": "unless-stopped"},
        "LogConfig": {
            "Type": "json-file",
            "Config": {"max-size": _LOG_MAXIMUM_SIZE, "max-file": _LOG_FILES},
        },
        "Mounts": [_mount(mount) for mount in spec.mounts],
        "Devices": [_device(device) for device in spec.devices],
        "PortBindings": {
            _port_key(port): [{"HostPort": str(port.host_port)}]
            for port in spec.ports
            if port.host_port is not None
        },
    }
    if spec.read_only_root:
        config["Tmpfs"] = {"/tmp": _TEMPORARY_FOLDER}  # noqa: S108 - a path in the container
    if spec.cpus is not None:
        config["NanoCpus"] = round(spec.cpus * _NANOSECONDS)
    if spec.memory_bytes is not None:
        config["Memory"] = spec.memory_bytes
        # The same figure means no swap: a limit that swaps is not one.
        config["MemorySwap"] = spec.memory_bytes
    if spec.shared_memory_bytes is not None:
        config["ShmSize"] = spec.shared_memory_bytes
    if spec.processes_maximum is not None:
        config["PidsLimit"] = spec.processes_maximum
    if spec.runtime is not None:
        config["Runtime"] = spec.runtime
    return config


def _mount(mount: Mount) -> dict[str, Any]:
    # Not `Binds`, with which the engine makes an empty folder of a source that is missing.
    return {
        "Type": "bind",
        "Source": mount.source,
        "Target": mount.target,
        "ReadOnly": mount.read_only,
        "BindOptions": {"Propagation": "rprivate"},
    }


def _device(device: str) -> dict[str, str]:
    on_host, inside, allowed = split_device(device)
    return {"PathOnHost": on_host, "PathInContainer": inside, "CgroupPermissions": allowed}


def _port_key(port: Port) -> str:
    return f"{port.container_port}/{port.protocol}"


def _health(check: HealthCheck) -> dict[str, Any]:
    return {
        "Test": ["CMD", *check.command],
        "Interval": round(check.interval_seconds * _NANOSECONDS),
        "Timeout": round(check.timeout_seconds * _NANOSECONDS),
        "StartPeriod": round(check.start_seconds * _NANOSECONDS),
        "Retries": check.retries,
    }
