"""The algorithm packages and services of the running agent, as one part of it.

A reload of the settings puts other packages and another reconciler in place of the old ones, over
the same database; containers notice nothing. Whoever asks meanwhile is told to try again.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from agent.app import platforms, runtime_choice
from agent.app.workload_grants import Grants
from agent.app.workload_origins import PlatformOrigins
from agent.config.settings import Settings
from agent.contracts import Runtime
from agent.errors import (
    ConflictError,
    NoRoomError,
    NotFoundError,
    PermanentError,
    TransientError,
)
from agent.model.workloads import Container, InstalledPackage, Manifest, Service
from agent.store.database import Database
from agent.store.images import LoadedImages
from agent.store.services import ServiceStore
from agent.transport.download import Downloader
from agent.workloads.images import ImageLoader
from agent.workloads.licences import Licences
from agent.workloads.package_format import image_stream, inspection
from agent.workloads.package_format.limits import InspectionLimits
from agent.workloads.packages import Packages
from agent.workloads.reconciler import Reconciler
from agent.workloads.service_planner import Chips
from agent.workloads.services import Services
from agent.workloads.starter import Starter
from agent.workloads.usages import ServiceUsages

if TYPE_CHECKING:
    from agent.app.wiring import Wiring

logger = logging.getLogger(__name__)

# A pass asks the engine once and the database some times; the engine's deadline is a minute.
STALE_SECONDS = 120.0
_LICENCE_SECONDS = 60.0
_LOGS_BYTES = 1024 * 1024
# A usage outlives two measurements that were missed.
_USAGE_INTERVALS = 3.0


@dataclass(frozen=True, kw_only=True)
class Running:
    """Holds what one set of settings made."""

    packages: Packages
    services: Services
    reconciler: Reconciler
    runtime: LazyRuntime


class LazyRuntime:
    """Builds the runtime when it is first wanted: its library weighs as much as half the agent."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._runtime: Runtime | None = None
        self._is_closed = False

    def __call__(self) -> Runtime:
        """Return the runtime; raises PermanentError where it cannot be loaded."""
        with self._lock:
            if self._is_closed:
                raise TransientError("the agent stops")
            if self._runtime is None:
                self._runtime = runtime_choice.build(self._settings.runtime)
            return self._runtime

    def close(self) -> None:
        """End what goes on with the engine; may be called twice."""
        with self._lock:
            self._is_closed = True
            runtime = self._runtime
        if runtime is not None:
            runtime.close()


class Workloads:
    """Is the part of the agent that keeps packages and runs services.

    `start`, `stop` and `reload` belong to the main thread; everything else is safe in every thread.
    """

    def __init__(self, settings: Settings, *, wiring: Wiring) -> None:
        self._settings = settings
        self._wiring = wiring
        self._folder = Path(settings.node.state_dir)
        self._database: Database | None = None
        self._unusable: str | None = None
        self._running: Running | None = None
        self._stopping = threading.Event()
        self._measuring: threading.Thread | None = None

    def start(self) -> None:
        """Open the database and take up what was asked for.

        A database or folder that cannot be used is told to whoever asks, and in the log: it is no
        reason for the platform to lose the node. The next reload or start tries again.
        """
        try:
            self._database = self._database or Database(self._folder)
            self._begin(self._database)
        except (PermanentError, TransientError, NoRoomError) as error:
            self._unusable = error.reason
            logger.error("event=workloads_unusable reason=%s", error)  # noqa: TRY400 - no fault
        else:
            self._unusable = None

    def reload(self, settings: Settings) -> None:
        """Go on under other settings; downloads are cut and taken up again."""
        self._end(timeout_seconds=5.0)
        self._settings = settings
        self.start()

    def stop(self, *, timeout_seconds: float) -> None:
        """End; every container goes on, and every download at the next start."""
        self._end(timeout_seconds=timeout_seconds)
        if self._database is not None:
            self._database.close()

    def is_alive(self) -> bool:
        """Tell whether its loops work; one that was not started has none that could have ended."""
        running = self._running
        return running is None or (
            running.packages.is_alive and running.reconciler.is_alive(STALE_SECONDS)
        )

    @property
    def packages(self) -> Packages:
        """Return the packages; raises TransientError while a reload goes on."""
        return self._now().packages

    @property
    def services(self) -> Services:
        """Return what should run; raises TransientError while a reload goes on."""
        return self._now().services

    def seen(self) -> Sequence[Service]:
        """Return the services as they were last seen; raises TransientError."""
        return self._now().reconciler.services()

    def orphans(self) -> Sequence[Container]:
        """Return the containers of services that this agent did not make."""
        return self._now().reconciler.orphans()

    def logs(self, service_id: str, *, replica: int, tail_lines: int) -> bytes:
        """Return the last lines that a replica printed, at most 1 MiB of them.

        Raises:
            NotFoundError: there is no such service or replica.
            ConflictError: the replica has no container.
            TransientError: the engine cannot tell now.
        """
        running = self._now()
        service = next(
            (
                each
                for each in running.reconciler.services()
                if each.desired.service_id == service_id
            ),
            None,
        )
        if service is None:
            raise NotFoundError(f"there is no service {service_id}")
        if not 0 <= replica < service.desired.replicas:
            raise NotFoundError(
                f"service {service_id} has the replicas 0 to {service.desired.replicas - 1}"
            )
        found = next((each for each in service.replicas if each.index == replica), None)
        if found is None or found.container_id is None:
            why = (found and found.reason) or service.reason or "it was not made yet"
            raise ConflictError(f"replica {replica} has no container: {why}")
        chunks = running.runtime().logs(found.container_id, tail_lines=tail_lines, follow=False)
        return _tail(chunks, maximum_bytes=_LOGS_BYTES)

    def _now(self) -> Running:
        running = self._running
        if running is None and self._unusable is not None:
            raise TransientError(self._unusable)
        if running is None:
            raise TransientError(
                "the agent is taking up other settings; try again", retry_after_seconds=5
            )
        return running

    def _begin(self, database: Database) -> None:
        running = self._build(database)
        running.packages.start()
        running.reconciler.start()
        self._running = running
        self._stopping.clear()
        self._measuring = threading.Thread(
            target=self._measure, args=(running,), name="workload-usage", daemon=True
        )
        self._measuring.start()

    def _end(self, *, timeout_seconds: float) -> None:
        running, self._running = self._running, None
        if running is None:
            return
        self._stopping.set()
        running.packages.stop(timeout_seconds=timeout_seconds)
        # A start that is under way is better ended than cut; what hangs then ends with the runtime.
        running.reconciler.stop(timeout_seconds=timeout_seconds)
        running.runtime.close()
        if self._measuring is not None:
            self._measuring.join(timeout_seconds)

    def _measure(self, running: Running) -> None:
        while not self._stopping.wait(self._settings.collect.interval_seconds):
            try:
                running.reconciler.measure()
            except Exception:  # the border of this thread: the next measurement may be well
                logger.exception("event=usage_failed")

    def _build(self, database: Database) -> Running:
        settings, wiring = self._settings, self._wiring
        clock, workloads = wiring.clock, settings.workloads
        downloader = Downloader(
            user_agent=platforms.USER_AGENT,
            credentials_for=PlatformOrigins(settings.acsmp, tokens=wiring.tokens).access,
        )
        runtime = LazyRuntime(settings)
        agent = database.instance
        grants = Grants(lambda: self._settings.accelerators, clock=clock)
        # Whoever changes what is wanted wakes the reconciler, which is made of them.
        wake = _Wake()
        packages = Packages(
            database=database,
            folder=self._folder / "packages",
            settings=workloads,
            clock=clock,
            downloader=downloader,
            inspect=_inspect,
            on_change=wake,
        )
        services = Services(
            ServiceStore(database),
            packages=packages,
            chips=Chips(view=wiring.view, can_grant=grants.can_grant, grant=grants.grant),
            agent=agent,
            settings=lambda: workloads,
            clock=clock,
            on_change=wake,
        )
        reconciler = Reconciler(
            services,
            agent=agent,
            packages=packages,
            licences=Licences(
                self._folder / "licences",
                fetch=lambda url, *, maximum_bytes: downloader.fetch_small(
                    url, maximum_bytes=maximum_bytes, deadline_seconds=_LICENCE_SECONDS
                ),
            ),
            images=ImageLoader(runtime, loaded=LoadedImages(database), open_image=_open_image),
            starter=Starter(
                runtime,
                agent=agent,
                view=wiring.view,
                can_grant=grants.can_grant,
                grant=grants.grant,
                settings=workloads,
            ),
            usages=ServiceUsages(
                runtime,
                view=wiring.view,
                clock=clock,
                maximum_age_seconds=_USAGE_INTERVALS * settings.collect.interval_seconds,
            ),
            runtime=runtime,
            clock=clock,
        )
        wake.reconciler = reconciler
        return Running(packages=packages, services=services, reconciler=reconciler, runtime=runtime)


class _Wake:
    """Wakes the reconciler, once there is one."""

    def __init__(self) -> None:
        self.reconciler: Reconciler | None = None

    def __call__(self) -> None:
        if self.reconciler is not None:
            self.reconciler.wake()


def _inspect(path: Path) -> Manifest:
    return inspection.inspect(path, limits=InspectionLimits()).manifest


def _open_image(package: InstalledPackage) -> Iterator[bytes]:
    return image_stream.open_image(
        Path(package.file), package.manifest, reference=package.image or ""
    )


def _tail(chunks: Iterator[bytes], *, maximum_bytes: int) -> bytes:
    """Return the end of a text, cut at the beginning of a line."""
    kept = bytearray()
    is_cut = False
    for chunk in chunks:
        kept += chunk
        if len(kept) > 2 * maximum_bytes:
            del kept[:-maximum_bytes]
            is_cut = True
    if len(kept) > maximum_bytes:
        del kept[:-maximum_bytes]
        is_cut = True
    if is_cut:
        del kept[: kept.find(b"\n") + 1]
    return bytes(kept)
