"""Brings the readings of all meters into the ledger, several in one transaction.

A disk that is full or does not work costs no reading for a while: they wait in memory, and the
oldest are given up first.
"""

from __future__ import annotations

import collections
import logging
import threading
from datetime import timedelta

from agent.centre.clock_watch import ClockWatch
from agent.centre.ledger import Ledger
from agent.centre.reading_writer import NamedReading
from agent.config.meter_settings import LedgerSettings
from agent.errors import AgentError
from agent.model.clock import Clock
from agent.model.metering import MeterReading
from agent.store.readings import Source

logger = logging.getLogger(__name__)

MOST_WAITING = 50_000
# Meters are read at about the same time: what comes within it is written together.
_GATHER_SECONDS = 0.5
_RETRY_SECONDS = 5.0
_WATCH_SECONDS = 10.0
_BATCH = 1000


class ReadingKeeper:
    """Writes what is handed in, in a thread of its own; `hand_in` never waits for the disk."""

    def __init__(
        self,
        ledger: Ledger,
        *,
        settings: LedgerSettings,
        clock: Clock,
        watch: ClockWatch,
        gather_seconds: float = _GATHER_SECONDS,
    ) -> None:
        self._ledger = ledger
        self._kept_for = timedelta(days=settings.readings_days)
        self._clock = clock
        self._watch = watch
        self._gather_seconds = gather_seconds
        self._waiting: collections.deque[NamedReading] = collections.deque(maxlen=MOST_WAITING)
        self._arrived = threading.Event()
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._refused: dict[str, str | None] = {}
        self._trouble: str | None = None
        self._being_written = 0
        self._thread = threading.Thread(target=self._run, name="meter-readings", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, *, timeout_seconds: float) -> None:
        """Write what waits and end; may be called twice."""
        self._stopping.set()
        self._arrived.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_seconds)

    def hand_in(self, name: str, reading: MeterReading) -> None:
        """Take a reading of a meter, to be written soon."""
        with self._lock:
            self._waiting.append((name, reading))
        self._arrived.set()

    def refused(self, name: str) -> str | None:
        """Return why the last reading of a meter was not kept; None where it was."""
        return self._refused.get(name)

    @property
    def trouble(self) -> str | None:
        """Is why nothing can be written now; None if it can."""
        return self._trouble

    @property
    def waiting(self) -> int:
        """Is how many readings are not on the disk yet."""
        with self._lock:
            return len(self._waiting) + self._being_written

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._watch.check()
                if self._arrived.wait(_WATCH_SECONDS):
                    self._stopping.wait(self._gather_seconds)
                    self._arrived.clear()
                    self._write()
            except Exception:  # the border of this thread: the next readings may be well
                logger.exception("event=readings_failed")
        try:
            self._write()
        except Exception:  # likewise
            logger.exception("event=readings_failed")

    def _write(self) -> None:
        while True:
            with self._lock:
                batch = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
                self._being_written = len(batch)
            if not batch:
                return
            now = self._clock.now()
            try:
                kept = self._ledger.keep(
                    batch, source=Source.LIVE, now=now, not_before=now - self._kept_for
                )
            except AgentError as error:
                self._put_back(batch)
                if self._trouble is None:
                    logger.error("event=readings_wait reason=%s", error)  # noqa: TRY400
                self._trouble = str(error)
                if self._stopping.wait(_RETRY_SECONDS):
                    return
                continue
            if self._trouble is not None:
                logger.info("event=readings_kept_again waiting=%d", len(self._waiting))
            self._trouble = None
            with self._lock:
                self._being_written = 0
            refused = dict(kept.refused)
            for place, (name, _) in enumerate(batch):
                self._tell(name, refused.get(place))

    def _put_back(self, batch: list[NamedReading]) -> None:
        with self._lock:
            self._being_written = 0
            room = MOST_WAITING - len(self._waiting)
            self._waiting.extendleft(reversed(batch[max(0, len(batch) - room) :]))

    def _tell(self, name: str, reason: str | None) -> None:
        if reason is not None and self._refused.get(name) is None:
            logger.warning("event=reading_refused meter=%s reason=%s", name, reason)
        self._refused[name] = reason
