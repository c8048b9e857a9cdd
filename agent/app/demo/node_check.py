"""Compares what the platform read back with what the operating system says itself.

The figures are taken here a second time, without the agent's collectors: from `/proc/meminfo`,
`statvfs` and the C library.
"""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

GIB = 2**30
# Memory and disks move between the two looks; totals do not.
MEMORY_DRIFT_RATIO = 0.10
DISK_DRIFT_RATIO = 0.02
ROUNDING_GIB = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Is one figure: what the platform read and what the operating system says."""

    name: str
    platform_says: object
    system_says: object
    agrees: bool

    def __str__(self) -> str:
        verdict = "agrees" if self.agrees else "DIFFERS"
        return f"{self.name:<22} {verdict:<8} {self.platform_says!s} / {self.system_says!s}"


def compare(device: Mapping[str, Any], *, proc: Path = Path("/proc")) -> tuple[Comparison, ...]:
    """Return every comparison for one DeviceInfo of annex G."""
    return tuple(_comparisons(device, proc=proc))


def _comparisons(device: Mapping[str, Any], *, proc: Path) -> Iterator[Comparison]:
    yield _same("host name", device.get("HostName"), platform.node())
    yield _same("CPU cores", device.get("Cpu"), os.cpu_count())
    load = device.get("CpuUtilization")
    yield Comparison(
        name="CPU utilisation",
        platform_says=load,
        system_says="0 to 1",
        agrees=isinstance(load, (int, float)) and 0 <= load <= 1,
    )
    memory = _meminfo(proc)
    total, available = memory.get("MemTotal", math.nan), memory.get("MemAvailable", math.nan)
    yield _near("memory GiB", device.get("Memory"), total / GIB, drift=0)
    yield _near(
        "memory used GiB",
        device.get("MemoryUsed"),
        (total - available) / GIB,
        drift=MEMORY_DRIFT_RATIO * total / GIB,
    )
    details = device.get("DiskDetails") or ()
    yield Comparison(
        name="disks",
        platform_says=len(details),
        system_says="the root among them",
        agrees=any(disk.get("Path") == "/" for disk in details),
    )
    for disk in details:
        yield from _disk(disk)


def _disk(disk: Mapping[str, Any]) -> Iterator[Comparison]:
    path = str(disk.get("Path"))
    try:
        system = os.statvfs(path)
    except OSError as error:
        yield Comparison(
            name=f"disk {path}", platform_says="listed", system_says=error.strerror, agrees=False
        )
        return
    total = system.f_blocks * system.f_frsize / GIB
    used = (system.f_blocks - system.f_bfree) * system.f_frsize / GIB
    yield _near(f"disk {path} GiB", disk.get("Disk"), total, drift=0)
    yield _near(f"disk {path} used GiB", disk.get("DiskUsed"), used, drift=DISK_DRIFT_RATIO * total)


def _same(name: str, ours: object, theirs: object) -> Comparison:
    return Comparison(name=name, platform_says=ours, system_says=theirs, agrees=ours == theirs)


def _near(name: str, ours: object, theirs: float, *, drift: float) -> Comparison:
    agrees = isinstance(ours, (int, float)) and abs(ours - theirs) <= drift + ROUNDING_GIB
    return Comparison(name=name, platform_says=ours, system_says=f"{theirs:.2f}", agrees=agrees)


def _meminfo(proc: Path) -> dict[str, int]:
    """Return /proc/meminfo in bytes; {} where it cannot be read, with which nothing agrees."""
    try:
        lines = (proc / "meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return {}
    return {
        name: int(value.split()[0]) * 1024
        for name, _, value in (line.partition(":") for line in lines)
    }
