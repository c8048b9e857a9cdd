"""The monitoring platform's database: projects, centres, months, and what centres answered.

Its tables lie in the simulator's own state file, on a connection of their own.
"""

from __future__ import annotations

import enum
import json
import sqlite3
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.errors import PermanentError

# SQLite has no whole numbers above this; no id is.
_ID_MAXIMUM = 2**63 - 1
_TRIM_EVERY = 50
_SCHEMA = """
CREATE TABLE IF NOT EXISTS monitoring_entity (
    id INTEGER NOT NULL,
    kind TEXT NOT NULL,
    owner TEXT NOT NULL,
    name TEXT NOT NULL,
    body TEXT NOT NULL,
    created_at TEXT NOT NULL,
    changed_at TEXT NOT NULL,
    PRIMARY KEY (kind, id)
);
CREATE INDEX IF NOT EXISTS monitoring_entity_name ON monitoring_entity (kind, name);
CREATE TABLE IF NOT EXISTS monitoring_month (
    centre_id INTEGER NOT NULL,
    month TEXT NOT NULL,
    body TEXT NOT NULL,
    received_at TEXT NOT NULL,
    times INTEGER NOT NULL,
    PRIMARY KEY (centre_id, month)
);
CREATE TABLE IF NOT EXISTS monitoring_answer (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    body TEXT NOT NULL
);
"""


class EntityKind(str, enum.Enum):
    """Says what a record is of."""

    PROJECT = "project"
    CENTRE = "centre"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """Is a project or a centre; `body` has the fields of its table, `owner` is its user."""

    identifier: int
    kind: EntityKind
    owner: str
    name: str
    body: Mapping[str, Any]
    created_at: str
    changed_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedMonth:
    """Is the newest report of a month; `times` counts how often it was reported."""

    centre_id: int
    month: str
    body: Mapping[str, Any]
    received_at: str
    times: int


class MonitoringStore:
    """Keeps what the platform was told; safe in every thread.

    `path` None keeps it in memory. `lock` is for who has to look before it writes.

    Raises:
        PermanentError: the file cannot be used.
    """

    def __init__(self, path: Path | None, *, answers_kept: int) -> None:
        self.lock = threading.RLock()
        self._answers_kept = answers_kept
        try:
            self._connection = sqlite3.connect(
                ":memory:" if path is None else str(path), check_same_thread=False, timeout=5
            )
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._connection.executescript(_SCHEMA)
        except sqlite3.Error as error:
            raise PermanentError(f"{path} cannot be used as the state file: {error}") from error

    def add(
        self, kind: EntityKind, *, owner: str, name: str, body: Mapping[str, Any], at: str
    ) -> int:
        """Write a new record and return its id; each kind counts from 1."""
        with self.lock, self._connection as connection:
            (last,) = connection.execute(
                "SELECT coalesce(max(id), 0) FROM monitoring_entity WHERE kind = ?", (kind.value,)
            ).fetchone()
            connection.execute(
                "INSERT INTO monitoring_entity VALUES (?, ?, ?, ?, ?, ?, ?)",
                (last + 1, kind.value, owner, name, json.dumps(body), at, at),
            )
        return int(last) + 1

    def change(self, entity: Entity, *, name: str, body: Mapping[str, Any], at: str) -> None:
        """Write a record anew."""
        with self.lock, self._connection as connection:
            connection.execute(
                "UPDATE monitoring_entity SET name = ?, body = ?, changed_at = ?"
                " WHERE kind = ? AND id = ?",
                (name, json.dumps(body), at, entity.kind.value, entity.identifier),
            )

    def find(
        self,
        kind: EntityKind,
        *,
        identifier: int | None = None,
        name: str | None = None,
        owner: str | None = None,
    ) -> list[Entity]:
        """Return the records that have all that is given, in the order of their ids."""
        if identifier is not None and abs(identifier) > _ID_MAXIMUM:
            return []
        wanted = {"id": identifier, "name": name, "owner": owner}
        given = {column: value for column, value in wanted.items() if value is not None}
        conditions = "".join(f" AND {column} = ?" for column in given)
        with self.lock:
            rows = self._connection.execute(
                "SELECT id, owner, name, body, created_at, changed_at FROM monitoring_entity"  # noqa: S608 - names of columns
                f" WHERE kind = ?{conditions} ORDER BY id",
                (kind.value, *given.values()),
            ).fetchall()
        return [
            Entity(
                identifier=row[0],
                kind=kind,
                owner=row[1],
                name=row[2],
                body=json.loads(row[3]),
                created_at=row[4],
                changed_at=row[5],
            )
            for row in rows
        ]

    def count(self, kind: EntityKind) -> int:
        """Return how many records of a kind there are."""
        return self._count("SELECT count(*) FROM monitoring_entity WHERE kind = ?", kind.value)

    def count_months(self) -> int:
        """Return how many months are kept."""
        return self._count("SELECT count(*) FROM monitoring_month")

    def put_month(self, centre_id: int, month: str, *, body: Mapping[str, Any], at: str) -> int:
        """Write a month in place of an earlier report; return how often it was reported."""
        with self.lock, self._connection as connection:
            connection.execute(
                "INSERT INTO monitoring_month VALUES (?, ?, ?, ?, 1)"
                " ON CONFLICT (centre_id, month) DO UPDATE SET body = excluded.body,"
                " received_at = excluded.received_at, times = times + 1",
                (centre_id, month, json.dumps(body), at),
            )
            (times,) = connection.execute(
                "SELECT times FROM monitoring_month WHERE centre_id = ? AND month = ?",
                (centre_id, month),
            ).fetchone()
        return int(times)

    def months(
        self, *, centre_id: int | None = None, month: str | None = None
    ) -> list[ReportedMonth]:
        """Return months, by centre and month."""
        if centre_id is not None and abs(centre_id) > _ID_MAXIMUM:
            return []
        with self.lock:
            rows = self._connection.execute(
                "SELECT centre_id, month, body, received_at, times FROM monitoring_month"
                " WHERE centre_id = coalesce(?, centre_id) AND month = coalesce(?, month)"
                " ORDER BY centre_id, month",
                (centre_id, month),
            ).fetchall()
        return [
            ReportedMonth(
                centre_id=row[0],
                month=row[1],
                body=json.loads(row[2]),
                received_at=row[3],
                times=row[4],
            )
            for row in rows
        ]

    def add_answer(self, body: Mapping[str, Any]) -> int:
        """Write what a centre answered and return its id; the oldest make room."""
        with self.lock, self._connection as connection:
            identifier = connection.execute(
                "INSERT INTO monitoring_answer (body) VALUES (?)", (json.dumps(body),)
            ).lastrowid
            assert identifier is not None  # noqa: S101 - SQLite sets it after an INSERT
            if identifier % _TRIM_EVERY == 0:
                connection.execute(
                    "DELETE FROM monitoring_answer WHERE id <= ?",
                    (identifier - self._answers_kept,),
                )
        return identifier

    def answers(self, *, after: int, limit: int) -> list[dict[str, Any]]:
        """Return the answers after an id, oldest first, `limit` of them at most."""
        with self.lock:
            rows = self._connection.execute(
                "SELECT id, body FROM monitoring_answer WHERE id > ? ORDER BY id LIMIT ?",
                (after, limit),
            ).fetchall()
        return [{"id": identifier, **json.loads(body)} for identifier, body in rows]

    def close(self) -> None:
        """Close the file; may be called twice."""
        with self.lock:
            self._connection.close()

    def _count(self, question: str, *values: str) -> int:
        with self.lock:
            (count,) = self._connection.execute(question, values).fetchone()
        return int(count)
