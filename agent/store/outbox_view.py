"""What became of single messages of the outbox, for those who show it; changes nothing."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime

from agent.store import outbox_file
from agent.store.database import Database


class MessageState(str, enum.Enum):
    """Says where a message is; NONE: there was never one, or it was given up."""

    WAITING = "waiting"
    REFUSED = "refused"
    DELIVERED = "delivered"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageFate:
    """Tells what became of the last message under a key.

    `at` is when it was enqueued, refused or delivered. `before` is how many wait before it,
    `attempts` how many failed, `next_attempt_at` when it is tried again (None: at once, or never).
    `code` and `reason` are those of the last failure.
    """

    state: MessageState
    at: datetime | None = None
    before: int = 0
    attempts: int = 0
    next_attempt_at: datetime | None = None
    code: int | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LastDelivery:
    """Is the last message that a platform took."""

    key: str
    at: datetime


class OutboxView:
    """Reads the outbox beside whoever works on it; safe in every thread.

    Every method raises NoRoomError and TransientError as the database does.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def fate(self, stream: str, *, key: str) -> MessageFate:
        """Return what became of the last message under a key."""
        with self._database.transaction() as statements:
            row = statements.execute(
                "SELECT * FROM messages WHERE stream = ? AND key = ?", (stream, key)
            ).fetchone()
            if row is None:
                delivered = statements.execute(
                    "SELECT delivered_us FROM delivered WHERE stream = ? AND key = ?", (stream, key)
                ).fetchone()
                if delivered is None:
                    return MessageFate(state=MessageState.NONE)
                at = outbox_file.moment(delivered[0])
                return MessageFate(state=MessageState.DELIVERED, at=at)
            if row["refused_us"] is not None:
                return MessageFate(
                    state=MessageState.REFUSED,
                    at=outbox_file.moment(row["refused_us"]),
                    attempts=row["attempts"],
                    code=row["code"],
                    reason=row["reason"],
                )
            # What waits first holds up the others: its time and its reason are theirs.
            first = statements.execute(
                "SELECT next_attempt_us, reason FROM messages"
                " WHERE stream = ? AND refused_us IS NULL ORDER BY position LIMIT 1",
                (stream,),
            ).fetchone()
            (before,) = statements.execute(
                "SELECT count(*) FROM messages"
                " WHERE stream = ? AND refused_us IS NULL AND position < ?",
                (stream, row["position"]),
            ).fetchone()
        next_us = first["next_attempt_us"]
        return MessageFate(
            state=MessageState.WAITING,
            at=outbox_file.moment(row["enqueued_us"]),
            before=before,
            attempts=row["attempts"],
            next_attempt_at=outbox_file.moment(next_us) if next_us else None,
            reason=first["reason"],
        )

    def last_delivery(self, stream: str) -> LastDelivery | None:
        """Return what a platform took last; None where it took nothing yet."""
        with self._database.transaction() as statements:
            row = statements.execute(
                "SELECT key, delivered_us FROM delivered WHERE stream = ?"
                " ORDER BY delivered_us DESC, key DESC LIMIT 1",
                (stream,),
            ).fetchone()
        return None if row is None else LastDelivery(key=row[0], at=outbox_file.moment(row[1]))

    def streams(self) -> tuple[str, ...]:
        """Return the streams in which anything waits or was refused."""
        with self._database.transaction() as statements:
            rows = statements.execute(
                "SELECT DISTINCT stream FROM messages ORDER BY stream"
            ).fetchall()
        return tuple(row[0] for row in rows)
