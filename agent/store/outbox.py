"""Messages for platforms that wait on the disk until they are delivered.

They are in a file of their own, so that an outbox that is full or damaged touches nothing else.
"""

from __future__ import annotations

import logging
import random
import sqlite3
import threading
from collections.abc import Callable

from agent.errors import NoRoomError
from agent.model.clock import Clock
from agent.store import outbox_file
from agent.store.database import Database
from agent.store.outbox_file import (
    OUTBOX,
    OutboxLimits,
    OutboxMessage,
    RefusedMessage,
    StreamState,
)

__all__ = ["OUTBOX", "Outbox", "OutboxLimits", "OutboxMessage", "RefusedMessage", "StreamState"]

logger = logging.getLogger(__name__)

_REASON_CHARACTERS = 500
_JITTER_RATIO = 0.2


class Outbox:
    """Keeps messages in the order of each stream; what `enqueue` returned from is on the disk.

    Safe in every thread; for each stream one thread delivers. A message may be delivered twice
    where the agent is killed between the answer and its note, so delivery has to bear that.
    Methods raise NoRoomError and TransientError as the database does, where not said otherwise.
    """

    def __init__(
        self,
        database: Database,
        *,
        clock: Clock,
        limits: OutboxLimits | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._database = database
        self._clock = clock
        self._limits = limits or OutboxLimits()
        self._jitter = jitter
        self._lock = threading.Lock()
        # Delivered messages whose note found no room on the disk.
        self._unwritten: dict[int, OutboxMessage] = {}
        # By position: when a message may be tried again, where the disk had no room to note it.
        self._held_us: dict[int, int] = {}

    def enqueue(self, stream: str, *, key: str, body: bytes, again: bool = False) -> bool:
        """Write a message down behind the others; False where the platform has it, or will get it.

        It takes the place of one with the same key that waits or was refused. With `again` it is
        sent once more where the platform took or refused the same.

        Raises:
            NoRoomError: the disk or the quota is full; what waits is kept.
        """
        self._write_delivered()
        now = self._microseconds()
        with self._database.transaction() as statements:
            row = statements.execute(
                "SELECT position, body, refused_us FROM messages WHERE stream = ? AND key = ?",
                (stream, key),
            ).fetchone()
            if row is None:
                last = statements.execute(
                    "SELECT digest FROM delivered WHERE stream = ? AND key = ?", (stream, key)
                ).fetchone()
                if not again and last is not None and last[0] == outbox_file.digest(body):
                    return False
            elif bytes(row["body"]) == body and (row["refused_us"] is None or not again):
                # One that was refused is not asked for again until something changes.
                return False
            self._make_room(statements, len(body) - (len(row["body"]) if row is not None else 0))
            if row is not None and row["refused_us"] is None:
                # What failed was the way to the platform, so its wait stays as it is.
                statements.execute(
                    "UPDATE messages SET body = ?, version = ?, enqueued_us = ? WHERE position = ?",
                    (body, outbox_file.next_version(statements), now, row["position"]),
                )
                return True
            statements.execute("DELETE FROM messages WHERE stream = ? AND key = ?", (stream, key))
            outbox_file.insert(statements, stream, key=key, body=body, now=now)
        return True

    def due(self, stream: str) -> OutboxMessage | None:
        """Return the first message of a stream if its time has come; None otherwise."""
        self._write_delivered()
        row = self._first(stream)
        if row is None or self._wait_seconds(row) > 0:
            return None
        return OutboxMessage(
            position=row["position"],
            stream=stream,
            key=row["key"],
            version=row["version"],
            body=bytes(row["body"]),
            enqueued_at=outbox_file.moment(row["enqueued_us"]),
            attempts=row["attempts"],
        )

    def wait_seconds(self, stream: str) -> float | None:
        """Return how long until the first message of a stream may be tried; None: none waits."""
        row = self._first(stream)
        return None if row is None else self._wait_seconds(row)

    def delivered(self, message: OutboxMessage) -> None:
        """Note that the platform took a message.

        A full disk hinders nothing: it is not handed out again, and noted once there is room.
        """
        with self._lock:
            self._unwritten[message.version] = message
        self._write_delivered()

    def postpone(
        self, message: OutboxMessage, *, reason: str, retry_after_seconds: float | None = None
    ) -> bool:
        """Note that an attempt failed; False where the message was too old and is given up.

        A full disk hinders nothing, but a restart forgets the wait then.
        """
        limits = self._limits
        doublings = min(message.attempts, 30)
        wait_seconds = min(limits.first_seconds * 2.0**doublings, limits.most_seconds)
        wait_seconds *= 1.0 - _JITTER_RATIO * self._jitter()
        wait_seconds = min(max(wait_seconds, retry_after_seconds or 0.0), limits.most_seconds)
        now = self._microseconds()
        age_seconds = (now - outbox_file.microseconds(message.enqueued_at)) / 1e6
        is_expired = age_seconds > limits.maximum_age_seconds
        next_us = now + int(wait_seconds * 1e6)
        try:
            with self._database.transaction() as statements:
                if is_expired and outbox_file.delete(statements, message):
                    outbox_file.count(statements, message.stream, "expired")
                else:
                    is_expired = False
                    statements.execute(
                        "UPDATE messages SET attempts = attempts + 1, next_attempt_us = ?,"
                        " reason = ? WHERE position = ?",
                        (next_us, reason[:_REASON_CHARACTERS], message.position),
                    )
        except NoRoomError:
            self._hold(message, until_us=next_us)
            return True
        if is_expired:
            logger.error(
                "event=message_expired stream=%s key=%s attempts=%d reason=%r",
                message.stream, message.key, message.attempts + 1, reason[:_REASON_CHARACTERS],
            )  # fmt: skip
        return not is_expired

    def refuse(self, message: OutboxMessage, *, code: int | None, reason: str) -> None:
        """Put a message aside that the platform refused; the next one of its stream goes on.

        Raises:
            NoRoomError: the disk is full; the message is tried once more after the longest wait.
        """
        self._hold(
            message,
            until_us=self._microseconds() + int(self._limits.most_seconds * 1e6),
        )
        with self._database.transaction() as statements:
            changed = statements.execute(
                "UPDATE messages SET refused_us = ?, code = ?, reason = ?, attempts = attempts + 1"
                " WHERE position = ? AND version = ?",
                (
                    self._microseconds(),
                    code,
                    reason[:_REASON_CHARACTERS],
                    message.position,
                    message.version,
                ),
            ).rowcount
            if changed:
                outbox_file.count(statements, message.stream, "refused")
                statements.execute(
                    "DELETE FROM messages WHERE position IN (SELECT position FROM messages"
                    " WHERE stream = ? AND refused_us IS NOT NULL"
                    " ORDER BY refused_us DESC, position DESC LIMIT -1 OFFSET ?)",
                    (message.stream, self._limits.maximum_refused),
                )
        with self._lock:
            self._held_us.pop(message.position, None)

    def refused(self, stream: str) -> tuple[RefusedMessage, ...]:
        """Return what the platform refused, the oldest first."""
        with self._database.transaction() as statements:
            rows = statements.execute(
                "SELECT * FROM messages WHERE stream = ? AND refused_us IS NOT NULL"
                " ORDER BY refused_us, position",
                (stream,),
            ).fetchall()
        return tuple(
            RefusedMessage(
                key=row["key"],
                body=bytes(row["body"]),
                refused_at=outbox_file.moment(row["refused_us"]),
                code=row["code"],
                reason=row["reason"],
            )
            for row in rows
        )

    def release(self, stream: str, *, key: str) -> bool:
        """Let a refused message wait again, behind the others; False where there is none."""
        with self._database.transaction() as statements:
            row = statements.execute(
                "SELECT position, body FROM messages"
                " WHERE stream = ? AND key = ? AND refused_us IS NOT NULL",
                (stream, key),
            ).fetchone()
            if row is None:
                return False
            statements.execute("DELETE FROM messages WHERE position = ?", (row["position"],))
            outbox_file.insert(
                statements, stream, key=key, body=row["body"], now=self._microseconds()
            )
        return True

    def hasten(self, stream: str) -> None:
        """Let what waits be tried at once, as after a person mended the way."""
        with self._lock:
            self._held_us.clear()
        with self._database.transaction() as statements:
            statements.execute(
                "UPDATE messages SET next_attempt_us = 0 WHERE stream = ? AND refused_us IS NULL",
                (stream,),
            )

    def state(self, stream: str) -> StreamState:
        """Return what stands in a stream now."""
        with self._lock:
            unwritten = tuple(self._unwritten)
        with self._database.transaction() as statements:
            waiting = [
                row
                for row in statements.execute(
                    "SELECT version, length(body) AS size, enqueued_us, reason FROM messages"
                    " WHERE stream = ? AND refused_us IS NULL ORDER BY position",
                    (stream,),
                )
                if row["version"] not in unwritten
            ]
            (refused,) = statements.execute(
                "SELECT count(*) FROM messages WHERE stream = ? AND refused_us IS NOT NULL",
                (stream,),
            ).fetchone()
            counts: dict[str, int] = dict(
                statements.execute(
                    "SELECT outcome, count FROM counters WHERE stream = ?", (stream,)
                ).fetchall()
            )
        return StreamState(
            stream=stream,
            waiting=len(waiting),
            waiting_bytes=sum(row["size"] for row in waiting),
            refused=refused,
            oldest_at=outbox_file.moment(min(row["enqueued_us"] for row in waiting))
            if waiting
            else None,
            last_error=waiting[0]["reason"] if waiting else None,
            delivered_total=counts.get("delivered", 0),
            refused_total=counts.get("refused", 0),
            expired_total=counts.get("expired", 0),
        )

    def _first(self, stream: str) -> sqlite3.Row | None:
        with self._lock:
            unwritten = tuple(self._unwritten)
        with self._database.transaction() as statements:
            rows = statements.execute(
                "SELECT * FROM messages WHERE stream = ? AND refused_us IS NULL ORDER BY position"
                " LIMIT ?",
                (stream, len(unwritten) + 1),
            ).fetchall()
        return next((row for row in rows if row["version"] not in unwritten), None)

    def _hold(self, message: OutboxMessage, *, until_us: int) -> None:
        with self._lock:
            self._held_us[message.position] = until_us

    def _wait_seconds(self, row: sqlite3.Row) -> float:
        with self._lock:
            held_us = self._held_us.get(row["position"], 0)
        next_attempt_us = max(row["next_attempt_us"], held_us)
        wait_seconds = (next_attempt_us - self._microseconds()) / 1e6
        # A clock that was set back must not hold a message for longer than any wait lasts.
        return 0.0 if wait_seconds > self._limits.most_seconds else max(wait_seconds, 0.0)

    def _make_room(self, statements: sqlite3.Connection, more_bytes: int) -> None:
        def used_bytes() -> int:
            row = statements.execute("SELECT total(length(body)) FROM messages").fetchone()
            return int(row[0])

        while used_bytes() + more_bytes > self._limits.maximum_bytes:
            oldest = statements.execute(
                "SELECT position, stream, key FROM messages WHERE refused_us IS NOT NULL"
                " ORDER BY refused_us, position LIMIT 1"
            ).fetchone()
            if oldest is None:
                raise NoRoomError(
                    f"{self._limits.maximum_bytes} bytes wait in {self._database.path} already: "
                    "see why the platforms do not take them"
                )
            statements.execute("DELETE FROM messages WHERE position = ?", (oldest["position"],))
            logger.warning(
                "event=refused_message_dropped stream=%s key=%s reason=quota",
                oldest["stream"], oldest["key"],
            )  # fmt: skip

    def _write_delivered(self) -> None:
        with self._lock:
            pending = tuple(self._unwritten.values())
        if not pending:
            return
        now = self._microseconds()
        try:
            with self._database.transaction() as statements:
                for message in pending:
                    outbox_file.delete(statements, message)
                    outbox_file.count(statements, message.stream, "delivered")
                    outbox_file.note_delivered(statements, message, now=now)
        except NoRoomError:
            return
        with self._lock:
            for message in pending:
                self._unwritten.pop(message.version, None)

    def _microseconds(self) -> int:
        return outbox_file.microseconds(self._clock.now())
