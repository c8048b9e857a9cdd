"""Decides when a session speaks to its platform, and what it says: no clock, no I/O, no thread.

Time comes in as seconds of one monotonic clock, so that a step of the wall clock changes nothing.

How long a platform that can answer may go without an accepted contact, at the 30 s cadence:

    beat after the one before, counted from its start      30 s × 1.05 = 31.5 s
    the beat is lost and found so by the deadline                        10.0 s
    first retry after a miss                                     at most  0.5 s
    the retry is answered                                  within 3 s     3.0 s
                                                                   sum   45.0 s

If it cannot answer for longer, attempts go on: the longest silence between the end of one and the
start of the next is the backoff's 30 s. A platform that comes back in the middle of an attempt that
is already lost is found again after at most 10 + 30 s, and the answer. Only a platform that refuses
the credentials is asked more rarely, up to 300 s: it answers, and its answer is no.
"""

from __future__ import annotations

import enum
import random
from collections.abc import Callable
from dataclasses import dataclass

EXCHANGE_DEADLINE_SECONDS = 10.0
MISSES_BEFORE_REGISTRATION = 3
BEAT_MAXIMUM_SECONDS = 60.0
BEAT_JITTER_RATIO = 0.05
BACKOFF_FIRST_SECONDS = 1.0
BACKOFF_MAXIMUM_SECONDS = 30.0
REFUSED_BACKOFF_MAXIMUM_SECONDS = 300.0
# The first retry covers a lost packet or a restarted platform's dead connection; the second gives
# a restart a moment, before a third miss makes us register.
RETRY_SECONDS = (0.5, 2.0)


class Action(str, enum.Enum):
    """Names what the session does next."""

    REGISTER = "register"
    KEEPALIVE = "keepalive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """Is the next thing to do, and its moment on the monotonic clock."""

    action: Action
    at_seconds: float


class Backoff:
    """Doubles from 1 s to a maximum; each delay is drawn from the upper half of its step.

    The jitter keeps a thousand boxes from coming back in one instant after a platform's restart.
    """

    def __init__(self, *, uniform: Callable[[float, float], float] = random.uniform) -> None:
        self._uniform = uniform
        self._failures = 0
        self._was_refused = False

    def next_delay_seconds(self, *, refused: bool) -> float:
        """Return the delay after one more failure; another kind of failure starts at 1 s again.

        Without that, the first refusal after a long outage would already cost five minutes.
        """
        if refused != self._was_refused:
            self._failures = 0
            self._was_refused = refused
        maximum = REFUSED_BACKOFF_MAXIMUM_SECONDS if refused else BACKOFF_MAXIMUM_SECONDS
        # The exponent is bounded: 2.0 ** 2000 is no float any more.
        step = min(BACKOFF_FIRST_SECONDS * 2.0 ** min(self._failures, 16), maximum)
        self._failures += 1
        return self._uniform(step / 2, step)

    def reset(self) -> None:
        """Start at 1 s again: a registration was accepted."""
        self._failures = 0
        self._was_refused = False


class Cadence:
    """Holds where one session stands and when its next step is due; one thread uses it.

    It begins with a registration that is due at once.
    """

    def __init__(
        self,
        *,
        keepalive_seconds: float,
        start_seconds: float,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._keepalive_seconds = keepalive_seconds
        self._uniform = uniform
        self._backoff = Backoff(uniform=uniform)
        self._misses = 0
        self._due = Due(action=Action.REGISTER, at_seconds=start_seconds)

    @property
    def due(self) -> Due:
        """Return what comes next."""
        return self._due

    @property
    def misses(self) -> int:
        """Return the keepalives missed in a row."""
        return self._misses

    def contact_accepted(self, *, started_seconds: float) -> None:
        """Take note that the platform accepted a registration or a keepalive.

        The next beat counts from the start of this one: the platform heard us somewhere between
        start and end, and a slow answer must not stretch what it sees.
        """
        self._misses = 0
        self._backoff.reset()
        beat = self._keepalive_seconds * self._uniform(1 - BEAT_JITTER_RATIO, 1 + BEAT_JITTER_RATIO)
        self._due = Due(
            action=Action.KEEPALIVE,
            at_seconds=started_seconds + min(beat, BEAT_MAXIMUM_SECONDS),
        )

    def keepalive_missed(self, *, now_seconds: float) -> None:
        """Take note that a keepalive got no answer of the platform."""
        self._misses += 1
        if self._misses >= MISSES_BEFORE_REGISTRATION:
            self.registration_lost(now_seconds=now_seconds)
            return
        latest = RETRY_SECONDS[self._misses - 1]
        self._due = Due(
            action=Action.KEEPALIVE, at_seconds=now_seconds + self._uniform(latest / 5, latest)
        )

    def registration_lost(self, *, now_seconds: float) -> None:
        """Register again after the first step of the backoff: refused, or too many misses."""
        self._misses = 0
        self._backoff.reset()
        self._register_after(self._backoff.next_delay_seconds(refused=False), now_seconds)

    def address_changed(self, *, now_seconds: float) -> None:
        """Register at once: the platform calls this node where it is no more."""
        self._misses = 0
        self._register_after(0.0, now_seconds)

    def registration_failed(
        self, *, now_seconds: float, refused: bool, retry_after_seconds: float | None = None
    ) -> None:
        """Take note that a registration failed.

        `refused` means that the platform answered and said no. `retry_after_seconds` is the
        platform's wish: heard, but only up to the backoff's own maximum.
        """
        delay = self._backoff.next_delay_seconds(refused=refused)
        if retry_after_seconds is not None:
            delay = max(delay, min(retry_after_seconds, BACKOFF_MAXIMUM_SECONDS))
        self._register_after(delay, now_seconds)

    def _register_after(self, delay_seconds: float, now_seconds: float) -> None:
        self._due = Due(action=Action.REGISTER, at_seconds=now_seconds + delay_seconds)
