"""Opens the database, brings it to the schema of this build, and hands out transactions."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from agent.errors import NoRoomError, PermanentError, TransientError

logger = logging.getLogger(__name__)

FILE_NAME = "state.db"
_BUSY_SECONDS = 5.0

# One entry a version, oldest first; what has been released is never changed, only added to.
_MIGRATIONS = (
    """
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);

    -- A package is at most two files: the one in force (`generation`), and the one that is on its
    -- way in place of it or for the first time (`push_generation`).
    CREATE TABLE packages (
        package_id TEXT PRIMARY KEY,
        created_at TEXT NOT NULL,
        generation TEXT UNIQUE,
        manifest TEXT,
        size_bytes INTEGER,
        md5 TEXT, sha256 TEXT, sm3 TEXT,
        source TEXT,
        push_generation TEXT UNIQUE,
        push_state TEXT,
        push_url TEXT,
        push_md5 TEXT, push_sha256 TEXT, push_sm3 TEXT,
        push_size_bytes INTEGER,
        push_synced_bytes INTEGER NOT NULL DEFAULT 0,
        push_validator TEXT,
        push_error TEXT,
        push_progress_at TEXT,
        push_changed_at TEXT
    );

    -- A service that was unloaded keeps its row for a while: a container that comes to light
    -- later is then known for what it is.
    CREATE TABLE services (
        service_id TEXT PRIMARY KEY,
        package_id TEXT NOT NULL,
        generation TEXT NOT NULL,
        env TEXT NOT NULL,
        replicas INTEGER NOT NULL,
        accelerators INTEGER NOT NULL,
        licence_url TEXT,
        created_at TEXT NOT NULL,
        removed_at TEXT
    );
    CREATE INDEX services_by_package ON services (package_id);

    -- Images that were, or were about to be, loaded into the engine and not taken out of it again.
    CREATE TABLE images (reference TEXT PRIMARY KEY);
    """,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """Is what one database file of the agent holds.

    `migrations` has one script a version, oldest first. `remedy` is what an operator does after a
    damaged file was moved away.
    """

    file_name: str
    migrations: tuple[str, ...]
    remedy: str


STATE = Schema(file_name=FILE_NAME, migrations=_MIGRATIONS, remedy="push the packages again")


class Database:
    """Is one database of the agent; safe in every thread, one transaction at a time.

    Raises:
        PermanentError: the file cannot be used, or was written by a newer build.
    """

    def __init__(self, folder: Path, *, schema: Schema = STATE) -> None:
        self.path = folder / schema.file_name
        self._schema = schema
        self._lock = threading.RLock()
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o750)
            self._connection = self._open()
            self._migrate()
        except OSError as error:
            raise PermanentError(
                f"{folder} cannot be used: {error.strerror}; check node.state_dir and who owns it"
            ) from error
        except sqlite3.DatabaseError as error:
            raise PermanentError(self._damaged(error)) from error

    @property
    def instance(self) -> str:
        """Return the name that this agent gives its containers, so that two can share an engine."""
        with self.transaction() as statements:
            row = statements.execute("SELECT value FROM meta WHERE key = 'instance'").fetchone()
            if row is not None:
                return str(row[0])
            instance = secrets.token_hex(8)
            statements.execute("INSERT INTO meta VALUES ('instance', ?)", (instance,))
            return instance

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Give statements to the block; on its end they are on the disk, on an error undone.

        Raises:
            NoRoomError: the disk is full.
            TransientError: the disk does not work now.
            PermanentError: the file is damaged.
        """
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    yield self._connection
                except BaseException:
                    self._connection.execute("ROLLBACK")
                    raise
                self._connection.execute("COMMIT")
            except sqlite3.OperationalError as error:
                with contextlib.suppress(sqlite3.Error):
                    if self._connection.in_transaction:
                        self._connection.execute("ROLLBACK")
                if "full" in str(error):
                    raise NoRoomError(f"no room on the disk of {self.path.parent}") from error
                raise TransientError(f"{self.path}: {error}") from error
            except sqlite3.DatabaseError as error:
                # Of this very class is what SQLite says of a damaged file.
                if type(error) is not sqlite3.DatabaseError:
                    raise
                raise PermanentError(self._damaged(error)) from error

    def close(self) -> None:
        """Close the file; may be called twice."""
        with self._lock:
            self._connection.close()

    def _open(self) -> sqlite3.Connection:
        # URLs with passwords and environment variables stand in it.
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.close(descriptor)
        connection = sqlite3.connect(
            self.path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode = WAL")
        # What was answered has to survive a power cut, not only a kill.
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        return connection

    def _migrate(self) -> None:
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        migrations = self._schema.migrations
        if version > len(migrations):
            self._connection.close()
            raise PermanentError(
                f"{self.path} was written by a newer version of the agent (schema {version}, this "
                f"one knows {len(migrations)}): install that version again"
            )
        for number, script in enumerate(migrations[version:], start=version + 1):
            # The script and its number become true together, or not at all.
            self._connection.executescript(
                f"BEGIN IMMEDIATE;{script};PRAGMA user_version = {number};COMMIT;"
            )
            logger.info("event=schema_changed file=%s version=%d", self.path, number)

    def _damaged(self, error: sqlite3.Error) -> str:
        return (
            f"{self.path} cannot be used: {error}; if the disk is sound, move the file away and "
            f"{self._schema.remedy}"
        )
