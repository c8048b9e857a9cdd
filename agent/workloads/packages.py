"""Takes packages and keeps them: by push from an address, or by upload."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from agent.config.settings import WorkloadSettings
from agent.errors import (
    AgentError,
    ConflictError,
    NotFoundError,
    PermanentError,
    RequestError,
)
from agent.model.clock import Clock
from agent.model.workloads import Digests, InstalledPackage, Manifest, Package
from agent.store import packages as rows
from agent.store.database import Database
from agent.store.packages import PackageRow, PushRow
from agent.transport import addresses
from agent.transport.download import Downloader
from agent.workloads import digests as digesting
from agent.workloads import package_view
from agent.workloads.arrival import Limits
from agent.workloads.attempts import Attempts
from agent.workloads.download_queue import DownloadQueue
from agent.workloads.fetching import Fetching
from agent.workloads.free_space import FreeSpace
from agent.workloads.package_folder import PackageFolder
from agent.workloads.package_keeper import PackageKeeper
from agent.workloads.rates import TokenBucket
from agent.workloads.uploads import Uploads

logger = logging.getLogger(__name__)

# More than any disk holds; it bounds what pushes that never succeed leave in the database.
MAXIMUM_PACKAGES = 1000
_PACKAGE_ID = re.compile(r"[0-9A-Za-z_-][0-9A-Za-z_.-]{0,63}")
_MIB = 1 << 20
_GIB = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagePush:
    """Says where a package is fetched from; the URL may hold a password."""

    package_id: str
    url: str = field(repr=False)
    digests: Digests


class Packages:
    """Keeps the packages of this node; safe in every thread.

    What a method has returned from is on the disk. `inspect` reads a whole file and returns its
    algo.yaml, or raises PermanentError. `on_change` is called, in any thread, after a package came,
    failed or went. `attempts` says when a download that broke off is tried again.
    """

    def __init__(
        self,
        *,
        database: Database,
        folder: Path,
        settings: WorkloadSettings,
        clock: Clock,
        downloader: Downloader,
        inspect: Callable[[Path], Manifest],
        on_change: Callable[[], None],
        attempts: Attempts | None = None,
    ) -> None:
        self._database = database
        self._folder = PackageFolder(folder)
        self._clock = clock
        self._inspect = inspect
        self._on_change = on_change
        self._limits = Limits(
            maximum_bytes=int(settings.package_maximum_gib * _GIB),
            space=FreeSpace(
                folder, minimum_free_bytes=int(settings.download.minimum_free_gib * _GIB)
            ),
            bucket=TokenBucket(_bytes_per_second(settings), clock=clock),
        )
        # Held over every decision about a package, so that no push, upload, deletion or arrival
        # comes between another's look at the row and its deed.
        self._lock = threading.RLock()
        self._uploads = Uploads(folder=self._folder, limits=self._limits, clock=clock)
        self._keeper = PackageKeeper(
            database=database, folder=self._folder, clock=clock, lock=self._lock
        )
        self._fetching = Fetching(
            database=database,
            folder=self._folder,
            keeper=self._keeper,
            limits=self._limits,
            clock=clock,
            downloader=downloader,
            inspect=inspect,
            give_up_seconds=settings.download.give_up_hours * 3600.0,
            lock=self._lock,
            on_change=on_change,
        )
        self._queue = DownloadQueue(
            parallel=settings.download.parallel,
            clock=clock,
            attempts=attempts or Attempts(clock=clock),
            attempt=self._fetching.attempt,
            forget=lambda download: self._folder.remove(download.generation),
            keep_house=self._keeper.drop_stale_parts,
        )

    # Life

    def start(self) -> None:
        """Clear away what a crash left, take up what was on its way, and start the workers.

        Raises:
            PermanentError: the folder cannot be used.
            TransientError, NoRoomError: the database does not work now.
        """
        self._folder.prepare()
        self._keeper.drop_stale_parts()
        for row in self._keeper.recover():
            if row.push is not None:
                self._queue.add(
                    self._fetching.download_of(
                        row.package_id, row.push, progress_at=row.progress_at
                    )
                )
        self._queue.start()

    def stop(self, *, timeout_seconds: float) -> None:
        """Cut what is on its way; it goes on at the next start."""
        self._uploads.stop()
        self._queue.stop(timeout_seconds=timeout_seconds)

    @property
    def is_alive(self) -> bool:
        """Tell whether every worker runs."""
        return self._queue.is_alive

    # Deeds

    def push(self, push: PackagePush) -> None:
        """Take a package on to fetch it; it is on the disk that it is wanted, on return.

        A push of what is here already changes nothing. One of a package that is on its way goes on
        from the new address, and keeps what is here of the same file.

        Raises:
            RequestError: id, URL or digest cannot be.
            ConflictError: a service of the package exists, or there are too many packages.
            NoRoomError, TransientError: the database does not work now.
        """
        check_id(push.package_id)
        digests = digesting.normal(push.digests)
        shown = _shown(push.url)
        with self._lock:
            now = self._clock.now()
            with self._database.transaction() as statements:
                row = rows.find(statements, push.package_id)
                if self._is_here(row, digests):
                    return
                if row is None and rows.count(statements) >= MAXIMUM_PACKAGES:
                    raise ConflictError(
                        f"there are {MAXIMUM_PACKAGES} packages already: delete some first"
                    )
                self._refuse_while_used(rows.has_services(statements, push.package_id))
                old = None if row is None else row.push
                wanted = _continued(old, push.url, digests)
                if wanted is None:
                    wanted = PushRow(
                        generation=self._folder.new_generation(),
                        state="downloading",
                        url=push.url,
                        digests=digests,
                        size_bytes=None,
                        synced_bytes=0,
                        validator=None,
                        error=None,
                    )
                rows.write_push(statements, push.package_id, wanted, at=now)
            self._take_on(push.package_id, wanted, old=old, at=now)
        logger.info("event=package_accepted package=%s source=%s", push.package_id, shown)
        self._on_change()

    def receive(self, package_id: str, *, file: BinaryIO, digests: Digests) -> None:
        """Take a package from a file that is read to its end; on return it is in force.

        Raises:
            RequestError: the id or a digest cannot be.
            ConflictError: a service of the package exists.
            PermanentError: it is not what was announced, or no package that can be taken.
            NoRoomError, TransientError: it cannot be kept now.
        """
        check_id(package_id)
        digests = digesting.normal(digests)
        with self._database.transaction() as statements:
            row = rows.find(statements, package_id)
            if self._is_here(row, digests):
                return
            self._refuse_while_used(rows.has_services(statements, package_id))
        started = self._clock.monotonic()
        generation = self._folder.new_generation()
        try:
            with self._uploads.receive(file, generation, digests) as upload:
                manifest = self._inspect(upload.path)
                with self._lock:
                    upload.check()
                    replaced = self._keeper.put_in_force(
                        package_id, generation, manifest=manifest, size_bytes=upload.size_bytes,
                        digests=digests, source=None,
                    )  # fmt: skip
                    if replaced is not None and replaced.push is not None:
                        self._let_go(replaced.push)
        except AgentError as error:
            logger.warning("event=package_refused package=%s reason=%s", package_id, error)
            raise
        logger.info(
            "event=package_ready package=%s size_bytes=%d seconds=%.1f source=upload",
            package_id, upload.size_bytes, self._clock.monotonic() - started,
        )  # fmt: skip
        self._on_change()

    def delete(self, package_id: str) -> None:
        """Forget a package, with its file and what was on its way.

        Raises:
            NotFoundError: there is none of this id.
            ConflictError: a service of it exists.
            NoRoomError, TransientError: the database does not work now.
        """
        with self._lock:
            with self._database.transaction() as statements:
                row = rows.find(statements, package_id)
                if row is None:
                    raise NotFoundError(f"there is no package {package_id}")
                self._refuse_while_used(rows.has_services(statements, package_id))
                rows.remove(statements, package_id)
            if row.push is not None:
                self._let_go(row.push)
            if row.installed is not None:
                self._folder.remove(row.installed.generation)
        logger.info("event=package_deleted package=%s", package_id)
        self._on_change()

    # Questions

    def get(self, package_id: str) -> Package:
        """Return a package as it stands now; raises NotFoundError."""
        with self._database.transaction() as statements:
            row = rows.find(statements, package_id)
        if row is None:
            raise NotFoundError(f"there is no package {package_id}")
        return self._package(row)

    def list(self) -> tuple[Package, ...]:
        """Return all packages as they stand now, oldest first."""
        with self._database.transaction() as statements:
            found = rows.find_all(statements)
        return tuple(self._package(row) for row in found)

    def installed(self, package_id: str) -> InstalledPackage | None:
        """Return what is in force of a package, whatever push is on its way; None for nothing."""
        with self._database.transaction() as statements:
            row = rows.find(statements, package_id)
        if row is None or row.installed is None:
            return None
        return package_view.installed(
            package_id, row.installed, file=self._folder.file(row.installed.generation)
        )

    def _package(self, row: PackageRow) -> Package:
        download = None if row.push is None else self._queue.find(row.push.generation)
        return package_view.package(row, download)

    def _is_here(self, row: PackageRow | None, digests: Digests) -> bool:
        return (
            row is not None
            and row.push is None
            and row.installed is not None
            and digesting.are_of_one_file(row.installed.digests, digests)
            and self._folder.file(row.installed.generation).exists()
        )

    def _refuse_while_used(self, is_used: bool) -> None:  # noqa: FBT001 - its only subject
        if is_used:
            raise ConflictError("a service of this package exists: unload it first")

    def _take_on(
        self, package_id: str, push: PushRow, *, old: PushRow | None, at: datetime
    ) -> None:
        if old is not None and old.generation != push.generation:
            self._let_go(old)
        running = self._queue.find(push.generation)
        if running is not None and push.url is not None:
            self._queue.redirect(running, url=push.url, digests=push.digests)
            return
        self._queue.add(self._fetching.download_of(package_id, push, progress_at=at))

    def _let_go(self, push: PushRow) -> None:
        if self._queue.find(push.generation) is None:
            self._folder.remove(push.generation)
        else:
            self._queue.drop(push.generation)


def check_id(package_id: str) -> None:
    """Raise RequestError for what cannot be the id of a package."""
    if _PACKAGE_ID.fullmatch(package_id) is None:
        raise RequestError(
            "a package's id is 1 to 64 letters, digits, dots, hyphens and underscores and begins "
            f"with no dot, not {package_id[:80]!r}"
        )


def _shown(url: str) -> str:
    try:
        return addresses.parse(url).shown
    except PermanentError as error:
        raise RequestError(error.reason) from None


def _continued(old: PushRow | None, url: str, digests: Digests) -> PushRow | None:
    """Return a push that goes on with what is here of the same file; None for a new one."""
    if old is None or old.generation is None or not digesting.are_of_one_file(old.digests, digests):
        return None
    return replace(
        old,
        state="downloading",
        url=url,
        digests=digests,
        validator=old.validator if url == old.url else None,
        error=None,
    )


def _bytes_per_second(settings: WorkloadSettings) -> float | None:
    limit = settings.download.rate_limit_mib_per_second
    return None if limit is None else limit * _MIB
