"""Readings of this node: host, CPU, memory, disks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class HostReading:
    """Describes the operating system of this node.

    `architecture` is the kernel's name for it (`x86_64`, `aarch64`); `os_name` is the kernel's
    family (`Linux`), `os_release` the distribution's own name for itself, None where it has none.
    """

    host_name: str
    os_name: str
    architecture: str
    os_release: str | None = None
    unknown: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuReading:
    """Holds the load of all CPUs together.

    `utilization_ratio` is the busy share of the interval since the reading before, 0 to 1; None
    for the first reading, which has nothing to be compared with.
    """

    logical_cores: int | None
    utilization_ratio: float | None
    unknown: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryReading:
    """Holds the memory of this node; `used_bytes` is what programs cannot have any more.

    Used is total less available, as `free` and the kernel's MemAvailable count it: page cache
    that the kernel gives back on demand is not used memory.
    """

    total_bytes: int | None
    used_bytes: int | None
    unknown: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskReading:
    """Holds one file system; a device that is mounted twice is listed once.

    `total_bytes` counts what the file system holds, the share reserved for root included, and
    `used_bytes` what is taken (`df`'s columns). None where the device did not answer in time.
    """

    mount_path: str
    total_bytes: int | None
    used_bytes: int | None
    unknown: Mapping[str, str] = field(default_factory=dict)


Reading = HostReading | CpuReading | MemoryReading | DiskReading
