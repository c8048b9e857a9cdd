"""The statements for the ids that platforms gave to what was declared to them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from agent.store.database import Database

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)


class PlatformIds:
    """Remembers ids by platform, kind and name; what a method has returned from is on the disk.

    Safe in every thread. Every method raises NoRoomError and TransientError as the database does.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, platform: str, *, kind: str, name: str) -> int | None:
        """Return the id that a platform gave, None where none is known."""
        with self._database.transaction() as statements:
            row = statements.execute(
                "SELECT id FROM identifiers WHERE platform = ? AND kind = ? AND name = ?",
                (platform, kind, name),
            ).fetchone()
        return None if row is None or row[0] is None else int(row[0])

    def remember(self, platform: str, *, kind: str, name: str, identifier: int) -> None:
        """Keep an id; a creation that was asked for is answered by it."""
        self._write(platform, kind=kind, name=name, identifier=identifier, asked_us=None)

    def ask(self, platform: str, *, kind: str, name: str, at: datetime) -> None:
        """Keep that a creation is about to be asked for, so that a lost answer is known of."""
        asked_us = (at - _EPOCH) // _MICROSECOND
        self._write(platform, kind=kind, name=name, identifier=None, asked_us=asked_us)

    def asked_at(self, platform: str, *, kind: str, name: str) -> datetime | None:
        """Return when a creation was asked for that was not answered; None where there is none."""
        with self._database.transaction() as statements:
            row = statements.execute(
                "SELECT asked_us FROM identifiers WHERE platform = ? AND kind = ? AND name = ?",
                (platform, kind, name),
            ).fetchone()
        if row is None or row[0] is None:
            return None
        return _EPOCH + timedelta(microseconds=row[0])

    def forget(self, platform: str, *, kind: str, name: str) -> None:
        """Forget an id, or a creation that was refused."""
        with self._database.transaction() as statements:
            statements.execute(
                "DELETE FROM identifiers WHERE platform = ? AND kind = ? AND name = ?",
                (platform, kind, name),
            )

    def _write(
        self, platform: str, *, kind: str, name: str, identifier: int | None, asked_us: int | None
    ) -> None:
        with self._database.transaction() as statements:
            statements.execute(
                "INSERT INTO identifiers VALUES (?, ?, ?, ?, ?) ON CONFLICT (platform, kind, name)"
                " DO UPDATE SET id = excluded.id, asked_us = excluded.asked_us",
                (platform, kind, name, identifier, asked_us),
            )
