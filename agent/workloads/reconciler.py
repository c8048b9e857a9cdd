"""Brings what the runtime has to what was asked for, again and again.

One thread decides, and it decides from what it sees: it lists the containers once, compares them
with the desired services, and begins what is missing. It remembers nothing that it could not do
without, so the agent may be killed at any moment, and containers that run are simply found again.

That thread waits for nothing but the database and one question to the runtime, which has a
deadline. Whatever takes longer runs as a job beside it (`jobs`): stops, starts, licences and
images in lanes of their own. So a download never matters here at all, an image that takes minutes
delays only its own services, a licence that cannot be fetched only its own service, and a start
that hangs delays others by its deadline at most, and that only while four hang at once. A job's key
is the container's name: nothing is begun on a container while something goes on with it, and the
end of a job wakes the thread, which then looks again. A service that is unloaded while its image
is loading or its start is on its way so needs no case of its own.

It wakes when something was asked for, when the runtime tells of a change, when a job is over, when
a backoff ends, and every half minute in case a change was missed. While nothing is desired and
nothing is left to clean up it does not wake by itself, and the runtime is not even loaded.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Protocol

from agent.contracts import Runtime
from agent.errors import AgentError, PermanentError, TransientError
from agent.model.clock import Clock
from agent.model.workloads import (
    Container,
    ContainerState,
    DesiredService,
    InstalledPackage,
    Package,
    Service,
    ServiceUsage,
)
from agent.workloads import labels
from agent.workloads.actions import Actions
from agent.workloads.attempts import Attempts
from agent.workloads.comparison import ReplicaKey, compare
from agent.workloads.images import ImageLoader
from agent.workloads.jobs import Jobs, Spawn, spawn_daemon
from agent.workloads.service_state import Sighting, derive
from agent.workloads.starter import Starter
from agent.workloads.watch import ChangeWatch

logger = logging.getLogger(__name__)

_RESYNC_SECONDS = 30.0
_ENGINE_MOST_SECONDS = 15.0
# The engine's own deadline is longer: a busy disk is no reason to give a question up.
_SILENT_SECONDS = 20.0
_LEAST_SECONDS_BETWEEN_PASSES = 0.1
_ENGINE = "engine"


class DesiredServices(Protocol):
    """Knows what was asked for."""

    def desired(self) -> tuple[DesiredService, ...]:
        """Return the services that should run, oldest first."""


class InstalledPackages(Protocol):
    """Knows the packages whose files are here."""

    def installed(self, package_id: str) -> InstalledPackage | None:
        """Return the package in force, None where there is none."""

    def list(self) -> tuple[Package, ...]:
        """Return all packages."""


class Licences(Protocol):
    """Fetches and keeps the licences of services."""

    def ensure(self, service: DesiredService) -> Path:
        """Return the licence's file, and fetch it first where it is not here."""

    def keep_only(self, service_ids: Collection[str]) -> None:
        """Remove the licences of all services but these."""


class Usages(Protocol):
    """Measures what services use."""

    def measure(self, containers: tuple[Container, ...]) -> None:
        """Read what these containers use now."""

    def of(self, service_id: str) -> ServiceUsage:
        """Return what a service used at the last reading."""


class Reconciler:
    """Runs what was asked for; `agent` is the instance whose containers are its own.

    `runtime` returns the runtime, and builds it at the first call; it raises TransientError or
    PermanentError where it cannot. `start`, `stop`, `wake` and what reads are safe in every
    thread; `reconcile` belongs to the thread that `start` begins, or to a test that begins none.
    """

    def __init__(
        self,
        services: DesiredServices,
        *,
        agent: str,
        packages: InstalledPackages,
        licences: Licences,
        images: ImageLoader,
        starter: Starter,
        usages: Usages,
        runtime: Callable[[], Runtime],
        clock: Clock,
        spawn: Spawn = spawn_daemon,
    ) -> None:
        self._services = services
        self._agent = agent
        self._packages = packages
        self._licences = licences
        self._usages = usages
        self._runtime = runtime
        self._clock = clock
        self._jobs = Jobs(on_done=self.wake, spawn=spawn)
        self._watch = ChangeWatch(runtime, on_change=self.wake, clock=clock, spawn=spawn)
        self._images = images
        self._actions = Actions(
            self._jobs,
            runtime=runtime,
            starter=starter,
            images=images,
            licences=licences,
            installed=packages.installed,
            is_desired=self._is_desired,
            clock=clock,
        )
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._busy_since: float | None = None
        # What others read: replaced as a whole, never changed.
        self._sighting = Sighting(unreachable="it was not asked yet")
        self._asked_since: float | None = None
        self._orphans: tuple[Container, ...] = ()
        self._knows_orphans = False
        # What only the deciding thread touches.
        self._engine = Attempts(clock=clock, most_seconds=_ENGINE_MOST_SECONDS)
        self._started: set[ReplicaKey] = set()
        self._licensed: frozenset[str] | None = None
        # Whether the runtime is known to hold nothing of ours; None until the database was asked.
        self._is_clear: bool | None = None

    # What others call.

    def start(self) -> None:
        """Begin to reconcile, in a thread of its own."""
        self._thread = threading.Thread(target=self._run, name="workloads", daemon=True)
        self._thread.start()

    def stop(self, *, timeout_seconds: float) -> None:
        """Begin nothing more and wait for what goes on; every container stays as it is.

        The thread that listens ends once the runtime is closed.
        """
        self._stopping.set()
        self._watch.stop()
        self._woken.set()
        ends_at = self._clock.monotonic() + timeout_seconds
        if self._thread is not None:
            self._thread.join(timeout_seconds)
        self._jobs.stop(timeout_seconds=max(ends_at - self._clock.monotonic(), 0.0))

    def is_alive(self, within_seconds: float) -> bool:
        """Tell whether the thread is there and has been in no pass for longer than this."""
        busy_since = self._busy_since
        return (
            self._thread is not None
            and self._thread.is_alive()
            and (busy_since is None or self._clock.monotonic() - busy_since <= within_seconds)
        )

    def wake(self) -> None:
        """Look soon: something was asked for, or may have changed."""
        self._woken.set()

    def services(self) -> tuple[Service, ...]:
        """Return the services that are asked for, oldest first, as they were last seen.

        Raises:
            TransientError: the database does not answer now.
        """
        sighting, now = self._seen(), self._clock.now()
        return tuple(
            derive(desired, sighting, now=now, usage=self._usages.of(desired.service_id))
            for desired in self._services.desired()
        )

    def orphans(self) -> tuple[Container, ...] | None:
        """Return containers of services that nobody here asked for; they are left alone.

        None while the runtime is not asked, or does not answer.
        """
        return self._orphans if self._knows_orphans else None

    def measure(self) -> None:
        """Measure what the containers use that run; asks nothing of the runtime if none does."""
        containers = self._sighting.containers.values()
        self._usages.measure(
            tuple(each for each in containers if each.state is ContainerState.RUNNING)
        )

    # The thread.

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._busy_since = self._clock.monotonic()
            self._woken.clear()
            try:
                wait_seconds = self.reconcile()
            except AgentError as error:
                wait_seconds = self._lost(f"the agent's own files: {error}")
            except Exception:
                logger.exception("event=reconciler_failed")
                wait_seconds = _ENGINE_MOST_SECONDS
            self._busy_since = None
            # A container that ends at once makes many changes; one look takes them all.
            self._stopping.wait(_LEAST_SECONDS_BETWEEN_PASSES)
            self._woken.wait(wait_seconds)

    def reconcile(self) -> float | None:
        """Look once and begin what is missing; return how long to wait, None until it is woken.

        Raises:
            NoRoomError, TransientError: the database does not work now.
        """
        self._jobs.collect()
        desired = self._services.desired()
        loaded = self._images.loaded()
        unneeded_images = self._without_package(loaded, desired)
        if self._is_clear is None:
            self._is_clear = not loaded
        if self._is_clear and self._jobs.is_idle and not (desired or unneeded_images):
            self._sighting, self._orphans = Sighting(), ()
            self._knows_orphans = False
            self._clean_licences(frozenset())
            return None
        self._is_clear = False
        try:
            self._asked_since = self._clock.monotonic()
            containers = self._runtime().list_owned()
        except (TransientError, PermanentError) as error:
            return self._lost(error.reason)
        finally:
            self._asked_since = None
        self._found()
        comparison = compare(
            desired=desired,
            containers=containers,
            agent=self._agent,
            beyond_repair=self._actions.beyond_repair,
        )
        self._report_orphans(comparison.orphans)
        generations = {each.labels.get(labels.GENERATION) for each in containers}
        wait_seconds = self._actions.begin(
            comparison,
            containers=containers,
            unneeded_images=[each for each in unneeded_images if _tag(each) not in generations],
        )
        self._started |= {k for k, v in comparison.containers.items() if v.started_at is not None}
        self._started &= {(each.service_id, n) for each in desired for n in range(each.replicas)}
        self._sighting = Sighting(
            containers=comparison.containers,
            failures=self._actions.failures,
            activities=self._actions.activities,
            started=frozenset(self._started),
        )
        in_use = {each.service_id for each in desired}
        in_use |= {each.container.labels[labels.SERVICE] for each in comparison.removals}
        self._clean_licences(frozenset(in_use))
        self._is_clear = not in_use and self._jobs.is_idle
        return _RESYNC_SECONDS if wait_seconds is None else min(wait_seconds, _RESYNC_SECONDS)

    def _seen(self) -> Sighting:
        """Return what was seen last; nothing, while an engine that hangs is being asked."""
        asked_since = self._asked_since
        if asked_since is not None:
            silent_seconds = self._clock.monotonic() - asked_since
            if silent_seconds > _SILENT_SECONDS:
                return Sighting(unreachable=f"no answer for {silent_seconds:.0f} s")
        return self._sighting

    def _lost(self, reason: str) -> float:
        """Show that nothing can be seen, and return when to look again."""
        if self._sighting.unreachable != reason:
            logger.warning("event=runtime_unreachable reason=%s", reason)
            self._sighting = Sighting(unreachable=reason)
            self._knows_orphans = False
        self._engine.count(_ENGINE)
        return self._engine.wait_seconds(_ENGINE)

    def _found(self) -> None:
        self._engine.forget(_ENGINE)
        if self._sighting.unreachable is not None or not self._watch.is_started:
            logger.info("event=runtime_reached")
            self._watch.listen()

    def _report_orphans(self, orphans: tuple[Container, ...]) -> None:
        known = {container.container_id for container in self._orphans}
        for container in orphans:
            if container.container_id not in known:
                logger.warning(
                    "event=container_of_another_agent container=%s service=%s agent=%s",
                    container.name,
                    container.labels.get(labels.SERVICE),
                    container.labels.get(labels.AGENT),
                )
        self._orphans = orphans
        self._knows_orphans = True

    def _without_package(
        self, loaded: Collection[str], desired: Collection[DesiredService]
    ) -> list[str]:
        """Return the images that belong neither to a package that is here nor to a service."""
        generations = {service.generation for service in desired}
        if all(_tag(reference) in generations for reference in loaded):
            return []
        for package in self._packages.list():
            installed = self._packages.installed(package.package_id)
            if installed is not None:
                generations.add(installed.generation)
        return [reference for reference in loaded if _tag(reference) not in generations]

    def _clean_licences(self, service_ids: frozenset[str]) -> None:
        """Remove the licences of all other services, once no job may still write one."""
        if service_ids == self._licensed or not self._jobs.is_idle:
            return
        self._actions.forget_licences(service_ids)
        try:
            self._licences.keep_only(service_ids)
        except AgentError as error:
            logger.warning("event=licences_not_removed reason=%s", error)
        else:
            self._licensed = service_ids

    def _is_desired(self, service_id: str) -> bool:
        return any(each.service_id == service_id for each in self._services.desired())


def _tag(reference: str) -> str:
    """Return the tag of an image of ours, which is the generation of its package."""
    return reference.rpartition(":")[2]
