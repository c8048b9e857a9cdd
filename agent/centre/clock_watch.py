"""Notices that the wall clock was set, by the clock that nobody sets."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from agent.model.clock import Clock

logger = logging.getLogger(__name__)

# A time server that trims the clock, or a busy machine, stays below it.
STEP_SECONDS = 30.0
_SAME_MOMENT_SECONDS = 1.0


class ClockWatch:
    """Tells `on_step` what the wall clock showed before and after it was set; for any thread."""

    def __init__(self, clock: Clock, *, on_step: Callable[[datetime, datetime], None]) -> None:
        self._clock = clock
        self._on_step = on_step
        self._lock = threading.Lock()
        self._wall = clock.now()
        self._monotonic = clock.monotonic()

    def check(self) -> None:
        """Compare the two clocks since the last time."""
        with self._lock:
            now, monotonic = self._look()
            expected = self._wall + timedelta(seconds=monotonic - self._monotonic)
            self._wall, self._monotonic = now, monotonic
        if abs((now - expected).total_seconds()) > STEP_SECONDS:
            logger.warning(
                "event=clock_set before=%s after=%s", expected.isoformat(), now.isoformat()
            )
            self._on_step(expected, now)

    def _look(self) -> tuple[datetime, float]:
        """Return what both clocks show at one moment, however long this thread was held up."""
        while True:
            before = self._clock.monotonic()
            now, after = self._clock.now(), self._clock.monotonic()
            if after - before < _SAME_MOMENT_SECONDS:
                return now, after
