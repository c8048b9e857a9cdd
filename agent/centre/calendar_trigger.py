"""What APScheduler asks when a job runs next; imported only where something is planned."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from apscheduler.triggers.base import BaseTrigger


class NextTrigger(BaseTrigger):  # type: ignore[misc]  # it has no types
    """Is due once, and then at what `following` says of the time that it is then.

    So a clock that jumps over years makes one run due, where other triggers list them all.
    """

    def __init__(self, following: Callable[[datetime], datetime]) -> None:
        self._following = following

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        """Return when the job runs next, always after `now`."""
        del previous_fire_time
        return self._following(now)
