"""Builds the part of the agent that keeps packages and runs services."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from agent.app import platforms
from agent.app.held import Held
from agent.app.parts import PartPlan, Service
from agent.app.wiring import Wiring
from agent.app.workloads import runtime_choice
from agent.app.workloads.grants import Grants
from agent.app.workloads.lazy_runtime import LazyRuntime
from agent.app.workloads.origins import PlatformOrigins
from agent.app.workloads.parts import Running, Workloads
from agent.config.settings import RuntimeSettings, Settings
from agent.contracts import Runtime
from agent.model.workloads import InstalledPackage, Manifest
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

# Downloads are cut at once; a container that is being started is waited for.
_STOP_SECONDS = 10.0
_LICENCE_SECONDS = 60.0
# A usage outlives two measurements that were missed.
_USAGE_INTERVALS = 3.0


def part(settings: Settings, *, wiring: Wiring) -> PartPlan:
    """Return the part; other settings need no restart unless it keeps its files elsewhere."""

    def build() -> Service:
        workloads = Workloads(
            settings,
            assemble=lambda settings, database: assemble(
                settings, database=database, wiring=wiring
            ),
        )
        return Held(workloads, wiring=wiring, name="workloads")

    def update(_: Service) -> bool:
        workloads = wiring.workloads
        if workloads is None or workloads.folder != Path(settings.node.state_dir):
            return False
        workloads.reload(settings)
        return True

    return PartPlan(
        name="workloads",
        key=(
            settings.node.state_dir,
            settings.runtime,
            settings.workloads,
            settings.accelerators,
            settings.collect.interval_seconds,
            settings.acsmp,
        ),
        build=build,
        update=update,
        stop_seconds=_STOP_SECONDS,
    )


def assemble(
    settings: Settings,
    *,
    database: Database,
    wiring: Wiring,
    build_runtime: Callable[[RuntimeSettings], Runtime] = runtime_choice.build,
) -> Running:
    """Return what keeps packages and runs services under these settings; nothing is started.

    Raises:
        NoRoomError, TransientError, PermanentError: the database does not work.
    """
    clock, workloads = wiring.clock, settings.workloads
    folder, agent = Path(settings.node.state_dir), database.instance
    downloader = Downloader(
        user_agent=platforms.USER_AGENT,
        credentials_for=PlatformOrigins(settings.acsmp, tokens=wiring.tokens).access,
    )
    runtime = LazyRuntime(lambda: build_runtime(settings.runtime))
    grants = Grants(settings.accelerators, clock=clock)
    # Whoever changes what is wanted wakes the reconciler, which is made of them.
    wake = _Wake()
    packages = Packages(
        database=database,
        folder=folder / "packages",
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
            folder / "licences",
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
