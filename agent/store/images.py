"""Remembers which images this agent brought into the engine, so that none is left there."""

from __future__ import annotations

from agent.store.database import Database


class LoadedImages:
    """Holds the references of images that the engine may have; safe in every thread.

    A reference is added before its image is loaded and taken away after it was removed: killed at
    any moment, the agent knows at least every image that is there. All methods raise NoRoomError
    or TransientError where the disk does not work.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, reference: str) -> None:
        """Note a reference; one that is noted already is fine."""
        with self._database.transaction() as statements:
            statements.execute("INSERT OR IGNORE INTO images VALUES (?)", (reference,))

    def discard(self, reference: str) -> None:
        """Forget a reference; one that is not noted is fine."""
        with self._database.transaction() as statements:
            statements.execute("DELETE FROM images WHERE reference = ?", (reference,))

    def all(self) -> frozenset[str]:
        """Return every reference."""
        with self._database.transaction() as statements:
            return frozenset(row[0] for row in statements.execute("SELECT reference FROM images"))
