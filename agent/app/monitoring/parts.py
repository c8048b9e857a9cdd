"""The reporting to one monitoring platform, as one part of the running agent."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from agent.app.monitoring.calendar import Look, MonthCalendar
from agent.app.monitoring.platform import MonitoredPlatform
from agent.centre.clock_watch import ClockWatch
from agent.errors import AgentError
from agent.model.clock import Clock
from agent.protocols.tc609.delivery import DeliveryThread
from agent.protocols.tc609.month_report import Month
from agent.store.outbox_view import MessageFate, MessageState

logger = logging.getLogger(__name__)

_DAY = timedelta(days=1)
_AFTER_TROUBLE = timedelta(minutes=10)


class Reporting:
    """Delivers what waits for a platform, and sends its months by the calendar.

    `calendar` None: months are sent when somebody submits them, and not by themselves.
    """

    def __init__(
        self, platform: MonitoredPlatform, *, calendar: MonthCalendar | None, clock: Clock
    ) -> None:
        self.platform = platform
        self._calendar = calendar
        self._clock = clock
        self._changed = threading.Condition()
        self._is_stopped = False
        self._looks = threading.Lock()
        self._is_looking = False
        self._is_wanted = False
        # What waits may be older than what the first look makes of the same months.
        self._has_looked = threading.Event()
        self._trouble: str | None = None
        self._thread = DeliveryThread(self, platform=platform.name)
        platform.on_centre_found = self._look_if_scheduled
        self._watch = ClockWatch(clock, on_step=lambda *_: self._plan_again())

    @property
    def trouble(self) -> str | None:
        """Is why the months could not be looked at; None if all is well."""
        return self._trouble

    def now(self) -> datetime:
        """Return the time by the clock of the reporting."""
        return self._clock.now()

    def start(self) -> None:
        """Begin to deliver, what waited at once: whoever starts it may have mended the way."""
        try:
            self.platform.hasten()
        except AgentError as error:
            logger.warning("event=not_hastened platform=%s reason=%s", self.platform.name, error)
        if self._calendar is not None and self.platform.settings.report.enabled:
            self._calendar.add(self.platform.name, Look(work=self.look, following=self._next_look))
        else:
            self._has_looked.set()
        self._thread.start()

    def stop(self, *, timeout_seconds: float) -> None:
        """End; what waits is on the disk. May be called twice."""
        if self._calendar is not None:
            self._calendar.remove(self.platform.name)
        with self._changed:
            self._is_stopped = True
            self._changed.notify_all()
        self.platform.close()
        self._thread.stop(timeout_seconds=timeout_seconds)

    def wake(self) -> None:
        """Look at once for something to deliver."""
        self._thread.wake()

    def refresh(self) -> None:
        """Look at the months and try at once what waits, as after somebody mended the way."""
        self._look_if_scheduled()
        self.platform.hasten()
        self.wake()

    def look(self) -> None:
        """Submit the months that are due; the border of the calendar's job.

        While another thread looks, that one looks once more instead: the clock may have been set.
        """
        with self._looks:
            self._is_wanted = True
            if self._is_looking:
                return
            self._is_looking = True
        while True:
            with self._looks:
                if not self._is_wanted:
                    self._is_looking = False
                    return
                self._is_wanted = False
            self._look()

    def _look(self) -> None:
        try:
            self.platform.submit_due()
        except AgentError as error:
            self._note(str(error))
        except Exception:
            logger.exception("event=months_not_looked_at platform=%s", self.platform.name)
            self._trouble = "a fault; the log has it"
        else:
            self._note(None)
        self._has_looked.set()
        self.wake()

    def deliver_due(self) -> bool:
        """Deliver the first message if its time has come, and tell those who wait for it."""
        self._watch.check()
        if not self._has_looked.is_set():
            return False
        try:
            return self.platform.reporter().deliver_due()
        finally:
            with self._changed:
                self._changed.notify_all()

    def wait_seconds(self) -> float | None:
        """Return how long until there is something to deliver."""
        return self.platform.reporter().wait_seconds() if self._has_looked.is_set() else None

    def await_fate(
        self, month: Month, *, seconds: float, is_told: Callable[[MessageFate], bool]
    ) -> MessageFate:
        """Return what became of a month: at once if `is_told`, else at the next change.

        Returns what is known after `seconds` at the latest.
        """
        end_seconds = self._clock.monotonic() + seconds
        with self._changed:
            while True:
                fate = self.platform.fate(month)
                left_seconds = end_seconds - self._clock.monotonic()
                if is_told(fate) or left_seconds <= 0 or self._is_stopped:
                    return fate
                if not self._changed.wait(left_seconds):
                    return self.platform.fate(month)

    def _look_if_scheduled(self) -> None:
        # What waits by the centre's name alone gets the id that is known by now.
        if self._calendar is not None and self.platform.settings.report.enabled:
            self.look()

    def _next_look(self, now: datetime) -> datetime:
        soonest = now + (_DAY if self._trouble is None else _AFTER_TROUBLE)
        return min(soonest, self.platform.next_due(now))

    def _plan_again(self) -> None:
        if self._calendar is not None:
            self._calendar.plan()

    def _note(self, trouble: str | None) -> None:
        before, self._trouble = self._trouble, trouble
        if trouble == before:
            return
        if trouble is None:
            logger.info("event=months_looked_at_again platform=%s", self.platform.name)
        else:
            logger.warning(
                "event=months_not_looked_at platform=%s reason=%r", self.platform.name, trouble
            )


def is_settled(fate: MessageFate) -> bool:
    """Tell whether a message waits no more."""
    return fate.state is not MessageState.WAITING
