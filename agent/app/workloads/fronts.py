"""What the device API calls of packages and services: whatever is in force at that moment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import BinaryIO

from agent.app.workloads.parts import Workloads
from agent.errors import TransientError
from agent.model.workloads import Digests, Package, Service
from agent.workloads.packages import PackagePush
from agent.workloads.service_planner import ServiceLoad


class PackageFront:
    """Is what the device API calls about packages."""

    def __init__(self, workloads: Callable[[], Workloads | None]) -> None:
        self._workloads = workloads

    def push(self, push: PackagePush) -> None:
        """Note that a package is to be fetched."""
        _now(self._workloads).packages.push(push)

    def receive(self, package_id: str, *, file: BinaryIO, digests: Digests) -> None:
        """Take a package; returns when it is whole, verified and in force."""
        _now(self._workloads).packages.receive(package_id, file=file, digests=digests)

    def delete(self, package_id: str) -> None:
        """Remove a package."""
        _now(self._workloads).packages.delete(package_id)

    def get(self, package_id: str) -> Package:
        """Return a package."""
        return _now(self._workloads).packages.get(package_id)

    def list(self) -> Sequence[Package]:
        """Return every package, oldest first."""
        return _now(self._workloads).packages.list()


class ServiceFront:
    """Is what the device API calls about services."""

    def __init__(self, workloads: Callable[[], Workloads | None]) -> None:
        self._workloads = workloads

    def load(self, load: ServiceLoad) -> str:
        """Note that a service is to run; returns its id."""
        return _now(self._workloads).services.load(load)

    def unload(self, *, package_id: str, service_id: str | None) -> None:
        """Note that a service, or every service of the package, is to be removed."""
        _now(self._workloads).services.unload(package_id=package_id, service_id=service_id)

    def services(self) -> Sequence[Service]:
        """Return every service that is wanted, oldest first, as it was last seen."""
        return _now(self._workloads).seen()

    def logs(self, service_id: str, *, replica: int, tail_lines: int) -> bytes:
        """Return the last lines that a replica printed."""
        return _now(self._workloads).logs(service_id, replica=replica, tail_lines=tail_lines)


def _now(workloads: Callable[[], Workloads | None]) -> Workloads:
    running = workloads()
    if running is None:
        raise TransientError("the agent starts or stops; try again", retry_after_seconds=5)
    return running
