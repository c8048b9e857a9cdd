"""Time, as something that is handed in.

Intervals are measured on the monotonic clock, which no operator and no time server moves; the wall
clock is for what people and platforms read.
"""

from __future__ import annotations

import time
from datetime import datetime, timezone
from typing import Protocol


class Clock(Protocol):
    """Tells the time; safe in every thread."""

    def monotonic(self) -> float:
        """Return seconds since some fixed moment; never goes back."""

    def now(self) -> datetime:
        """Return the wall time, aware, in UTC; may jump."""


class SystemClock:
    """Is the clock of this machine."""

    def monotonic(self) -> float:
        """Return seconds since some fixed moment; never goes back."""
        return time.monotonic()

    def now(self) -> datetime:
        """Return the wall time, aware, in UTC; may jump."""
        return datetime.now(timezone.utc)


_conforms: type[Clock] = SystemClock
