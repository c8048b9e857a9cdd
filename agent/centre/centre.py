"""The computing centre, as the rest of the agent asks for it."""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone, tzinfo
from typing import BinaryIO

from agent.centre import explaining
from agent.centre.across import Across
from agent.centre.bills import BY_HAND
from agent.centre.calendar import Calendar
from agent.centre.clock_watch import ClockWatch
from agent.centre.closing import Closer
from agent.centre.figuring import HourMaker
from agent.centre.importing import Imported, import_file
from agent.centre.keeper import ReadingKeeper
from agent.centre.ledger import Ledger
from agent.centre.meter_threads import MeterThread, MeterThreads, OpenMeter, Pause
from agent.centre.status import MeterStatus
from agent.config.kinds import time_zone
from agent.config.meter_settings import LedgerSettings, MeterSettings
from agent.errors import AgentError
from agent.metering.explain import Step
from agent.metering.hours import HOUR
from agent.metering.months import MonthTotals, month_span, month_totals
from agent.model.clock import Clock
from agent.model.metering import CentreHour, MeterReading
from agent.model.view import PluginState

logger = logging.getLogger(__name__)


class Centre:
    """Answers for the meters and the hours of a centre; safe in every thread.

    It takes an open ledger and closes it. Without `start` it reads no meter and closes no hour by
    itself, which is what a command beside no running agent needs. `pause` is how its meters wait
    where `clock` is not that of this machine.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        meters: Sequence[MeterSettings],
        settings: LedgerSettings,
        clock: Clock,
        open_meter: OpenMeter,
        pause: Pause = threading.Event.wait,
    ) -> None:
        self._ledger = ledger
        self._meters = tuple(meters)
        self._settings = settings
        self._clock = clock
        self._stopping = threading.Event()
        self._maker = HourMaker(ledger, meters=meters, settings=settings)
        self._closer = Closer(ledger, maker=self._maker, settings=settings, clock=clock)
        self._calendar = Calendar(
            close=self.close_due,
            prune=self._closer.delete_old,
            clock=clock,
            close_after_seconds=settings.close_after_seconds,
        )
        watch = ClockWatch(clock, on_step=self._on_clock_step)
        self._keeper = ReadingKeeper(ledger, settings=settings, clock=clock, watch=watch)
        self._threads = MeterThreads(
            [
                MeterThread(
                    meter,
                    open_meter=open_meter,
                    ledger=ledger,
                    keeper=self._keeper,
                    watch=watch,
                    clock=clock,
                    pause=pause,
                    kept_for=timedelta(days=settings.readings_days),
                )
                for meter in meters
            ]
        )
        self._is_started = False

    @property
    def zone(self) -> tzinfo:
        """The zone of months."""
        return time_zone(self._settings.time_zone)

    def now(self) -> datetime:
        """Return the time by the clock of the centre."""
        return self._clock.now()

    @property
    def trouble(self) -> str | None:
        """Is why no reading can be written now; None if all is well."""
        return self._keeper.trouble

    @property
    def waiting(self) -> int:
        """Is how many readings are not on the disk yet."""
        return self._keeper.waiting

    def start(self) -> None:
        """Read the meters and close hours from now on."""
        self._is_started = True
        self._keeper.start()
        self._threads.start()
        self._calendar.start()

    def stop(self, *, timeout_seconds: float) -> None:
        """End, what was read on the disk; may be called twice."""
        self._stopping.set()
        self._calendar.stop()
        self._threads.stop(timeout_seconds=timeout_seconds / 2)
        self._keeper.stop(timeout_seconds=timeout_seconds / 2)
        self._ledger.close()

    def close_due(self) -> int:
        """Close every hour that has ended or changed; return how many were written."""
        return self._closer.close_due(stopping=self._stopping)

    def latest_hour(self, *, rolling: bool) -> CentreHour | None:
        """Return the last full clock hour, or the 60 minutes up to the last samples.

        None where nothing was closed, or no meter that has a role was read lately. Rolling minutes
        have the version 0, because they are never closed.
        """
        now = self._clock.now()
        if not rolling:
            grace = timedelta(seconds=self._settings.close_after_seconds)
            due = (now - grace).astimezone(timezone.utc)
            start_at = due.replace(minute=0, second=0, microsecond=0) - HOUR
            hours = self._ledger.hours_between(start_at - HOUR, start_at + HOUR)
            return hours[-1] if hours else None
        oldest = now - timedelta(seconds=self._settings.edge_gap_seconds)
        ends = [
            reading.taken_at
            for name in self._maker.measuring
            if (reading := self._ledger.latest(name, until=now)) is not None
            and reading.taken_at >= oldest
        ]
        if not ends:
            return None
        hour, _ = self._maker.make(min(ends) - HOUR, version=0, closed_at=now)
        return hour

    def hours(self, *, count: int) -> tuple[CentreHour, ...]:
        """Return the last closed hours, in their order."""
        return self._ledger.last_hours(count=count)

    def explain(self, start_at: datetime) -> tuple[Step, ...]:
        """Return every step from readings to figures of a closed hour.

        Raises:
            NotFoundError: this hour was not closed.
        """
        names = [meter.name for meter in self._meters if meter.roles]
        return explaining.explain(self._ledger, start_at, maker=self._maker, meters=names)

    def month(self, year: int, month: int) -> MonthTotals:
        """Return what a month comes to, in the ledger's zone."""
        first, end = month_span(year, month, zone=self.zone)
        return month_totals(
            self._ledger.hours_between(first, end),
            start_at=first,
            end_at=end,
            across=Across(self._ledger, maker=self._maker).figure,
        )

    def meters(self) -> tuple[MeterStatus, ...]:
        """Return how each meter fares, and what it told since the start."""
        if self._is_started:
            return self._threads.statuses()
        now = self._clock.now()
        return tuple(
            dataclasses.replace(
                status,
                state=PluginState.DISABLED,
                detail="no agent runs",
                reading=self._last(status.name, until=now),
            )
            for status in self._threads.statuses()
        )

    def meters_and_last(self) -> tuple[MeterStatus, ...]:
        """Return the same, with the last reading in the ledger of those that said nothing yet."""
        now = self._clock.now()
        return tuple(
            status
            if status.reading is not None
            else dataclasses.replace(status, reading=self._last(status.name, until=now))
            for status in self.meters()
        )

    def _last(self, name: str, *, until: datetime) -> MeterReading | None:
        try:
            return self._ledger.latest(name, until=until)
        except AgentError:
            # A ledger that cannot be read is told as `trouble`; how meters fare is known still.
            return None

    def import_file(
        self,
        file: BinaryIO,
        *,
        zone: tzinfo | None = None,
        correct: bool = False,
        progress: Callable[[int], None] = lambda _: None,
    ) -> Imported:
        """Keep the readings of a file, and let the hours be closed that they concern.

        With `correct` they take the place of readings that were imported or read by hand. Errors
        as those of `importing.import_file`.
        """
        now = self._clock.now()
        by_hand = frozenset(meter.name for meter in self._meters if meter.kind == BY_HAND)
        imported = import_file(
            file,
            ledger=self._ledger,
            meters={meter.name for meter in self._meters},
            zone=zone,
            now=now,
            not_before=now - timedelta(days=self._settings.readings_days),
            corrects=by_hand if correct else None,
            progress=progress,
        )
        if self._is_started:
            self._calendar.plan()
        return imported

    def _on_clock_step(self, before: datetime, after: datetime) -> None:
        try:
            self._ledger.note_clock_step(before=before, after=after)
        except AgentError as error:
            logger.error("event=clock_step_not_kept reason=%s", error)  # noqa: TRY400
        self._calendar.plan()
