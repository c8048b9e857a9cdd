"""The simulator's state in SQLite: computing nodes and the history of what happened.

Passwords and tokens lie in it as they are: a simulator has to show them to the person who tests.
The file is readable by its owner alone, and is no place for the credentials of a real device.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.errors import PermanentError

_SCHEMA_VERSION = 1
_TRIM_EVERY = 100
_SCHEMA = """
CREATE TABLE node (
    code TEXT PRIMARY KEY,
    body TEXT NOT NULL
);
CREATE TABLE event (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    body TEXT NOT NULL
);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadBack:
    """Is what a device's own API last said; `content` is G.3's PageContent after the check.

    `content` is the last good answer (None before the first) and `taken_at` its time; `failure`
    says why the newest attempt gave none, None where it did.
    """

    content: Sequence[Any] | None = None
    taken_at: str | None = None
    attempts: int = 0
    successes: int = 0
    failure: str | None = None
    findings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """Is one registered computing node, with the fields of table B.1 in our words.

    Times are ISO 8601 in UTC. `token` is None once it was made to expire. `password_layout` says
    how the password came ("C1C3C2, 04, hex" or "plain").
    """

    code: str
    type: str
    address: str
    port: int
    username: str
    password: str
    password_layout: str
    support_algo_service: bool
    token: str | None
    registered_at: str
    last_contact_at: str
    is_lost: bool = False
    registrations: int = 1
    keepalives: int = 0
    worst_gap_seconds: float = 0.0
    read_back: ReadBack = field(default_factory=ReadBack)


class Store:
    """Keeps nodes and events; safe in every thread.

    `path` None keeps them in memory. `history_limit` bounds the number of events kept.

    Raises:
        PermanentError: the file cannot be opened, or holds something else.
    """

    def __init__(self, path: Path | None, *, history_limit: int) -> None:
        self._history_limit = history_limit
        self._lock = threading.Lock()
        try:
            self._connection = _open(path)
        except (OSError, sqlite3.Error) as error:
            raise PermanentError(f"{path} cannot be used as the state file: {error}") from error

    def nodes(self) -> list[Node]:
        """Return every node that is registered, in the order of the codes."""
        with self._lock:
            rows = self._connection.execute("SELECT body FROM node ORDER BY code").fetchall()
        return [_node(json.loads(body)) for (body,) in rows]

    def save_node(self, node: Node) -> None:
        """Write a node, new or known, to the disk."""
        body = json.dumps(_record(node))
        with self._transaction() as connection:
            connection.execute(
                "INSERT INTO node (code, body) VALUES (?, ?)"
                " ON CONFLICT (code) DO UPDATE SET body = excluded.body",
                (node.code, body),
            )

    def delete_node(self, code: str) -> None:
        """Forget a node; an unknown one is no error."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM node WHERE code = ?", (code,))

    def append_event(self, body: dict[str, Any]) -> int:
        """Write an event and return its id; ids rise and are never used twice."""
        with self._transaction() as connection:
            identifier = connection.execute(
                "INSERT INTO event (body) VALUES (?)", (json.dumps(body),)
            ).lastrowid
            assert identifier is not None  # noqa: S101 - SQLite sets it after an INSERT
            if identifier % _TRIM_EVERY == 0:
                connection.execute(
                    "DELETE FROM event WHERE id <= ?", (identifier - self._history_limit,)
                )
        return identifier

    def events(self, *, after: int, limit: int) -> list[dict[str, Any]]:
        """Return the events after an id, oldest first, `limit` of them at most."""
        with self._lock:
            rows = self._connection.execute(
                "SELECT id, body FROM event WHERE id > ? ORDER BY id LIMIT ?", (after, limit)
            ).fetchall()
        return [{"id": identifier, **json.loads(body)} for identifier, body in rows]

    def close(self) -> None:
        """Close the file; may be called twice."""
        with self._lock:
            self._connection.close()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._connection:
            yield self._connection


def _open(path: Path | None) -> sqlite3.Connection:
    if path is not None:
        # Created here and not by SQLite, so that it is private from its first byte on.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    connection = sqlite3.connect(
        ":memory:" if path is None else str(path), check_same_thread=False, timeout=5
    )
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if version == 0 and tables == 0:
            connection.executescript(f"{_SCHEMA}PRAGMA user_version = {_SCHEMA_VERSION};")
        elif version != _SCHEMA_VERSION:
            raise sqlite3.DatabaseError("it is no state file of this version of the simulator")
    except BaseException:
        connection.close()
        raise
    return connection


def _record(node: Node) -> dict[str, Any]:
    record = {name: getattr(node, name) for name in Node.__slots__}
    record["read_back"] = {name: getattr(node.read_back, name) for name in ReadBack.__slots__}
    return record


def _node(record: dict[str, Any]) -> Node:
    read_back = dict(record["read_back"])
    read_back["findings"] = tuple(read_back["findings"])
    return Node(**{**record, "read_back": ReadBack(**read_back)})
