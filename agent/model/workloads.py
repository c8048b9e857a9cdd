"""Algorithm packages (算法封装文件), algorithm services (算法服务) and their containers."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal


class PackageType(str, enum.Enum):
    """Says what a package holds (T/BAX 0006.5, table F.4)."""

    IMAGE = "image"
    ARTIFACT = "artifact"


class PackageState(str, enum.Enum):
    """Says how far a package is (T/BAX 0006.5, table F.4, `Status`)."""

    DOWNLOADING = "downloading"
    FAILED = "failed"
    READY = "ready"


class ServiceState(str, enum.Enum):
    """Says how a service fares (T/BAX 0006.5, table F.13); the values are the standard's words."""

    UNSPECIFIED = "UNSPECIFIED"
    INIT = "INIT"
    RUNNING = "RUNNING"
    OVERLOAD = "OVERLOAD"
    ERROR = "ERROR"


class ContainerState(str, enum.Enum):
    """Says what a container does; every runtime's own words are brought to these.

    `DEAD` is one that cannot be started again and has to be replaced.
    """

    CREATED = "created"
    RUNNING = "running"
    RESTARTING = "restarting"
    PAUSED = "paused"
    EXITED = "exited"
    DEAD = "dead"


class ContainerHealth(str, enum.Enum):
    """Says what the container's own health check found; NONE where it has no check."""

    NONE = "none"
    STARTING = "starting"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


# Packages


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentVariable:
    """Is a variable that a package declares, with its default, or that a caller sets."""

    name: str
    value: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """Is a port on which a service listens in its container.

    `host_port` is where it is reached on this node; None leaves it inside the container's network.
    """

    container_port: int
    host_port: int | None = None
    protocol: Literal["tcp", "udp"] = "tcp"


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheck:
    """Is a command in the container that exits 0 while the service can work."""

    command: tuple[str, ...]
    interval_seconds: float = 30.0
    timeout_seconds: float = 10.0
    start_seconds: float = 0.0
    retries: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """Is what one replica of a service asks for; None where the package says nothing.

    `shared_memory_bytes` is the size of /dev/shm, which counts towards the memory.
    """

    cpus: float | None = None
    memory_bytes: int | None = None
    shared_memory_bytes: int | None = None
    accelerators: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Is algo.yaml: what a package says of itself.

    `member` is the path of the image archive or of the artifact in the package. `licence_path` is
    where an offline licence is mounted in the container; None leaves that to the value of
    `AUTH_SERVER_ADDR`. `unknown_keys` are those of algo.yaml that mean nothing to this build.
    """

    name: str
    version: str
    type: PackageType
    member: str
    provider: str | None = None
    env: tuple[EnvironmentVariable, ...] = ()
    command: tuple[str, ...] | None = None
    ports: tuple[Port, ...] = ()
    health: HealthCheck | None = None
    resources: Resources = field(default_factory=Resources)
    licence_path: str | None = None
    read_only_root: bool = False
    unknown_keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Digests:
    """Holds the digests that a package's file must have, in lower-case hex; None where not given.

    `md5` is the standard's (T/BAX 0006.5, table A.1); the others are accepted beside it.
    """

    md5: str | None = None
    sha256: str | None = None
    sm3: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """Is an algorithm package as it stands now.

    Until algo.yaml was read, `manifest` is None. `progress_ratio` is 0 to 1, None while the size
    is not known. `error` says why it failed, or what the running download last stumbled over.
    `source` is the address it comes from without its secrets; None for an upload.
    """

    package_id: str
    state: PackageState
    created_at: datetime
    progress_at: datetime
    received_bytes: int = 0
    size_bytes: int | None = None
    progress_ratio: float | None = None
    error: str | None = None
    source: str | None = None
    manifest: Manifest | None = None
    digests: Digests = field(default_factory=Digests)


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledPackage:
    """Is a package whose file is here, whole and verified.

    `generation` is unique to this file: another push of the same id has another. `image` is the
    reference under which the runtime knows its image, None for an artifact.
    """

    package_id: str
    generation: str
    file: str
    manifest: Manifest
    image: str | None


# Services


@dataclass(frozen=True, slots=True, kw_only=True)
class DesiredService:
    """Is a service that a platform asked for: what is on disk, whatever the runtime does.

    `generation` is that of the package it was loaded from. `licence_url` is where its offline
    licence is fetched, None for none. `accelerators` is how many chips each replica gets.
    """

    service_id: str
    package_id: str
    generation: str
    env: tuple[EnvironmentVariable, ...]
    replicas: int
    created_at: datetime
    licence_url: str | None = None
    accelerators: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceleratorAssignment:
    """Names a chip that a container was given: its plugin and its uuid."""

    vendor: str
    uuid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """Is one container of a service as it was last seen; None and () while there is none."""

    index: int
    container_id: str | None = None
    state: ContainerState | None = None
    reason: str | None = None
    restarts: int = 0
    started_at: datetime | None = None
    accelerators: tuple[AcceleratorAssignment, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceUsage:
    """Holds what the containers of one service use together; None is unknown, with its reason.

    `cpu_ratio` is in CPUs of this node that were busy for it (1.5 is one and a half). The
    accelerator figures count its own processes on the chips that it was given; `utilization` is
    the mean over these chips, 0 to 1.
    """

    cpu_ratio: float | None = None
    memory_used_bytes: int | None = None
    accelerator_memory_total_bytes: int | None = None
    accelerator_memory_used_bytes: int | None = None
    accelerator_utilization_ratio: float | None = None
    accelerators: tuple[AcceleratorAssignment, ...] = ()
    unknown: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """Is an algorithm service as it stands now; `reason` says in words why it does not run."""

    desired: DesiredService
    state: ServiceState
    reason: str | None = None
    replicas: tuple[Replica, ...] = ()
    usage: ServiceUsage = field(default_factory=ServiceUsage)


# Containers


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """Is a file or folder of this node inside a container."""

    source: str
    target: str
    read_only: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerSpec:
    """Says exactly how a container is to be made.

    Never privileged, with no capability but `capabilities`, and with no way to gain privileges.
    `cpus`, `memory_bytes` and `processes_maximum` None mean no limit. `runtime` is the engine's
    own word (`nvidia`), None for its default; `shared_memory_bytes` is the size of /dev/shm, None
    for the engine's own (64 MiB). With `read_only_root` the container can write to
    `/tmp` alone, which is kept in memory.
    """

    name: str
    image: str
    labels: Mapping[str, str]
    environment: Mapping[str, str] = field(default_factory=dict)
    command: tuple[str, ...] | None = None
    mounts: tuple[Mount, ...] = ()
    devices: tuple[str, ...] = ()
    runtime: str | None = None
    ports: tuple[Port, ...] = ()
    health: HealthCheck | None = None
    cpus: float | None = None
    memory_bytes: int | None = None
    shared_memory_bytes: int | None = None
    processes_maximum: int | None = None
    capabilities: tuple[str, ...] = ()
    read_only_root: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """Is a container as the runtime describes it.

    `restarts` counts those since it was made; `exit_code` is that of its last end, None while it
    never ended, or runs again in an engine that does not keep it. `health_output` is the last thing
    that its health check printed.
    """

    container_id: str
    name: str
    image: str
    labels: Mapping[str, str]
    state: ContainerState
    health: ContainerHealth = ContainerHealth.NONE
    health_output: str | None = None
    restarts: int = 0
    exit_code: int | None = None
    error: str | None = None
    was_killed_for_memory: bool = False
    started_at: datetime | None = None
    finished_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerUsage:
    """Holds what a container uses now.

    `cpu_seconds` counts since its start; `process_ids` are those of this node, not of the
    container. None is unknown, with its reason.
    """

    cpu_seconds: float | None = None
    memory_used_bytes: int | None = None
    memory_limit_bytes: int | None = None
    process_ids: tuple[int, ...] | None = None
    unknown: Mapping[str, str] = field(default_factory=dict)
