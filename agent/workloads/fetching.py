"""Brings one package from its address to being in force, or to having failed."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from agent.errors import (
    AgentError,
    ConflictError,
    NoRoomError,
    PermanentError,
    TransientError,
)
from agent.model.clock import Clock
from agent.model.workloads import Digests, Manifest
from agent.store import packages as rows
from agent.store.database import Database
from agent.store.packages import PushRow
from agent.transport import addresses
from agent.transport.download import Beginning, Downloader, Resume
from agent.workloads import digests as digesting
from agent.workloads.arrival import Arrival, Limits, TooLarge
from agent.workloads.digests import DigestMismatch
from agent.workloads.download_queue import Download
from agent.workloads.package_folder import PackageFolder
from agent.workloads.package_keeper import PackageKeeper
from agent.workloads.part_file import PartFile

logger = logging.getLogger(__name__)

# A server may hand out a stale copy once; a second one would be no accident.
_MOST_MISMATCHES = 2


class _BadPackage(PermanentError):  # noqa: N818 - named by what it says
    """Says that a file came as announced, and is no package that can be taken."""


class Fetching:
    """Does one attempt after another at a download; each in the thread of its worker.

    `lock` is held over every decision about a package, by whoever decides. A download that got no
    byte for `give_up_seconds` of this agent's running time has failed.
    """

    def __init__(
        self,
        *,
        database: Database,
        folder: PackageFolder,
        keeper: PackageKeeper,
        limits: Limits,
        clock: Clock,
        downloader: Downloader,
        inspect: Callable[[Path], Manifest],
        give_up_seconds: float,
        lock: threading.RLock,
        on_change: Callable[[], None],
    ) -> None:
        self._database = database
        self._folder = folder
        self._keeper = keeper
        self._limits = limits
        self._clock = clock
        self._downloader = downloader
        self._inspect = inspect
        self._give_up_seconds = give_up_seconds
        self._lock = lock
        self._on_change = on_change

    def attempt(self, download: Download) -> bool:
        """Try once; return True when nothing is left to do, False for another attempt."""
        try:
            try:
                self._fetch(download)
            except AgentError:
                # Whatever comes next, a restart or another push, goes on from here.
                self._keep(download)
                raise
        except (TransientError, NoRoomError, ConflictError) as error:
            is_done = self._stumbled(download, error)
        except PermanentError as error:
            is_done = self._failed(
                download,
                error.reason,
                keeps_part=not isinstance(error, (DigestMismatch, TooLarge, _BadPackage)),
            )
        else:
            is_done = True
        if is_done:
            self._on_change()
        return is_done

    def download_of(self, package_id: str, push: PushRow, *, progress_at: datetime) -> Download:
        """Return a push as something to be fetched."""
        if push.generation is None or push.url is None:
            raise ValueError("there is nothing to be fetched")
        return Download(
            package_id=package_id,
            generation=push.generation,
            url=push.url,
            digests=push.digests,
            kept_bytes=push.synced_bytes,
            size_bytes=push.size_bytes,
            validator=push.validator,
            error=push.error,
            progress_at=progress_at,
            silent_since=self._clock.monotonic(),
            started_at=self._clock.monotonic(),
            furthest_bytes=push.synced_bytes,
        )

    def _fetch(self, download: Download) -> None:
        # Read first: whoever changes the address afterwards cancels this attempt.
        cancellation = download.cancellation
        url, digests = download.url, download.digests
        part = self._open(download, digests)
        if part.size_bytes != download.size_bytes:
            self._check_room(download, part)
            resume = Resume(
                offset_bytes=part.size_bytes,
                validator=download.validator,
                total_bytes=download.size_bytes,
            )
            arrival = Arrival(
                part,
                limits=self._limits,
                cancellation=cancellation,
                on_beginning=lambda beginning: self._begun(download, beginning),
                on_bytes=lambda here_bytes: self._moved(download, here_bytes),
            )
            self._downloader.fetch(url, resume=resume, sink=arrival, cancellation=cancellation)
            download.size_bytes = part.size_bytes
        part.sync()
        self._verify(download, part, digests)
        cancellation.check()
        try:
            manifest = self._inspect(part.path)
        except PermanentError as error:
            raise _BadPackage(error.reason) from error
        with self._lock:
            cancellation.check()
            self._keeper.put_in_force(
                download.package_id,
                download.generation,
                manifest=manifest,
                size_bytes=part.size_bytes,
                digests=digests,
                source=addresses.masked(url),
            )
        logger.info(
            "event=package_ready package=%s size_bytes=%d seconds=%.1f",
            download.package_id,
            part.size_bytes,
            self._clock.monotonic() - download.started_at,
        )

    def _open(self, download: Download, digests: Digests) -> PartFile:
        part = download.part
        if part is not None and part.computes(digests):
            return part
        if part is not None:
            download.kept_bytes = part.size_bytes
            download.part = None
            part.close()
        self._folder.prepare()
        download.part = PartFile(
            self._folder.part(download.generation),
            kept_bytes=download.kept_bytes,
            digests=digests,
            clock=self._clock,
            on_synced=lambda size_bytes: self._synced(download, size_bytes),
            check=download.cancellation.check,
        )
        return download.part

    def _check_room(self, download: Download, part: PartFile) -> None:
        size_bytes = download.size_bytes
        if size_bytes is None:
            # One byte more than what once filled the disk.
            size_bytes = download.not_below_bytes
        else:
            self._limits.check_size(size_bytes)
        self._limits.space.check(size_bytes - part.size_bytes)

    def _begun(self, download: Download, beginning: Beginning) -> None:
        download.size_bytes = beginning.total_bytes
        download.validator = beginning.validator

    def _moved(self, download: Download, here_bytes: int) -> None:
        # A server that begins anew each time and breaks off at the same place brings nothing.
        if here_bytes > download.furthest_bytes:
            download.furthest_bytes = here_bytes
            download.progress_at = self._clock.now()
            download.silent_since = self._clock.monotonic()

    def _synced(self, download: Download, size_bytes: int) -> None:
        with self._database.transaction() as statements:
            rows.write_progress(
                statements,
                download.generation,
                synced_bytes=size_bytes,
                size_bytes=download.size_bytes,
                validator=download.validator,
                at=download.progress_at,
            )

    def _keep(self, download: Download) -> None:
        if download.part is not None and not download.is_dropped:
            with contextlib.suppress(NoRoomError, TransientError):
                download.part.sync()

    def _verify(self, download: Download, part: PartFile, digests: Digests) -> None:
        try:
            digesting.compare(digests, part.digests(), size_bytes=part.size_bytes)
        except DigestMismatch as error:
            download.mismatches += 1
            if download.mismatches >= _MOST_MISMATCHES:
                raise
            self._begin_anew(download, part)
            raise TransientError(f"{error.reason}; it is fetched once more from zero") from error

    def _begin_anew(self, download: Download, part: PartFile) -> None:
        download.size_bytes = None
        download.validator = None
        download.furthest_bytes = 0
        part.restart()

    def _begin_without(self, download: Download) -> None:
        part, download.part = download.part, None
        download.kept_bytes = download.furthest_bytes = 0
        download.size_bytes = None
        download.validator = None
        if part is not None:
            part.close()

    def _stumbled(self, download: Download, error: AgentError) -> bool:
        if download.cancellation.is_cancelled:
            return False
        reason = str(error)
        silent_seconds = self._clock.monotonic() - download.silent_since
        if silent_seconds >= self._give_up_seconds:
            hours = self._give_up_seconds / 3600.0
            return self._failed(
                download, f"no byte came for {hours:g} h; the last reason: {reason}",
                keeps_part=True,
            )  # fmt: skip
        part = download.part
        if isinstance(error, NoRoomError) and part is not None and download.size_bytes is None:
            # Nobody knows whether it can ever fit, so it must not be what fills the disk.
            download.not_below_bytes = max(download.not_below_bytes, part.size_bytes + 1)
            with contextlib.suppress(NoRoomError, TransientError):
                self._begin_anew(download, part)
        if isinstance(error, TransientError) and error.retry_after_seconds is not None:
            download.not_before = self._clock.monotonic() + error.retry_after_seconds
        if reason != download.error:
            download.error = reason
            logger.warning(
                "event=package_waiting package=%s reason=%s", download.package_id, reason
            )
            with (
                contextlib.suppress(NoRoomError, TransientError),
                self._database.transaction() as statements,
            ):
                rows.write_error(statements, download.generation, reason)
        return False

    def _failed(self, download: Download, reason: str, *, keeps_part: bool) -> bool:
        with self._lock:
            if download.cancellation.is_cancelled:
                return False
            download.error = reason
            try:
                self._keeper.fail(
                    download.package_id, download.generation, reason, keeps_part=keeps_part
                )
            except (NoRoomError, TransientError) as error:
                logger.warning(
                    "event=package_waiting package=%s reason=%s", download.package_id, error
                )
                return False
            if not keeps_part:
                # The next push of the same file may take it up at once.
                self._begin_without(download)
        logger.warning("event=package_failed package=%s reason=%s", download.package_id, reason)
        return True
