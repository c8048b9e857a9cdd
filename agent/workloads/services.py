"""What should run: takes the requests to load and unload services and keeps them on disk."""

from __future__ import annotations

import logging
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from agent.config.settings import WorkloadSettings
from agent.errors import ConflictError, NotFoundError, PermanentError, RequestError
from agent.model.accelerator import ContainerGrant
from agent.model.clock import Clock
from agent.model.view import AgentView
from agent.model.workloads import (
    ContainerSpec,
    DesiredService,
    EnvironmentVariable,
    InstalledPackage,
    Manifest,
    Package,
    PackageState,
    PackageType,
)
from agent.store.services import ServiceStore
from agent.transport import addresses
from agent.workloads import environment, placement, planning

_log = logging.getLogger(__name__)

MAXIMUM_REPLICAS = 64
MAXIMUM_SERVICES = 1024
MAXIMUM_LICENCE_URL_CHARACTERS = 2048
# A container that comes to light later, on a disk that was away, is then known for what it is.
REMEMBERED = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceLoad:
    """Is the request to load a service of a package (T/BAX 0006.5, table F.6).

    `licence_url` is where the licence of an offline authorisation lies, None for none.
    """

    package_id: str
    env: tuple[EnvironmentVariable, ...] = ()
    licence_url: str | None = None
    replicas: int = 1


class InstalledPackages(Protocol):
    """Is what services ask of the packages."""

    def get(self, package_id: str) -> Package:
        """Return a package; raises NotFoundError."""

    def installed(self, package_id: str) -> InstalledPackage | None:
        """Return the package in force, None where none is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chips:
    """Answers what there is of accelerators.

    `can_grant` tells of a plugin whether it hands chips to containers, `grant` what a container
    needs for chips of it.
    """

    view: Callable[[], AgentView]
    can_grant: Callable[[str], bool]
    grant: Callable[[str, Sequence[str]], ContainerGrant]


class Services:
    """Keeps what should run; safe in every thread.

    `on_change` is called after each change, in the caller's thread. `agent` is the instance that
    owns the containers. Services that were removed long ago are forgotten when this is made.
    """

    def __init__(
        self,
        store: ServiceStore,
        *,
        packages: InstalledPackages,
        chips: Chips,
        agent: str,
        settings: Callable[[], WorkloadSettings],
        clock: Clock,
        on_change: Callable[[], None],
    ) -> None:
        self._store = store
        self._packages = packages
        self._chips = chips
        self._agent = agent
        self._settings = settings
        self._clock = clock
        self._on_change = on_change
        store.purge(keep_since=clock.now() - REMEMBERED)

    def load(self, load: ServiceLoad) -> str:
        """Write down a service that is to run and return its id.

        Raises:
            RequestError: the request is wrong; the reason names the field.
            NotFoundError: there is no such package.
            ConflictError: the package is not ready, or was changed meanwhile.
            NoRoomError, TransientError: the disk cannot take it, or it is not known yet whether
                there are accelerators.
        """
        service, _ = self._desired(load, service_id=str(uuid.uuid4()))
        self._store.add(service, maximum_services=MAXIMUM_SERVICES)
        _log.info(
            "event=service_loaded service=%s package=%s replicas=%d accelerators=%d licence=%s",
            service.service_id,
            service.package_id,
            service.replicas,
            service.accelerators,
            shown_licence(service),
        )
        self._on_change()
        return service.service_id

    def unload(self, *, package_id: str, service_id: str | None) -> None:
        """Let a service run no more, or all services of a package where no id is given.

        Repeating it succeeds: a platform that missed the first answer asks again. So does removing
        all of a package that has none, since nothing is left to be done.

        Raises:
            NotFoundError: there was no such service of this package, or there is no such package.
        """
        now = self._clock.now()
        was_there = self._store.remove(
            package_id=package_id,
            service_id=service_id,
            now=now,
            keep_since=now - REMEMBERED,
        )
        if not was_there:
            if service_id is not None:
                raise NotFoundError(f"package {package_id} has no service {service_id}")
            self._packages.get(package_id)
            return
        _log.info("event=service_unloaded package=%s service=%s", package_id, service_id or "all")
        self._on_change()

    def desired(self) -> tuple[DesiredService, ...]:
        """Return the services that should run, oldest first."""
        return self._store.desired()

    def desired_by_id(self, service_id: str) -> DesiredService:
        """Return one service that should run.

        Raises:
            NotFoundError: there is none of this id.
        """
        found = self._store.get(service_id)
        if found is None:
            raise NotFoundError(f"there is no service {service_id}")
        return found

    def retired(self) -> frozenset[str]:
        """Return the ids of services that were unloaded in the last days."""
        return self._store.retired()

    def has_services(self, package_id: str) -> bool:
        """Tell whether a service of this package should run."""
        return self._store.has_services(package_id)

    def plan(
        self,
        load: ServiceLoad,
        *,
        service_id: str = "00000000-0000-4000-8000-000000000000",
        licence_file: str = "LICENCE",
        taken: Mapping[str, int] | None = None,
    ) -> tuple[ContainerSpec, ...]:
        """Return the container of each replica as it would be made now; nothing is written.

        `licence_file` is where the licence will lie, `taken` how many replicas each chip serves.

        Raises:
            RequestError, NotFoundError, ConflictError, TransientError: as `load`.
            PermanentError: no such container may be made.
            TransientError: there are not enough accelerators.
        """
        service, package = self._desired(load, service_id=service_id)
        counts = Counter(taken or {})
        specs = []
        for replica in range(service.replicas):
            chosen = placement.choose(
                self._chips.view(),
                count=service.accelerators,
                taken=counts,
                can_grant=self._chips.can_grant,
            )
            uuids = [each.accelerator.uuid for each in chosen]
            counts.update(uuids)
            specs.append(
                planning.container_spec(
                    service,
                    package,
                    replica=replica,
                    agent=self._agent,
                    chips=chosen,
                    grant=(
                        self._chips.grant(chosen[0].accelerator.vendor, uuids) if chosen else None
                    ),
                    licence_file=None if service.licence_url is None else licence_file,
                    settings=self._settings(),
                )
            )
        return tuple(specs)

    def _desired(
        self, load: ServiceLoad, *, service_id: str
    ) -> tuple[DesiredService, InstalledPackage]:
        package = self._ready(load.package_id)
        _check(load, manifest=package.manifest)
        service = DesiredService(
            service_id=service_id,
            package_id=load.package_id,
            generation=package.generation,
            env=load.env,
            replicas=load.replicas,
            created_at=self._clock.now(),
            licence_url=load.licence_url,
            accelerators=self._accelerators(package.manifest),
        )
        return service, package

    def _ready(self, package_id: str) -> InstalledPackage:
        package = self._packages.get(package_id)
        if package.state is PackageState.FAILED:
            raise ConflictError(
                f"package {package_id} failed: {package.error or 'no reason is known'}"
            )
        installed = self._packages.installed(package_id)
        if package.state is not PackageState.READY or installed is None:
            why = f" ({package.error})" if package.error else ""
            raise ConflictError(f"package {package_id} is still {package.state.value}{why}")
        return installed

    def _accelerators(self, manifest: Manifest) -> int:
        if manifest.resources.accelerators is not None:
            return manifest.resources.accelerators
        configured = self._settings().accelerators
        if configured == "auto":
            return placement.automatic_count(self._chips.view(), can_grant=self._chips.can_grant)
        return configured


def shown_licence(service: DesiredService) -> str | None:
    """Return where a service's licence comes from, without password and query; None for none."""
    return None if service.licence_url is None else addresses.masked(service.licence_url)


def _check(load: ServiceLoad, *, manifest: Manifest) -> None:
    """Refuse what can never run, while its caller is still there to be told."""
    if manifest.type is PackageType.ARTIFACT:
        raise RequestError(
            f"AlgoFilePackageID: {load.package_id} is an artifact, which holds files and nothing "
            "that could be run; load a package of type image"
        )
    if not 1 <= load.replicas <= MAXIMUM_REPLICAS:
        raise RequestError(f"Replicas: {load.replicas} is not between 1 and {MAXIMUM_REPLICAS}")
    environment.check(load.env, manifest=manifest)
    _check_ports(manifest, replicas=load.replicas)
    if load.licence_url is not None:
        _check_licence(load.licence_url, manifest=manifest)
    for each in load.env:
        if len(each.value) > environment.STANDARD_VALUE_CHARACTERS:
            _log.info(
                "event=long_value package=%s name=%s characters=%d standard=%d",
                load.package_id,
                each.name,
                len(each.value),
                environment.STANDARD_VALUE_CHARACTERS,
            )


def _check_licence(url: str, *, manifest: Manifest) -> None:
    if len(url) > MAXIMUM_LICENCE_URL_CHARACTERS:
        raise RequestError(
            f"LicenseFile: {len(url)} characters, and {MAXIMUM_LICENCE_URL_CHARACTERS} are taken"
        )
    try:
        addresses.parse(url)
    except PermanentError as error:
        raise RequestError(f"LicenseFile: {error.reason}") from error
    environment.licence_path(manifest)


def _check_ports(manifest: Manifest, *, replicas: int) -> None:
    try:
        ports = [
            (port.host_port, port.protocol)
            for replica in range(replicas)
            for port in planning.ports(manifest, replica=replica)
            if port.host_port is not None
        ]
    except PermanentError as error:
        raise RequestError(f"Replicas: {error.reason}") from error
    double = sorted({number for number, _ in ports if ports.count((number, _)) > 1})
    if double:
        raise RequestError(
            f"Replicas: {replicas} replicas of this package would share the ports "
            f"{', '.join(map(str, double))} of this node"
        )
