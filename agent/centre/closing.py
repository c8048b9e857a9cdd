"""Closes hours: once after their end, and again when readings came late.

An hour that is closed again gets the next version only if something of it changed; earlier
versions stay in the ledger.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from agent.centre.bills import Consumed
from agent.centre.figuring import HourMaker
from agent.centre.ledger import Ledger
from agent.config.meter_settings import LedgerSettings
from agent.model.clock import Clock
from agent.model.metering import CentreHour
from agent.store.ledger import hour_at, start_of

logger = logging.getLogger(__name__)

_AT_ONCE = 96
_HOURS_A_DAY = 24
# So many hours in a row share their readings and one transaction: more would hold more memory.
_STRETCH_HOURS = 12
# Between two stretches of a long catching-up, so that others get to run.
_PAUSE_SECONDS = 0.002


class Closer:
    """Closes the hours that are due; one call at a time."""

    def __init__(
        self, ledger: Ledger, *, maker: HourMaker, settings: LedgerSettings, clock: Clock
    ) -> None:
        self._ledger = ledger
        self._maker = maker
        self._settings = settings
        self._clock = clock
        self._lock = threading.Lock()

    def close_due(self, *, stopping: threading.Event | None = None) -> int:
        """Close every hour that has ended or changed; return how many versions were written.

        Raises:
            NoRoomError: the disk is full; what was closed before stays closed.
            TransientError: the disk does not work now; likewise.
        """
        stopping = stopping or threading.Event()
        written = 0
        with self._lock:
            grace = timedelta(seconds=self._settings.close_after_seconds)
            last = hour_at(self._clock.now() - grace) - 1
            self._ledger.open_due(last, most=self._settings.readings_days * _HOURS_A_DAY)
            bought: set[tuple[datetime, datetime]] = set()
            consumed = Consumed(self._ledger)
            while True:
                # Their marks come first: a reading that comes from now on leaves its hour open.
                due = self._ledger.opened(until=last, most=_AT_ONCE)
                for stretch in _in_rows(due):
                    if stopping.wait(_PAUSE_SECONDS):
                        return written
                    written += self._close(stretch, bought=bought, consumed=consumed)
                if not due and not bought:
                    return written
                if not due:
                    # Once, after all hours of such a time: each of them has its share in it.
                    for first, end in bought:
                        self._ledger.reopen(first, end)
                    bought.clear()

    def delete_old(self) -> int:
        """Delete readings and hours that are older than they are kept; return how many."""
        now = self._clock.now()
        deleted = self._ledger.delete_before(
            now - timedelta(days=self._settings.readings_days),
            now - timedelta(days=self._settings.hours_days),
        )
        if deleted:
            logger.info("event=ledger_pruned rows=%d", deleted)
        return deleted

    def _close(
        self,
        due: Sequence[tuple[int, int]],
        *,
        bought: set[tuple[datetime, datetime]],
        consumed: Consumed,
    ) -> int:
        """Close hours in a row, each with its mark; all of them are on the disk, or none."""
        stretch = self._maker.stretch(
            start_of(due[0][0]), start_of(due[-1][0] + 1), consumed=consumed
        )
        settled: list[tuple[int, int, CentreHour | None]] = []
        again: list[CentreHour] = []
        changed: list[datetime] = []
        for hour, mark in due:
            if not self._ledger.has_all_readings_of(hour):
                # What is left would make another hour than it was.
                settled.append((hour, mark, None))
                continue
            before = self._ledger.hour(start_of(hour))
            closed, _ = self._maker.make(
                start_of(hour),
                version=1 if before is None else before.version + 1,
                closed_at=self._clock.now(),
                stretch=stretch,
            )
            is_new = before is None or _differs(before, closed)
            settled.append((hour, mark, closed if is_new else None))
            if is_new and before is not None:
                again.append(closed)
            if (None if before is None else before.facility.value) != closed.facility.value:
                changed.append(closed.start_at)
        self._ledger.settle_all(settled)
        for start_at in changed:
            # What was bought for a month is spread by the consumption of all its hours.
            bought.update(self._maker.bills.periods(start_at))
        for closed in again:
            logger.info(
                "event=hour_closed_again start=%s version=%d",
                closed.start_at.isoformat(),
                closed.version,
            )
        return sum(closed is not None for _, _, closed in settled)


def _in_rows(due: Sequence[tuple[int, int]]) -> Iterator[Sequence[tuple[int, int]]]:
    """Yield runs of hours that follow each other, none too long."""
    first = 0
    for place in range(1, len(due) + 1):
        if (
            place == len(due)
            or due[place][0] != due[place - 1][0] + 1
            or place - first == _STRETCH_HOURS
        ):
            yield due[first:place]
            first = place


def _differs(before: CentreHour, after: CentreHour) -> bool:
    return dataclasses.replace(after, version=before.version, closed_at=before.closed_at) != before
