"""Begins what a comparison found missing, and remembers what came of it."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Protocol

from agent.contracts import Runtime
from agent.errors import AgentError, PermanentError, TransientError
from agent.model.clock import Clock
from agent.model.view import AcceleratorView
from agent.model.workloads import Container, ContainerState, DesiredService, InstalledPackage
from agent.workloads import labels
from agent.workloads.attempts import Attempts
from agent.workloads.comparison import Comparison, Create, Recover, Remove, ReplicaKey
from agent.workloads.images import ImageLoader
from agent.workloads.jobs import Jobs, Lane, Then
from agent.workloads.service_state import ended
from agent.workloads.starter import ImageMissing, LicenceMissing, Starter

logger = logging.getLogger(__name__)

_STOP_GRACE_SECONDS = 10.0
_CHIPS_SECONDS = 5.0
# An engine that was killed in the middle of a start can refuse that container for ever.
_MOST_REFUSALS = 3


class Licences(Protocol):
    """Fetches and keeps the licences of services."""

    def ensure(self, service: DesiredService) -> Path:
        """Return the licence's file, and fetch it first where it is not here."""


class Actions:
    """Turns steps into jobs, each tried for ever with a backoff of its own.

    Belongs to the thread that decides; `is_desired` alone is called by jobs, so that one that
    waited its turn is not begun for a service that was unloaded meanwhile. What is tried goes by
    the name of the container, of the image, or of the licence.
    """

    def __init__(
        self,
        jobs: Jobs,
        *,
        runtime: Callable[[], Runtime],
        starter: Starter,
        images: ImageLoader,
        licences: Licences,
        installed: Callable[[str], InstalledPackage | None],
        is_desired: Callable[[str], bool],
        clock: Clock,
    ) -> None:
        self._jobs = jobs
        self._runtime = runtime
        self._starter = starter
        self._images = images
        self._licences = licences
        self._installed = installed
        self._is_desired = is_desired
        self._attempts = Attempts(clock=clock)
        self._failures: dict[str, str] = {}
        self._missing_images: set[str] = set()
        self._licence_files: dict[str, Path] = {}
        self._reserved: dict[str, tuple[AcceleratorView, ...]] = {}
        self._tried: set[str] = set()  # in this pass
        self._is_short_of_chips = False  # likewise
        self._refusals: Counter[str] = Counter()  # of recoveries in a row, by the container's id
        self.beyond_repair: set[str] = set()
        self.failures: dict[ReplicaKey, str] = {}
        self.activities: dict[ReplicaKey, str] = {}

    def begin(
        self,
        comparison: Comparison,
        *,
        containers: Sequence[Container],
        unneeded_images: Collection[str],
    ) -> float | None:
        """Begin what can begin now; return when the next of what has to wait may, None if none.

        Removals come first, because they free names and chips, then what is there already, then
        what has to be made. What is said of each replica is in `failures` and `activities` then.
        """
        self._tried = set()
        self._is_short_of_chips = False
        self.failures, self.activities = {}, {}
        here = {each.container_id for each in containers}
        self.beyond_repair &= here
        for gone in set(self._refusals).difference(here):
            del self._refusals[gone]
        for key, container in comparison.containers.items():
            self._observe(key, container)
        for removal in comparison.removals:
            self._remove(removal)
        for recovery in comparison.recoveries:
            self._recover(recovery)
        taken = self._taken(containers)
        for creation in comparison.creations:
            self._create(creation, taken)
        for reference in unneeded_images:
            self._remove_image(reference)
        self._forget()
        waits = [self._attempts.wait_seconds(subject) for subject in self._tried]
        if self._is_short_of_chips:
            waits.append(_CHIPS_SECONDS)
        return min((each for each in waits if each > 0), default=None)

    # The steps.

    def _observe(self, key: ReplicaKey, container: Container) -> None:
        """Take note of how a container fares that stays."""
        name = _name(key)
        self._tried.add(name)
        if container.state is ContainerState.RUNNING:
            self._attempts.goes_well(name)
            self._failures.pop(name, None)
        else:
            self._attempts.goes_ill(name)

    def _remove(self, step: Remove) -> None:
        container, subject = step.container, f"removal of {step.container.container_id}"

        def then(error: AgentError | None) -> None:
            if error is None:
                self._attempts.forget(subject)
                logger.info(
                    "event=container_removed container=%s reason=%s", container.name, step.reason
                )
            else:
                self._attempts.count(subject)
                self._fail(subject, f"{container.name} cannot be removed: {error}")

        self._try(
            subject,
            lambda: self._runtime().stop(
                container.container_id, timeout_seconds=_STOP_GRACE_SECONDS
            ),
            lane=Lane.STOP,
            then=then,
            job=container.name,
        )

    def _recover(self, step: Recover) -> None:
        container, name = step.container, _name(step.replica)

        def then(error: AgentError | None) -> None:
            self._attempts.count(name)
            if error is None:
                self._failures.pop(name, None)
                del self._refusals[container.container_id]
                return
            self._fail(name, f"{ended(container)}; it cannot be started again: {error}")
            self._refusals[container.container_id] += 1
            if (
                isinstance(error, PermanentError)
                or self._refusals[container.container_id] >= _MOST_REFUSALS
            ):
                self.beyond_repair.add(container.container_id)

        def work() -> None:
            if self._is_desired(step.replica[0]):
                self._runtime().recover(container.container_id)
                logger.info("event=container_recovered container=%s", container.name)

        self._try(name, work, lane=Lane.START, then=then, job=container.name)
        self._say(step.replica, name, "it is being started")

    def _create(self, step: Create, taken: Counter[str]) -> None:
        service, key, name = step.service, step.replica, _name(step.replica)
        self._tried.add(name)
        package = self._installed(service.package_id)
        if package is None or package.generation != service.generation or package.image is None:
            self.failures[key] = f"package {service.package_id} is no longer the one it was made of"
            return
        if package.image in self._missing_images:
            self._load_image(key, service, package)
            return
        licence_file = self._licence_files.get(service.service_id)
        if service.licence_url is not None and licence_file is None:
            self._fetch_licence(key, service)
            return
        self._say(key, name, "its container is being made")
        if self._jobs.has(name) or self._attempts.wait_seconds(name) > 0:
            return
        try:
            chips = self._starter.choose(service, taken=taken)
        except (TransientError, PermanentError) as error:
            # No backoff: to choose costs nothing, and after a boot the cards come one by one.
            self._is_short_of_chips = True
            self._fail(name, error.reason)
            self._say(key, name, "it waits for accelerators")
            return
        taken.update(chip.accelerator.uuid for chip in chips)
        self._reserved[name] = chips
        self._start(step, package, chips, licence_file)

    def _start(
        self,
        step: Create,
        package: InstalledPackage,
        chips: tuple[AcceleratorView, ...],
        licence_file: Path | None,
    ) -> None:
        service, name = step.service, _name(step.replica)

        def work() -> None:
            if self._is_desired(service.service_id):
                self._starter.start(
                    service,
                    package,
                    replica=step.replica[1],
                    chips=chips,
                    licence_file=licence_file,
                )
                logger.info("event=container_started container=%s", name)

        def then(error: AgentError | None) -> None:
            self._reserved.pop(name, None)
            # Counted too where something was missing: a load that brings nothing must not spin.
            self._attempts.count(name)
            if isinstance(error, ImageMissing) and package.image is not None:
                self._missing_images.add(package.image)
                self._failures.pop(name, None)
            elif isinstance(error, LicenceMissing):
                self._licence_files.pop(service.service_id, None)
            elif error is None:
                self._failures.pop(name, None)
            else:
                self._fail(name, str(error))

        self._try(name, work, lane=Lane.START, then=then)

    def _load_image(
        self, key: ReplicaKey, service: DesiredService, package: InstalledPackage
    ) -> None:
        reference = package.image or ""
        subject = f"image {reference}"

        def work() -> None:
            if self._is_desired(service.service_id):
                self._images.load(package)

        def then(error: AgentError | None) -> None:
            if error is None:
                self._attempts.forget(subject)
                self._missing_images.discard(reference)
            else:
                self._attempts.count(subject)
                self._fail(subject, f"its image cannot be loaded: {error}")

        self._try(subject, work, lane=Lane.IMAGE, then=then)
        self._say(key, subject, "its image is being loaded")

    def _fetch_licence(self, key: ReplicaKey, service: DesiredService) -> None:
        subject = f"licence {service.service_id}"

        def work() -> None:
            if self._is_desired(service.service_id):
                found.append(self._licences.ensure(service))

        def then(error: AgentError | None) -> None:
            if error is None:
                self._attempts.forget(subject)
                self._licence_files.update((service.service_id, each) for each in found)
            else:
                self._attempts.count(subject)
                self._fail(subject, f"its licence cannot be fetched: {error}")

        found: list[Path] = []
        self._try(subject, work, lane=Lane.LICENCE, then=then)
        self._say(key, subject, "its licence is being fetched")

    def _remove_image(self, reference: str) -> None:
        subject = f"image {reference}"

        def then(error: AgentError | None) -> None:
            if error is None:
                self._attempts.forget(subject)
            else:
                self._attempts.count(subject)
                self._fail(subject, f"it cannot be removed: {error}")

        self._try(subject, lambda: self._images.remove(reference), lane=Lane.IMAGE, then=then)

    # What they share.

    def _try(
        self, subject: str, work: Callable[[], None], *, lane: Lane, then: Then, job: str = ""
    ) -> None:
        """Begin a job unless what it is about has to wait, or something goes on with it."""
        self._tried.add(subject)
        if self._attempts.wait_seconds(subject) <= 0:
            self._jobs.submit(job or subject, work, lane=lane, then=then)

    def _say(self, key: ReplicaKey, subject: str, activity: str) -> None:
        """Say of a replica what is done about it, and why that failed the last time."""
        self.activities[key] = activity
        if subject in self._failures:
            self.failures[key] = self._failures[subject]

    def _fail(self, subject: str, reason: str) -> None:
        if self._failures.get(subject) != reason:
            logger.warning("event=workload_failed subject=%s reason=%s", subject, reason)
            self._failures[subject] = reason

    def _taken(self, containers: Sequence[Container]) -> Counter[str]:
        """Count the replicas that have each chip, those that are being made and others' too."""
        taken = Counter(
            assignment.uuid
            for container in containers
            for assignment in labels.accelerators_of(container.labels)
        )
        listed = {container.name for container in containers}
        for name, chips in self._reserved.items():
            if name not in listed:
                taken.update(chip.accelerator.uuid for chip in chips)
        return taken

    def _forget(self) -> None:
        """Forget the failures of what nobody tries any more."""
        self._attempts.keep_only(self._tried)
        for subject in set(self._failures).difference(self._tried):
            del self._failures[subject]

    def forget_licences(self, service_ids: Collection[str]) -> None:
        """Forget the licences of all services but these."""
        for service_id in set(self._licence_files).difference(service_ids):
            del self._licence_files[service_id]


def _name(key: ReplicaKey) -> str:
    return labels.container_name(key[0], replica=key[1])
