"""The outbox of the running agent, as one part of it.

An outbox that cannot be used stops nothing else: it is tried again until it can.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from agent.app.monitoring.calendar import MonthCalendar
from agent.app.retried_opening import RETRY_SECONDS, RetriedOpening
from agent.config.monitoring_settings import OutboxSettings
from agent.model.clock import Clock
from agent.store.database import Database
from agent.store.file_lock import FileLock
from agent.store.outbox import OUTBOX, Outbox, OutboxLimits
from agent.store.outbox_view import OutboxView
from agent.store.platform_ids import PlatformIds

LOCK_NAME = "outbox.lock"
_DAY_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenOutbox:
    """Holds what stands in the file of the outbox, for all platforms."""

    lock: FileLock
    database: Database
    outbox: Outbox
    view: OutboxView
    identifiers: PlatformIds

    def close(self) -> None:
        """Close the file and let others have it; may be called twice."""
        self.database.close()
        self.lock.release()


def open_outbox(folder: Path, *, settings: OutboxSettings, clock: Clock) -> OpenOutbox:
    """Return the outbox in a folder, which is this process's alone until it is closed.

    Raises:
        PermanentError: the file cannot be used.
        TransientError: another process has it, or the disk does not work now.
        NoRoomError: the disk is full.
    """
    lock = FileLock(folder, LOCK_NAME)
    try:
        database = Database(folder, schema=OUTBOX)
    except BaseException:
        lock.release()
        raise
    limits = OutboxLimits(
        maximum_bytes=settings.maximum_mib << 20,
        maximum_age_seconds=settings.keep_days * _DAY_SECONDS,
    )
    return OpenOutbox(
        lock=lock,
        database=database,
        outbox=Outbox(database, clock=clock, limits=limits),
        view=OutboxView(database),
        identifiers=PlatformIds(database),
    )


class OutboxService:
    """Owns the outbox, from when on its file can be used, and the calendar of the months."""

    def __init__(
        self,
        folder: Path,
        *,
        settings: OutboxSettings,
        clock: Clock,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        self.calendar = MonthCalendar(clock=clock)
        self._opening = RetriedOpening(
            lambda: open_outbox(folder, settings=settings, clock=clock),
            close=lambda opened, _: opened.close(),
            name="outbox",
            what="the outbox",
            retry_seconds=retry_seconds,
        )

    @property
    def opened(self) -> OpenOutbox:
        """The outbox.

        Raises:
            TransientError: its file cannot be used now; with the reason.
        """
        return self._opening.opened

    def start(self) -> None:
        """Open the file; where it cannot be used, go on trying."""
        self._opening.start()

    def stop(self, *, timeout_seconds: float) -> None:
        """Close the file; may be called twice."""
        self.calendar.stop()
        self._opening.stop(timeout_seconds=timeout_seconds)
