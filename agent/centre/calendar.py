"""Runs what the calendar asks for: closing hours, and deleting what is too old.

APScheduler follows the wall clock, as calendar work should, and has to be told when that was set
back: it would sleep until the clock has caught up.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from agent.errors import AgentError
from agent.model.clock import Clock

if TYPE_CHECKING:
    from apscheduler.schedulers.background import BackgroundScheduler

logger = logging.getLogger(__name__)

_HOUR = timedelta(hours=1)
# Readings that came late open hours in between.
_CLOSE_AGAIN = timedelta(minutes=5)
_FIRST_PRUNE = timedelta(minutes=10)
_PRUNE_AGAIN = timedelta(days=1)


class Calendar:
    """Plans the work of the ledger; `stop` does not wait for it."""

    def __init__(
        self,
        *,
        close: Callable[[], object],
        prune: Callable[[], object],
        clock: Clock,
        close_after_seconds: float,
    ) -> None:
        self._close = close
        self._prune = prune
        self._clock = clock
        self._grace = timedelta(seconds=close_after_seconds)
        self._scheduler: BackgroundScheduler | None = None

    def start(self) -> None:
        """Close at once what is due, and plan the rest."""
        # It costs 4 MiB, and a node without meters has no use for it.
        from apscheduler.schedulers.background import BackgroundScheduler

        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        self._scheduler = BackgroundScheduler(
            timezone=timezone.utc,
            # One that is planned while it runs waits for its end: what came meanwhile is not seen
            # by the run that is under way. A third would find nothing more than the second.
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 2},
            executors={"default": {"type": "threadpool", "max_workers": 2}},
        )
        self._scheduler.start()
        self.plan()

    def plan(self) -> None:
        """Plan everything from the time that it is now; for a clock that was set, too."""
        now = self._clock.now()
        self._add("close", self._run_close, first=now, following=self.next_close)
        self._add(
            "prune",
            self._run_prune,
            first=now + _FIRST_PRUNE,
            following=lambda after: after + _PRUNE_AGAIN,
        )

    def stop(self) -> None:
        """Plan nothing more; may be called twice."""
        scheduler, self._scheduler = self._scheduler, None
        if scheduler is not None:
            scheduler.shutdown(wait=False)

    def next_close(self, now: datetime) -> datetime:
        """Return when hours are closed next: as soon as one is due, or to look for late ones."""
        whole = (now - self._grace).replace(minute=0, second=0, microsecond=0)
        return min(whole + _HOUR + self._grace, now + _CLOSE_AGAIN)

    def _run_close(self) -> None:
        try:
            self._close()
        except AgentError as error:
            logger.error("event=hours_not_closed reason=%s", error)  # noqa: TRY400 - says what to do
        except Exception:  # the border of this job: the next run may be well
            logger.exception("event=hours_not_closed")

    def _run_prune(self) -> None:
        try:
            self._prune()
        except AgentError as error:
            logger.error("event=ledger_not_pruned reason=%s", error)  # noqa: TRY400 - likewise
        except Exception:  # likewise
            logger.exception("event=ledger_not_pruned")

    def _add(
        self,
        name: str,
        work: Callable[[], None],
        *,
        first: datetime,
        following: Callable[[datetime], datetime],
    ) -> None:
        scheduler = self._scheduler
        if scheduler is None:
            return
        from agent.centre.calendar_trigger import NextTrigger

        scheduler.add_job(
            work,
            NextTrigger(following),
            id=name,
            next_run_time=first,
            replace_existing=True,
        )
