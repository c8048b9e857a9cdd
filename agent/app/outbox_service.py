"""The outbox of the running agent, as one part of it.

An outbox that cannot be used stops nothing else: it is tried again until it can.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from pathlib import Path

from agent.app.monitoring_calendar import MonthCalendar
from agent.config.monitoring_settings import OutboxSettings
from agent.errors import NoRoomError, PermanentError, TransientError
from agent.model.clock import Clock
from agent.store.database import Database
from agent.store.file_lock import FileLock
from agent.store.outbox import OUTBOX, Outbox, OutboxLimits
from agent.store.outbox_view import OutboxView
from agent.store.platform_ids import PlatformIds

logger = logging.getLogger(__name__)

LOCK_NAME = "outbox.lock"
RETRY_SECONDS = 60.0
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
        self._folder = folder
        self._settings = settings
        self._clock = clock
        self._retry_seconds = retry_seconds
        self._opened: OpenOutbox | None = None
        self._trouble: str | None = None
        self._stopping = threading.Event()
        self._changing = threading.Lock()
        self._thread: threading.Thread | None = None

    @property
    def opened(self) -> OpenOutbox:
        """The outbox.

        Raises:
            TransientError: its file cannot be used now; with the reason.
        """
        opened = self._opened
        if opened is None:
            raise TransientError(
                f"the outbox cannot be used: {self._trouble or 'not opened yet'}",
                retry_after_seconds=self._retry_seconds,
            )
        return opened

    def start(self) -> None:
        """Open the file; where it cannot be used, go on trying."""
        if not self._take_up():
            self._thread = threading.Thread(target=self._retry, name="outbox", daemon=True)
            self._thread.start()

    def stop(self, *, timeout_seconds: float) -> None:
        """Close the file; may be called twice."""
        self._stopping.set()
        self.calendar.stop()
        with self._changing:
            opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()
        if self._thread is not None:
            self._thread.join(timeout_seconds)

    def _retry(self) -> None:
        while not self._stopping.wait(self._retry_seconds):
            try:
                if self._take_up():
                    logger.info("event=outbox_usable_again")
                    return
            except Exception:  # the border of this thread: the next turn may be well
                logger.exception("event=outbox_failed")

    def _take_up(self) -> bool:
        with self._changing:
            if self._stopping.is_set():
                return True
            try:
                opened = open_outbox(self._folder, settings=self._settings, clock=self._clock)
            except (PermanentError, TransientError, NoRoomError) as error:
                if error.reason != self._trouble:
                    logger.error("event=outbox_unusable reason=%s", error)  # noqa: TRY400
                self._trouble = error.reason
                return False
            self._opened, self._trouble = opened, None
            return True
