"""Collectors that misbehave inside the daemon."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from agent.errors import NotPresent, ReadingUnavailable
from agent.model.readings import CpuReading, DiskReading, MemoryReading

released = threading.Event()
trouble: list[Exception] = []
closed: list[str] = []


@dataclass(frozen=True, slots=True, kw_only=True)
class NoConfig:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskConfig:
    disks: str | tuple[str, ...] = "auto"


class Sound:
    config_type = NoConfig

    def __init__(self, config):
        self._passes = 0

    def probe(self):
        pass

    def close(self):
        closed.append(type(self).__name__)


class Cpu(Sound):
    def collect(self):
        self._passes += 1
        return [CpuReading(logical_cores=4, utilization_ratio=None if self._passes == 1 else 0.5)]


class Memory(Sound):
    def collect(self):
        return [MemoryReading(total_bytes=100, used_bytes=10)]


class Disks(Sound):
    config_type = DiskConfig

    def __init__(self, config):
        self._config = config

    def collect(self):
        paths = ("/",) if self._config.disks == "auto" else self._config.disks
        return [DiskReading(mount_path=path, total_bytes=9, used_bytes=1) for path in paths]


class Hanging(Sound):
    def collect(self):
        released.wait()
        return [MemoryReading(total_bytes=100, used_bytes=99)]


class Troubled(Sound):
    """Raises what stands in `trouble`, the probe NotPresent alone."""

    def probe(self):
        if trouble and isinstance(trouble[0], NotPresent):
            raise trouble[0]

    def collect(self):
        if trouble:
            raise trouble[0]
        return [MemoryReading(total_bytes=100, used_bytes=10)]


class Lying(Sound):
    def collect(self):
        return ["no reading"]


class Unbuildable(Sound):
    def __init__(self, config):
        raise ReadingUnavailable("no")
