"""Says exactly how the container of a replica is made; pure."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from agent.config.settings import WorkloadSettings
from agent.errors import PermanentError
from agent.model.accelerator import ContainerGrant
from agent.model.view import AcceleratorView
from agent.model.workloads import (
    AcceleratorAssignment,
    ContainerSpec,
    DesiredService,
    InstalledPackage,
    Manifest,
    Mount,
    Port,
)
from agent.workloads import environment, labels

_Number = TypeVar("_Number", int, float)

_GIB = 2**30
_LAST_PORT = 65535
# Whoever can speak to one of these is root on this node.
_ENGINE_SOCKETS = frozenset(
    {"docker.sock", "podman.sock", "containerd.sock", "crio.sock", "cri-dockerd.sock"}
)
# Folders that hold such a socket, or everything.
_ENGINE_FOLDERS = frozenset(
    {
        "/",
        "/run",
        "/var",
        "/var/run",
        "/run/docker",
        "/var/run/docker",
        "/run/podman",
        "/var/run/podman",
        "/run/containerd",
        "/var/run/containerd",
        "/run/crio",
        "/var/run/crio",
    }
)


def container_spec(
    service: DesiredService,
    package: InstalledPackage,
    *,
    replica: int,
    agent: str,
    chips: Sequence[AcceleratorView],
    grant: ContainerGrant | None,
    licence_file: str | None,
    settings: WorkloadSettings,
) -> ContainerSpec:
    """Return the container of one replica.

    `agent` is the instance that owns it, `grant` what its chips need (None for none), and
    `licence_file` where its licence lies on this node, None for a service without one.

    Raises:
        PermanentError: no such container may be made; somebody has to change package or settings.
    """
    if package.image is None:
        raise PermanentError(f"package {package.package_id} holds no image that could be run")
    if chips and grant is None:
        raise PermanentError("nothing says what the chips of this replica need")
    manifest, granted = package.manifest, grant or ContainerGrant()
    licence_path = None if licence_file is None else environment.licence_path(manifest)
    mounts = [Mount(source=here, target=there) for here, there in granted.mounts]
    if licence_file is not None and licence_path is not None:
        mounts.append(Mount(source=licence_file, target=licence_path))
    _check_mounts(mounts, devices=granted.devices)
    limits = settings.limits
    memory_bytes = _least(
        manifest.resources.memory_bytes,
        None if limits.memory_gib is None else int(limits.memory_gib * _GIB),
    )
    return ContainerSpec(
        name=labels.container_name(service.service_id, replica=replica),
        image=package.image,
        labels=_labels(service, replica=replica, agent=agent, chips=chips),
        environment=environment.merge(
            service.env,
            manifest=manifest,
            granted=granted.environment,
            licence_path=licence_path,
        ),
        command=manifest.command,
        mounts=tuple(mounts),
        devices=granted.devices,
        runtime=granted.runtime,
        ports=ports(manifest, replica=replica),
        health=manifest.health,
        cpus=_least(manifest.resources.cpus, limits.cpus),
        memory_bytes=memory_bytes,
        shared_memory_bytes=_shared_memory_bytes(manifest, memory_bytes=memory_bytes),
        processes_maximum=limits.processes,
        capabilities=capabilities(settings.capabilities),
        read_only_root=manifest.read_only_root,
    )


def ports(manifest: Manifest, *, replica: int) -> tuple[Port, ...]:
    """Return the ports of a replica; each replica is reached on the next port of this node.

    Raises:
        PermanentError: there are not so many ports.
    """
    return tuple(_port(port, replica=replica) for port in manifest.ports)


def capabilities(names: Iterable[str]) -> tuple[str, ...]:
    """Return capabilities as engines write them, `CHOWN` and `CAP_CHOWN` alike, each once.

    Raises:
        PermanentError: ALL would make the container as good as privileged.
    """
    short = [name.strip().upper().removeprefix("CAP_") for name in names]
    if "ALL" in short:
        raise PermanentError("workloads.capabilities: ALL is not given; name the ones needed")
    return tuple(dict.fromkeys(name for name in short if name))


def _port(port: Port, *, replica: int) -> Port:
    if port.host_port is None:
        return port
    host_port = port.host_port + replica
    if host_port > _LAST_PORT:
        raise PermanentError(
            f"replica {replica} would be reached on port {host_port}, and ports end at "
            f"{_LAST_PORT}: the package asks for {port.host_port} and one more for each replica"
        )
    return replace(port, host_port=host_port)


def _labels(
    service: DesiredService, *, replica: int, agent: str, chips: Sequence[AcceleratorView]
) -> dict[str, str]:
    made = {
        labels.PACKAGE: service.package_id,
        labels.SERVICE: service.service_id,
        labels.REPLICA: str(replica),
        labels.AGENT: agent,
        labels.GENERATION: service.generation,
    }
    if chips:
        made[labels.ACCELERATORS] = labels.join_accelerators(
            [
                AcceleratorAssignment(vendor=each.accelerator.vendor, uuid=each.accelerator.uuid)
                for each in chips
            ]
        )
    return made


def _check_mounts(mounts: Sequence[Mount], *, devices: Sequence[str]) -> None:
    """Refuse what would hand over the engine, whoever asked for it."""
    paths = [path for mount in mounts for path in (mount.source, mount.target)]
    paths += [path for device in devices for path in device.split(":")[:2]]
    for path in paths:
        if _leads_to_an_engine(path):
            raise PermanentError(f"{path} is given to no container: it leads to the engine")
    targets = [posixpath.normpath(mount.target) for mount in mounts]
    double = {target for target in targets if targets.count(target) > 1}
    if double:
        raise PermanentError(
            f"two files are to be at {', '.join(sorted(double))} in the container: that of the "
            "licence and one of the accelerator's driver, or two of these"
        )


def _leads_to_an_engine(path: str) -> bool:
    normal = posixpath.normpath("/" + path.lstrip("/")) if path.startswith("/") else path
    return posixpath.basename(normal) in _ENGINE_SOCKETS or normal in _ENGINE_FOLDERS


def _shared_memory_bytes(manifest: Manifest, *, memory_bytes: int | None) -> int | None:
    asked = manifest.resources.shared_memory_bytes
    # What is written there counts as memory: room beyond the limit would end the container.
    return None if asked is None else _least(asked, memory_bytes)


def _least(asked: _Number | None, allowed: _Number | None) -> _Number | None:
    given = [each for each in (asked, allowed) if each is not None]
    return min(given, default=None)
