"""Shares a rate among everything that is fetched."""

from __future__ import annotations

import threading

from agent.model.clock import Clock

# What may come at once after a pause.
_BURST_SECONDS = 0.5


class TokenBucket:
    """Says how long to wait after so many bytes, so that all together keep to a rate.

    Safe in several threads. `bytes_per_second` None is no limit.
    """

    def __init__(self, bytes_per_second: float | None, *, clock: Clock) -> None:
        self._bytes_per_second = bytes_per_second
        self._clock = clock
        self._lock = threading.Lock()
        self._allowance_bytes = 0.0
        self._counted_at = clock.monotonic()

    def take(self, count_bytes: int) -> float:
        """Count bytes that came and return the seconds to wait before more are read, from 0."""
        rate = self._bytes_per_second
        if rate is None:
            return 0.0
        with self._lock:
            now = self._clock.monotonic()
            earned = self._allowance_bytes + (now - self._counted_at) * rate
            self._allowance_bytes = min(earned, rate * _BURST_SECONDS) - count_bytes
            self._counted_at = now
            return max(0.0, -self._allowance_bytes / rate)
