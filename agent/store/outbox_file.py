"""What the file of the outbox holds, and the statements that several of its actions share."""

from __future__ import annotations

import hashlib
import sqlite3
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from agent.store.database import Schema

FILE_NAME = "outbox.db"
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)
# What was delivered last is remembered for so many keys of a stream: twenty years of months.
_MOST_DELIVERED = 240

_FIRST = """
    -- A key of a stream stands here once: what waits, or what the platform refused. `position`
    -- gives the order and stays when a newer body takes the place of one that waits; `version`
    -- grows with each body, so that an answer to an older one settles nothing.
    CREATE TABLE messages (
        position INTEGER PRIMARY KEY AUTOINCREMENT,
        stream TEXT NOT NULL,
        key TEXT NOT NULL,
        version INTEGER NOT NULL,
        body BLOB NOT NULL,
        enqueued_us INTEGER NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0,
        next_attempt_us INTEGER NOT NULL DEFAULT 0,
        refused_us INTEGER,
        code INTEGER,
        reason TEXT,
        UNIQUE (stream, key)
    );
    CREATE INDEX messages_in_order ON messages (stream, refused_us, position);

    -- What a platform took last under a key; the same again need not be sent.
    CREATE TABLE delivered (
        stream TEXT NOT NULL,
        key TEXT NOT NULL,
        digest BLOB NOT NULL,
        delivered_us INTEGER NOT NULL,
        PRIMARY KEY (stream, key)
    ) WITHOUT ROWID;

    CREATE TABLE counters (
        stream TEXT NOT NULL, outcome TEXT NOT NULL, count INTEGER NOT NULL,
        PRIMARY KEY (stream, outcome)
    ) WITHOUT ROWID;
    CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL);
    INSERT INTO meta VALUES ('version', 0);

    -- The ids that platforms gave to what was declared. No id: its creation was asked for, and
    -- the answer has not come yet.
    CREATE TABLE identifiers (
        platform TEXT NOT NULL,
        kind TEXT NOT NULL,
        name TEXT NOT NULL,
        id INTEGER,
        asked_us INTEGER,
        PRIMARY KEY (platform, kind, name)
    ) WITHOUT ROWID;
"""

OUTBOX = Schema(
    file_name=FILE_NAME,
    migrations=(_FIRST,),
    remedy="send the months again that the platforms lack",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxLimits:
    """Holds how much waits, how long, and when it is tried again.

    The wait after a failure doubles from `first_seconds` to `most_seconds`. A message that is older
    than `maximum_age_seconds` when an attempt fails is given up.
    """

    maximum_bytes: int = 64 << 20
    maximum_refused: int = 100
    maximum_age_seconds: float = 400 * 86_400.0
    first_seconds: float = 30.0
    most_seconds: float = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxMessage:
    """Is one message that waits; `attempts` counts those that failed."""

    position: int
    stream: str
    key: str
    version: int
    body: bytes
    enqueued_at: datetime
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedMessage:
    """Is one message that a platform refused, with its reason; `code` None: it told none."""

    key: str
    body: bytes
    refused_at: datetime
    code: int | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamState:
    """Tells of one stream how much waits and what became of the rest.

    `oldest_at` is when the first that waits was enqueued, `last_error` why its last attempt failed;
    None where nothing waits, or nothing failed.
    """

    stream: str
    waiting: int
    waiting_bytes: int
    refused: int
    oldest_at: datetime | None
    last_error: str | None
    delivered_total: int
    refused_total: int
    expired_total: int


def insert(statements: sqlite3.Connection, stream: str, *, key: str, body: bytes, now: int) -> None:
    """Write a message down behind the others."""
    statements.execute(
        "INSERT INTO messages (stream, key, version, body, enqueued_us) VALUES (?, ?, ?, ?, ?)",
        (stream, key, next_version(statements), body, now),
    )


def delete(statements: sqlite3.Connection, message: OutboxMessage) -> bool:
    """Delete a message unless a newer body took its place."""
    done = statements.execute(
        "DELETE FROM messages WHERE position = ? AND version = ?",
        (message.position, message.version),
    )
    return done.rowcount > 0


def count(statements: sqlite3.Connection, stream: str, outcome: str) -> None:
    """Count an outcome."""
    statements.execute(
        "INSERT INTO counters VALUES (?, ?, 1) ON CONFLICT (stream, outcome) DO UPDATE SET count ="
        " count + 1",
        (stream, outcome),
    )


def note_delivered(statements: sqlite3.Connection, message: OutboxMessage, *, now: int) -> None:
    """Remember what a platform took last under a key."""
    statements.execute(
        "INSERT INTO delivered VALUES (?, ?, ?, ?) ON CONFLICT (stream, key) DO UPDATE SET"
        " digest = excluded.digest, delivered_us = excluded.delivered_us",
        (message.stream, message.key, digest(message.body), now),
    )
    statements.execute(
        "DELETE FROM delivered WHERE stream = ? AND key IN (SELECT key FROM delivered"
        " WHERE stream = ? ORDER BY delivered_us DESC, key DESC LIMIT -1 OFFSET ?)",
        (message.stream, message.stream, _MOST_DELIVERED),
    )


def next_version(statements: sqlite3.Connection) -> int:
    """Return a number for a body that no other has."""
    statements.execute("UPDATE meta SET value = value + 1 WHERE key = 'version'")
    (version,) = statements.execute("SELECT value FROM meta WHERE key = 'version'").fetchone()
    return int(version)


def digest(body: bytes) -> bytes:
    """Return what tells one body from another."""
    return hashlib.sha256(body).digest()


def microseconds(at: datetime) -> int:
    """Return an aware time as whole microseconds since 1970."""
    return (at - _EPOCH) // _MICROSECOND


def moment(at_us: int) -> datetime:
    """Return the time in UTC that `microseconds` counted."""
    return _EPOCH + timedelta(microseconds=at_us)
