"""A reconciler, its runtime and what is asked for, with a clock and jobs that a test moves."""

from __future__ import annotations

import io
import json
import tarfile
import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path

from agent.config.settings import WorkloadSettings
from agent.contracts import Runtime
from agent.errors import TransientError
from agent.model.accelerator import (
    Accelerator,
    AcceleratorKind,
    AcceleratorReading,
    ContainerGrant,
)
from agent.model.view import AcceleratorView, AgentView
from agent.model.workloads import (
    Container,
    ContainerState,
    DesiredService,
    InstalledPackage,
    Manifest,
    Package,
    PackageState,
    PackageType,
    Service,
    ServiceUsage,
)
from agent.workloads import labels
from agent.workloads.images import ImageLoader
from agent.workloads.jobs import Spawn
from agent.workloads.reconciler import Reconciler
from agent.workloads.starter import Starter
from runtimes.fake.runtime import FakeRuntime

START = datetime(2026, 1, 1, tzinfo=timezone.utc)


class HandClock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return 1000.0 + self.seconds

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)


class HandThreads:
    """Keeps what should run in threads until the test runs it."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []

    def __call__(self, name: str, target: Callable[[], None]) -> None:
        if name != "workloads-changes":  # it blocks; where a test wants it, it has real threads
            self.waiting.append(target)

    def run_all(self) -> bool:
        ran = bool(self.waiting)
        while self.waiting:
            self.waiting.pop(0)()
        return ran


class Disk:
    """Is what the database and the package store hold: all that a killed agent finds again."""

    def __init__(self) -> None:
        self.services: list[DesiredService] = []
        self.packages: dict[str, InstalledPackage] = {}
        self.images: set[str] = set()
        self.licences: dict[str, Path] = {}
        self.licence_error: Exception | None = None
        self.instance = "0123456789abcdef"

    # The database.

    def desired(self) -> tuple[DesiredService, ...]:
        return tuple(self.services)

    def installed(self, package_id: str) -> InstalledPackage | None:
        return self.packages.get(package_id)

    def list(self) -> tuple[Package, ...]:
        return tuple(
            Package(
                package_id=package_id,
                state=PackageState.READY,
                created_at=START,
                progress_at=START,
            )
            for package_id in self.packages
        )

    def add(self, reference: str) -> None:
        self.images.add(reference)

    def discard(self, reference: str) -> None:
        self.images.discard(reference)

    def all(self) -> frozenset[str]:
        return frozenset(self.images)

    # The licences.

    def ensure(self, service: DesiredService) -> Path:
        if service.service_id not in self.licences:
            if self.licence_error is not None:
                raise self.licence_error
            self.licences[service.service_id] = Path(__file__)
        return self.licences[service.service_id]

    def keep_only(self, service_ids: Collection[str]) -> None:
        for service_id in set(self.licences).difference(service_ids):
            del self.licences[service_id]


class NoUsages:
    def measure(self, containers: tuple[Container, ...]) -> None:
        pass

    def of(self, service_id: str) -> ServiceUsage:
        return ServiceUsage()


class Bench:
    """Is one node: an engine, a disk, and the agent that runs now."""

    def __init__(
        self,
        *,
        runtime: FakeRuntime | None = None,
        disk: Disk | None = None,
        spawn: Spawn | None = None,
        clock: HandClock | None = None,
        chips: int = 0,
    ) -> None:
        self.clock = clock or HandClock()
        self.runtime = runtime or FakeRuntime(clock=self.clock)
        self.disk = disk or Disk()
        self.view = view_of(chips)
        self.threads = HandThreads()
        self.runtime_calls = 0
        self.opened: list[str] = []
        self._spawn = spawn or self.threads
        self.reconciler = self._agent()

    def _agent(self) -> Reconciler:
        def runtime() -> Runtime:
            self.runtime_calls += 1
            return self.runtime

        return Reconciler(
            self.disk,
            agent=self.disk.instance,
            packages=self.disk,
            licences=self.disk,
            images=ImageLoader(runtime, loaded=self.disk, open_image=self._open),
            starter=Starter(
                runtime,
                agent=self.disk.instance,
                view=lambda: self.view,
                can_grant=lambda _: True,
                grant=lambda _, uuids: ContainerGrant(devices=tuple(f"/dev/{u}" for u in uuids)),
                settings=WorkloadSettings(),
            ),
            usages=NoUsages(),
            runtime=runtime,
            clock=self.clock,
            spawn=self._spawn,
        )

    def _open(self, package: InstalledPackage) -> Iterator[bytes]:
        self.opened.append(package.generation)
        assert package.image is not None
        yield archive(package.image)

    # What a platform does.

    def push(self, package_id: str = "p") -> InstalledPackage:
        generation = uuid.uuid4().hex[:16]
        self.disk.packages[package_id] = InstalledPackage(
            package_id=package_id,
            generation=generation,
            file=f"{generation}.tar",
            manifest=Manifest(
                name="n",
                version="1",
                type=PackageType.IMAGE,
                member="i.tar",
                licence_path="/licence",
            ),
            image=f"computility-agent/package:{generation}",
        )
        return self.disk.packages[package_id]

    def load(
        self,
        package_id: str = "p",
        *,
        replicas: int = 1,
        licence_url: str | None = None,
        accelerators: int = 0,
    ) -> str:
        if package_id not in self.disk.packages:
            self.push(package_id)
        service = DesiredService(
            service_id=str(uuid.uuid4()),
            package_id=package_id,
            generation=self.disk.packages[package_id].generation,
            env=(),
            replicas=replicas,
            created_at=self.clock.now(),
            licence_url=licence_url,
            accelerators=accelerators,
        )
        self.disk.services.append(service)
        return service.service_id

    def unload(self, service_id: str) -> None:
        self.disk.services = [each for each in self.disk.services if each.service_id != service_id]

    # What time does.

    def kill_agent(self) -> None:
        """Lose everything that the agent had in memory, and start it again."""
        self.threads.waiting.clear()
        self.reconciler = self._agent()

    def look(self) -> float | None:
        """Let the agent look once and do what it begins."""
        wait_seconds = self.reconciler.reconcile()
        self.threads.run_all()
        return wait_seconds

    def settle(self, *, seconds: float = 400.0) -> None:
        """Let the agent look until it has nothing more to do, and time go by as it asks for."""
        ends_at = self.clock.seconds + seconds
        while True:
            wait_seconds = self.reconciler.reconcile()
            if self.threads.run_all():
                continue
            if wait_seconds is None or self.clock.seconds + wait_seconds > ends_at:
                return
            self.clock.seconds += wait_seconds

    # What is seen.

    def running(self) -> dict[tuple[str, int], str]:
        """Return the ids of this agent's containers that run, by replica."""
        found: dict[tuple[str, int], str] = {}
        for container in self.runtime.all_containers():
            if container.labels.get(labels.AGENT) != self.disk.instance:
                continue
            key = (container.labels[labels.SERVICE], int(container.labels[labels.REPLICA]))
            assert key not in found, "a replica runs twice"
            if container.state is ContainerState.RUNNING:
                found[key] = container.container_id
        return found

    def wanted(self) -> set[tuple[str, int]]:
        return {
            (each.service_id, index)
            for each in self.disk.services
            for index in range(each.replicas)
        }

    def service(self, service_id: str) -> Service:
        return next(
            each for each in self.reconciler.services() if each.desired.service_id == service_id
        )


def archive(reference: str) -> bytes:
    """Return a docker archive with one image, of which a fake reads the name alone."""
    buffer = io.BytesIO()
    content = json.dumps([{"Config": "c.json", "RepoTags": [reference], "Layers": []}]).encode()
    with tarfile.open(fileobj=buffer, mode="w") as opened:
        member = tarfile.TarInfo("manifest.json")
        member.size = len(content)
        opened.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def view_of(chips: int, *, readings: Sequence[AcceleratorReading] = ()) -> AgentView:
    """Return a node with chips of one vendor, `chip-0` and so on."""
    by_uuid = {reading.uuid: reading for reading in readings}
    return AgentView(
        taken_at=START,
        taken_monotonic_seconds=0.0,
        accelerators=tuple(
            AcceleratorView(
                accelerator=Accelerator(
                    uuid=f"chip-{index}",
                    vendor="acme",
                    kind=AcceleratorKind.GPU,
                    index=index,
                    product_name="A1",
                    memory_total_bytes=1000,
                ),
                reading=by_uuid.get(f"chip-{index}", AcceleratorReading(uuid=f"chip-{index}")),
            )
            for index in range(chips)
        ),
    )


UNREACHABLE = TransientError("the licence's server does not answer")
