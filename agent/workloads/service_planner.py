"""What a request for a service comes to: the service as it is written down, and its containers."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from agent.config.settings import WorkloadSettings
from agent.errors import ConflictError, PermanentError, RequestError
from agent.model.accelerator import ContainerGrant
from agent.model.clock import Clock
from agent.model.view import AcceleratorView, AgentView
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
from agent.transport import addresses
from agent.workloads import environment, placement, planning

_log = logging.getLogger(__name__)

MAXIMUM_REPLICAS = 64
MAXIMUM_LICENCE_URL_CHARACTERS = 2048


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


class ServicePlanner:
    """Checks requests for services and says what they come to; changes nothing.

    `agent` is the instance that owns the containers. Safe in every thread.
    """

    def __init__(
        self,
        packages: InstalledPackages,
        *,
        chips: Chips,
        agent: str,
        settings: Callable[[], WorkloadSettings],
        clock: Clock,
    ) -> None:
        self._packages = packages
        self._chips = chips
        self._agent = agent
        self._settings = settings
        self._clock = clock

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
            RequestError, NotFoundError, ConflictError: as `desired`.
            PermanentError: no such container may be made.
            TransientError: there are not enough accelerators, or it is not known yet.
        """
        service, package = self.desired(load, service_id=service_id)
        counts = Counter(taken or {})
        specs = []
        for replica in range(service.replicas):
            chosen = self._choose(service.accelerators, taken=counts)
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

    def desired(
        self, load: ServiceLoad, *, service_id: str
    ) -> tuple[DesiredService, InstalledPackage]:
        """Return the service of a request, and its package.

        Raises:
            RequestError: the request is wrong; the reason names the field.
            NotFoundError: there is no such package.
            ConflictError: the package is not ready.
            TransientError: it is not known yet whether there are accelerators.
        """
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

    def _choose(self, count: int, *, taken: Mapping[str, int]) -> tuple[AcceleratorView, ...]:
        if count == 0:
            return ()  # a command would look at the whole machine in vain
        return placement.choose(
            self._chips.view(), count=count, taken=taken, can_grant=self._chips.can_grant
        )

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
