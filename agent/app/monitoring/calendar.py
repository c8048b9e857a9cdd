"""Plans when the months of each platform are looked at.

APScheduler follows the wall clock, as calendar work should, and has to be told when that was set.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from agent.model.clock import Clock

if TYPE_CHECKING:
    from apscheduler.schedulers.background import BackgroundScheduler

_WORKERS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Is work that is done at once, and then at what `following` says of the time that it is."""

    work: Callable[[], None]
    following: Callable[[datetime], datetime]


class MonthCalendar:
    """Runs the looks of all platforms by their names; safe in every thread."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._looks: dict[str, Look] = {}
        self._scheduler: BackgroundScheduler | None = None

    def add(self, name: str, look: Look) -> None:
        """Look now, and from now on."""
        with self._lock:
            self._looks[name] = look
            if self._scheduler is None:
                self._scheduler = _started()
            self._plan(name, look)

    def remove(self, name: str) -> None:
        """Look no more; what is under way goes on. May be called twice."""
        with self._lock:
            if self._looks.pop(name, None) is not None and self._scheduler is not None:
                self._scheduler.remove_job(name)

    def plan(self) -> None:
        """Look at all of them now; for a clock that was set."""
        with self._lock:
            for name, look in self._looks.items():
                self._plan(name, look)

    def stop(self, *, timeout_seconds: float = 0.0) -> None:
        """Plan nothing more, and wait for nothing; may be called twice."""
        del timeout_seconds
        with self._lock:
            scheduler, self._scheduler = self._scheduler, None
            self._looks = {}
        if scheduler is not None:
            scheduler.shutdown(wait=False)

    def _plan(self, name: str, look: Look) -> None:
        from agent.centre.calendar_trigger import NextTrigger

        if self._scheduler is not None:
            self._scheduler.add_job(
                look.work,
                NextTrigger(look.following),
                id=name,
                next_run_time=self._clock.now(),
                replace_existing=True,
            )


def _started() -> BackgroundScheduler:
    # It costs 4 MiB, and a node that reports nothing has no use for it.
    from apscheduler.schedulers.background import BackgroundScheduler

    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    scheduler = BackgroundScheduler(
        timezone=timezone.utc,
        # A look that comes while one is under way is not to be dropped: it returns at once.
        job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": _WORKERS},
        executors={"default": {"type": "threadpool", "max_workers": _WORKERS}},
    )
    scheduler.start()
    return scheduler
