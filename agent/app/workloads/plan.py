"""What `services plan` shows: the containers of a service, before anything is started."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.app import grant, once
from agent.app.workloads import runtime_choice
from agent.config.settings import RuntimeSettings, Settings
from agent.contracts import Runtime
from agent.errors import BadInput, NotFoundError, ReadingUnavailable, TransientError
from agent.model.accelerator import ContainerGrant
from agent.model.clock import SystemClock
from agent.model.view import AgentView
from agent.model.workloads import (
    ContainerSpec,
    EnvironmentVariable,
    InstalledPackage,
    Package,
    PackageState,
    PackageType,
)
from agent.sampling.hosts import HostOptions
from agent.sampling.plugins import FoundPlugin
from agent.store import packages as rows
from agent.store import reading
from agent.store.packages import PackageRow
from agent.workloads import package_view
from agent.workloads.package_format.inspection import InspectionLimits, inspect
from agent.workloads.service_planner import Chips, ServiceLoad, ServicePlanner

# What is given when the package arrives, or the service is loaded.
_GENERATION = "0" * 16
_SERVICE_ID = "00000000-0000-4000-8000-000000000000"
_AGENT = "0" * 16
_IMAGE = "computility-agent/package"

_PACKAGE_ID = re.compile(r"[0-9A-Za-z_-][0-9A-Za-z_.-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRequest:
    """Is what is planned: `package` is a file here, or the id of one that the agent has."""

    package: str
    env: tuple[EnvironmentVariable, ...] = ()
    licence_url: str | None = None
    replicas: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Answers for the accelerators of this machine.

    `found` are the plugins to choose from, None for those installed.
    """

    settings: Settings
    found: Sequence[FoundPlugin] | None = None
    options: HostOptions | None = None

    def chips(self) -> Chips:
        """Return the answers; a plugin is asked at most once for each."""
        views: list[AgentView] = []
        able: dict[str, bool] = {}

        def view() -> AgentView:
            if not views:
                views.append(once.sample(self.settings, found=self.found, options=self.options))
            return views[0]

        def can_grant(vendor: str) -> bool:
            if vendor not in able:
                try:
                    self._grant(vendor, ())
                except ReadingUnavailable:
                    able[vendor] = False
                else:
                    able[vendor] = True
            return able[vendor]

        def granted(vendor: str, uuids: Sequence[str]) -> ContainerGrant:
            try:
                return self._grant(vendor, uuids)
            except ReadingUnavailable as error:
                raise TransientError(error.reason) from error

        return Chips(view=view, can_grant=can_grant, grant=granted)

    def _grant(self, vendor: str, uuids: Sequence[str]) -> ContainerGrant:
        return grant.grant(
            self.settings.accelerators,
            plugin=vendor,
            chips=uuids,
            found=self.found,
            options=self.options,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _OnePackage:
    """Is the package that is planned, as the planner asks for it."""

    package: Package
    in_force: InstalledPackage | None

    def get(self, package_id: str) -> Package:
        if package_id != self.package.package_id:
            raise NotFoundError(f"there is no package {package_id}")
        return self.package

    def installed(self, package_id: str) -> InstalledPackage | None:
        return self.in_force if package_id == self.package.package_id else None


def plan(
    request: PlanRequest,
    *,
    settings: Settings,
    machine: Machine | None = None,
    build_runtime: Callable[[RuntimeSettings], Runtime] = runtime_choice.build,
) -> dict[str, Any]:
    """Return each replica's container as JSON: what it gets, and what the engine would be sent.

    Nothing is written or started, and the engine is not asked. Raises as `ServicePlanner.plan`,
    and BadInput where there is no such package.
    """
    state_folder = Path(settings.node.state_dir)
    found, agent = _find(request.package, state_folder=state_folder)
    planner = ServicePlanner(
        found,
        chips=(machine or Machine(settings=settings)).chips(),
        agent=agent,
        settings=lambda: settings.workloads,
        clock=SystemClock(),
    )
    specs = planner.plan(
        ServiceLoad(
            package_id=found.package.package_id,
            env=request.env,
            licence_url=request.licence_url,
            replicas=request.replicas,
        ),
        service_id=_SERVICE_ID,
        licence_file=str(state_folder / "licences" / _SERVICE_ID),
    )
    runtime = build_runtime(settings.runtime)
    try:
        replicas = [
            {"index": index, "gets": _gets(spec), "sent": dict(runtime.describe(spec))}
            for index, spec in enumerate(specs)
        ]
    finally:
        runtime.close()
    manifest = found.package.manifest
    return {
        "package": {
            "package_id": found.package.package_id,
            "name": manifest and manifest.name,
            "version": manifest and manifest.version,
        },
        "runtime": settings.runtime.kind,
        "replicas": replicas,
    }


def _find(package: str, *, state_folder: Path) -> tuple[_OnePackage, str]:
    """Return a package, by file or by id, and the agent that would run it."""
    path = Path(package)
    if path.is_file():
        return _of_file(path), _instance(state_folder)
    if _PACKAGE_ID.fullmatch(package):
        try:
            with reading.opened(state_folder) as statements:
                row = rows.find(statements, package)
                agent = reading.instance(statements) or _AGENT
        except NotFoundError:
            row = None
        if row is not None:
            return _of_row(row, folder=state_folder / "packages"), agent
    raise BadInput(
        f"{package} is neither a file nor a package that the agent of {state_folder} has"
    )


def _of_row(row: PackageRow, *, folder: Path) -> _OnePackage:
    installed = None
    if row.installed is not None:
        file = folder / f"{row.installed.generation}.tar"
        installed = package_view.installed(row.package_id, row.installed, file=file)
    return _OnePackage(package=package_view.package(row, None), in_force=installed)


def _instance(state_folder: Path) -> str:
    try:
        with reading.opened(state_folder) as statements:
            return reading.instance(statements) or _AGENT
    except (NotFoundError, TransientError):
        # A package on a desk is planned for an agent that need not be here.
        return _AGENT


def _of_file(path: Path) -> _OnePackage:
    inspection = inspect(path, limits=InspectionLimits())
    manifest = inspection.manifest
    now = SystemClock().now()
    is_image = manifest.type is PackageType.IMAGE
    return _OnePackage(
        package=Package(
            package_id=path.stem,
            state=PackageState.READY,
            created_at=now,
            progress_at=now,
            size_bytes=inspection.size_bytes,
            manifest=manifest,
        ),
        in_force=InstalledPackage(
            package_id=path.stem,
            generation=_GENERATION,
            file=str(path),
            manifest=manifest,
            image=f"{_IMAGE}:{_GENERATION}" if is_image else None,
        ),
    )


def _gets(spec: ContainerSpec) -> dict[str, Any]:
    """Return what a container gets and does not get, in the words of this agent."""
    return {
        "name": spec.name,
        "image": spec.image,
        "labels": dict(spec.labels),
        "environment": dict(spec.environment),
        "command": None if spec.command is None else list(spec.command),
        "mounts": [
            {"source": each.source, "target": each.target, "read_only": each.read_only}
            for each in spec.mounts
        ],
        "devices": list(spec.devices),
        "runtime": spec.runtime,
        "ports": [
            {
                "container_port": each.container_port,
                "host_port": each.host_port,
                "protocol": each.protocol,
            }
            for each in spec.ports
        ],
        "cpus": spec.cpus,
        "memory_bytes": spec.memory_bytes,
        "shared_memory_bytes": spec.shared_memory_bytes,
        "processes_maximum": spec.processes_maximum,
        "capabilities": list(spec.capabilities),
        "read_only_root": spec.read_only_root,
    }
