"""Puts package files in force, and clears away what a crash left."""

from __future__ import annotations

import logging
import sqlite3
import threading
from datetime import timedelta

from agent.errors import ConflictError
from agent.model.clock import Clock
from agent.model.workloads import Digests, Manifest
from agent.store import packages as rows
from agent.store.database import Database
from agent.store.packages import InstalledRow, PackageRow
from agent.workloads import package_view
from agent.workloads.package_folder import PackageFolder

logger = logging.getLogger(__name__)

_PART_IS_KEPT = timedelta(days=7)


class PackageKeeper:
    """Keeps rows and files of one mind; whatever happens, the row is what holds.

    `lock` is held over every decision about a package, by whoever decides.
    """

    def __init__(
        self, *, database: Database, folder: PackageFolder, clock: Clock, lock: threading.RLock
    ) -> None:
        self._database = database
        self._folder = folder
        self._clock = clock
        self._lock = lock

    def recover(self) -> list[PackageRow]:
        """Clear away what a crash left, and return the rows whose push is still on its way.

        Raises:
            TransientError, NoRoomError: the database does not work now.
        """
        with self._lock, self._database.transaction() as statements:
            generations: set[str] = set()
            unfinished = []
            for row in rows.find_all(statements):
                if row.installed is not None:
                    generations.add(row.installed.generation)
                    self._judge_file(statements, row, row.installed)
                push = row.push
                if push is None or push.generation is None:
                    continue
                generations.add(push.generation)
                if self._folder.file(push.generation).exists():
                    # It got its name, but the row did not come to say so.
                    self._folder.unpublish(push.generation)
                if push.state == "downloading":
                    unfinished.append(row)
        removed = self._folder.remove_others(generations)
        if removed or unfinished:
            logger.info(
                "event=packages_recovered files_removed=%d downloads=%d", removed, len(unfinished)
            )
        return unfinished

    def drop_stale_parts(self) -> None:
        """Remove what is there of downloads that failed, a week after its last byte."""
        with self._lock, self._database.transaction() as statements:
            for row in rows.find_all(statements):
                push = row.push
                if (
                    push is None
                    or push.generation is None
                    or push.state != "failed"
                    or self._clock.now() - row.progress_at < _PART_IS_KEPT
                ):
                    continue
                _forget_part(statements, push.generation)
                self._folder.remove(push.generation)

    def put_in_force(
        self,
        package_id: str,
        generation: str,
        *,
        manifest: Manifest,
        size_bytes: int,
        digests: Digests,
        source: str | None,
    ) -> PackageRow | None:
        """Let a verified file take the place of what was there; return the row it replaced.

        Call it with the lock held.

        Raises:
            ConflictError: a service of the package exists.
            NoRoomError, TransientError: it is not in force; the file has its old name.
        """
        has_name = False
        try:
            with self._database.transaction() as statements:
                row = rows.find(statements, package_id)
                if rows.has_services(statements, package_id):
                    raise ConflictError("a service of this package exists: unload it first")
                self._folder.publish(generation)
                has_name = True
                rows.write_installed(
                    statements,
                    package_id,
                    InstalledRow(
                        generation=generation,
                        manifest=package_view.encode_manifest(manifest),
                        size_bytes=size_bytes,
                        digests=digests,
                        source=source,
                    ),
                    at=self._clock.now(),
                )
        except BaseException:
            if has_name:
                self._folder.unpublish(generation)
            raise
        if row is not None and row.installed is not None:
            self._folder.remove(row.installed.generation)
        return row

    def fail(self, package_id: str, generation: str, reason: str, *, keeps_part: bool) -> None:
        """Note that a push has failed, and remove what is there of it unless it is worth keeping.

        Raises:
            NoRoomError, TransientError: it cannot be noted now.
        """
        with self._database.transaction() as statements:
            rows.write_failure(statements, package_id, reason, at=self._clock.now())
            if not keeps_part:
                _forget_part(statements, generation)
        if not keeps_part:
            self._folder.remove(generation)

    def _judge_file(
        self, statements: sqlite3.Connection, row: PackageRow, installed: InstalledRow
    ) -> None:
        """Let a package whose file went missing have failed, and one whose file came back not."""
        is_there = self._folder.file(installed.generation).exists()
        if row.push is None and not is_there:
            reason = f"its file {self._folder.file(installed.generation)} is gone: push it again"
            rows.write_failure(statements, row.package_id, reason, at=self._clock.now())
            logger.warning("event=package_failed package=%s reason=%s", row.package_id, reason)
        elif is_there and row.push is not None and row.push.generation is None:
            rows.clear_push(statements, row.package_id, at=self._clock.now())


def _forget_part(statements: sqlite3.Connection, generation: str) -> None:
    rows.write_progress(
        statements, generation, synced_bytes=0, size_bytes=None, validator=None, at=None
    )
