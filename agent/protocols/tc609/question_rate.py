"""Bounds how often one user asks, so that a platform in a loop does not take the node's time."""

from __future__ import annotations

import threading

from agent.errors import TransientError
from agent.model.clock import Clock

PER_MINUTE = 600
_MINUTE_SECONDS = 60.0


class TooManyQuestions(TransientError):  # noqa: N818 - our decision, not a fault
    """Says that a user has to wait before its next question."""


class QuestionRate:
    """Lets each user ask so often in a minute, all of them at once if it likes; any thread.

    It holds one entry for each user that came in with a token, so no stranger can fill it.
    """

    def __init__(self, *, clock: Clock, per_minute: int = PER_MINUTE) -> None:
        self._clock = clock
        self._per_minute = per_minute
        self._lock = threading.Lock()
        # How many questions each user has left, and when that was reckoned.
        self._left: dict[str, tuple[float, float]] = {}

    def take(self, username: str) -> None:
        """Count one question of a user.

        Raises:
            TooManyQuestions: it has asked too often; says when to come again.
        """
        now_seconds = self._clock.monotonic()
        per_second = self._per_minute / _MINUTE_SECONDS
        with self._lock:
            left, at_seconds = self._left.get(username, (float(self._per_minute), now_seconds))
            left = min(float(self._per_minute), left + (now_seconds - at_seconds) * per_second)
            is_allowed = left >= 1
            self._left[username] = (left - 1 if is_allowed else left, now_seconds)
        if not is_allowed:
            raise TooManyQuestions(
                f"at most {self._per_minute} questions a minute are answered; slow down",
                retry_after_seconds=(1 - left) / per_second,
            )
