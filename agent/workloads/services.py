"""What should run: takes the requests to load and unload services and keeps them on disk."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Mapping
from datetime import timedelta

from agent.config.settings import WorkloadSettings
from agent.errors import NotFoundError
from agent.model.clock import Clock
from agent.model.workloads import (
    ContainerSpec,
    DesiredService,
)
from agent.store.services import ServiceStore
from agent.transport import addresses
from agent.workloads.service_planner import Chips, InstalledPackages, ServiceLoad, ServicePlanner

__all__ = ["Chips", "InstalledPackages", "ServiceLoad", "Services", "shown_licence"]

_log = logging.getLogger(__name__)

MAXIMUM_SERVICES = 1024
# A container that comes to light later, on a disk that was away, is then known for what it is.
REMEMBERED = timedelta(days=7)


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
        self._planner = ServicePlanner(
            packages, chips=chips, agent=agent, settings=settings, clock=clock
        )
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
        service, _ = self._planner.desired(load, service_id=str(uuid.uuid4()))
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
        taken: Mapping[str, int] | None = None,
    ) -> tuple[ContainerSpec, ...]:
        """Return the container of each replica as it would be made now; nothing is written.

        `taken` is how many replicas each chip serves already. Raises as `ServicePlanner.plan`.
        """
        return self._planner.plan(load, taken=taken)


def shown_licence(service: DesiredService) -> str | None:
    """Return where a service's licence comes from, without password and query; None for none."""
    return None if service.licence_url is None else addresses.masked(service.licence_url)
