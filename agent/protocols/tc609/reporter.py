"""Reports months to one monitoring platform (TC609, A.8 and A.9)."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from agent.errors import NoRoomError, PermanentError, PlatformRejected, TransientError
from agent.metering.months import MonthTotals, month_span
from agent.protocols.tc609 import month_report, wire_answers
from agent.protocols.tc609.figures_file import Figures
from agent.protocols.tc609.month_report import MemberDifference, Month, RenderedReport
from agent.protocols.tc609.platform_client import PlatformClient
from agent.protocols.tc609.report_map import ReportMap
from agent.store.outbox import Outbox, OutboxMessage

logger = logging.getLogger(__name__)

# The codes that speak of the message itself; all others may pass by themselves.
_FINAL_CODES = frozenset({wire_answers.WRONG_TYPE, wire_answers.FIELD_MISSING})
# With the outbox's longest wait of an hour this gives a broken platform most of a day.
_MOST_REFUSALS = 24
_NEXT_HOUR_SECONDS = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedCentre:
    """Is the centre that a platform is told of.

    `identifier` returns the platform's id of it, None while that is not known.
    """

    name: str
    identifier: Callable[[], int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """Is what a platform has of a month; `is_there` False: it has none."""

    is_there: bool
    differences: tuple[MemberDifference, ...] = ()


class MonthReporter:
    """Brings the months of one centre to one platform, in order, through the outbox.

    Safe in every thread; `deliver_due` runs in one of them at a time.
    """

    def __init__(
        self,
        platform: str,
        *,
        centre: ReportedCentre,
        report_map: ReportMap,
        client: PlatformClient,
        outbox: Outbox,
        before_delivery: Callable[[], None] = lambda: None,
    ) -> None:
        """Let `before_delivery` raise as the client does where nothing can be sent yet."""
        self._platform = platform
        self._centre = centre
        self._map = report_map
        self._client = client
        self._outbox = outbox
        self._before_delivery = before_delivery
        self._delivering = threading.Lock()
        self._trouble: str | None = None

    def render(self, month: Month, *, totals: MonthTotals, figures: Figures) -> RenderedReport:
        """Return the report of a month, without sending it.

        Raises NoRoomError and TransientError where the id of the centre cannot be read.
        """
        return month_report.render(
            month,
            totals=totals,
            figures=figures,
            report_map=self._map,
            centre_id=self._centre.identifier(),
            centre_name=self._centre.name,
        )

    def submit(self, report: RenderedReport, *, again: bool = False) -> bool:
        """Write a report down for delivery; False where the platform has it, or refused it so.

        A month that was sent and has changed since is sent again: the platform takes the newer one
        in place of the older. With `again` it is sent even if nothing changed.

        Raises:
            NoRoomError: disk or quota are full.
            TransientError: the disk does not work now.
        """
        is_new = self._outbox.enqueue(
            self._platform, key=str(report.month), body=report.body, again=again
        )
        if is_new:
            logger.info(
                "event=month_submitted platform=%s month=%s missing=%d",
                self._platform, report.month, len(report.missing),
            )  # fmt: skip
        return is_new

    def submit_last(
        self,
        months: Sequence[Month],
        *,
        totals_of: Callable[[Month], MonthTotals],
        figures: Figures,
    ) -> tuple[RenderedReport, ...]:
        """Submit months of which anything is known, the oldest first; return what was new.

        Run again and again it sends what late readings closed anew, and nothing else.
        """
        new: list[RenderedReport] = []
        for month in sorted(months, key=str):
            report = self.render(month, totals=totals_of(month), figures=figures)
            if not report.is_empty and self.submit(report):
                new.append(report)
        return tuple(new)

    def deliver(self, message: OutboxMessage) -> None:
        """Send one message.

        Raises:
            TransientError: there was no verdict.
            PermanentError: user, permission or signature have to be mended first.
            PlatformRejected: the platform refused this message.
        """
        self._client.send_month_report(message.body)

    def deliver_due(self) -> bool:
        """Deliver the first message if its time has come; True where the next may be asked for.

        Raises TransientError where the disk does not work now.
        """
        with self._delivering:
            message = self._outbox.due(self._platform)
            if message is None:
                return False
            try:
                self._before_delivery()
                # It may have brought about a newer body.
                message = self._outbox.due(self._platform) or message
                self.deliver(message)
            except TransientError as error:
                self._postpone(message, error.reason, error.retry_after_seconds)
                return False
            except PermanentError as error:
                # Every other message would meet the same: this one keeps its place.
                self._postpone(message, error.reason, _NEXT_HOUR_SECONDS)
                return False
            except PlatformRejected as error:
                return self._refused(message, error)
            self._outbox.delivered(message)
            if self._trouble is not None:
                self._trouble = None
                logger.info("event=platform_takes_reports_again platform=%s", self._platform)
            logger.info("event=month_delivered platform=%s month=%s", self._platform, message.key)
            return True

    def wait_seconds(self) -> float | None:
        """Return how long until `deliver_due` has something to do; None: nothing waits."""
        return self._outbox.wait_seconds(self._platform)

    def verify(self, report: RenderedReport) -> Verification:
        """Return how the platform has a month (A.9), compared with how it ought to be.

        Raises as the client does.
        """
        identifier = self._centre.identifier()
        month = str(report.month)
        found = [
            one
            for one in self._client.find_month_reports(centre_id=identifier, month=month)
            # Not every platform heeds the parameters.
            if one.month == month and self._is_ours(one, identifier=identifier)
        ]
        if not found:
            return Verification(is_there=False)
        return Verification(
            is_there=True,
            differences=month_report.differences(report, found[-1], report_map=self._map),
        )

    def _is_ours(self, found: wire_answers.FoundReport, *, identifier: int | None) -> bool:
        if found.centre_id is not None and identifier is not None:
            return found.centre_id == identifier
        return found.centre_name in (self._centre.name, None)

    def _refused(self, message: OutboxMessage, error: PlatformRejected) -> bool:
        if error.code not in _FINAL_CODES and message.attempts + 1 < _MOST_REFUSALS:
            self._postpone(message, f"refused (code {error.code}): {error.message}", None)
            return False
        try:
            self._outbox.refuse(message, code=error.code, reason=error.message)
        except NoRoomError as full:
            logger.warning("event=refusal_not_noted platform=%s reason=%s", self._platform, full)
            return False
        logger.error(
            "event=month_refused platform=%s month=%s code=%s reason=%r",
            self._platform, message.key, error.code, error.message,
        )  # fmt: skip
        return True

    def _postpone(
        self, message: OutboxMessage, reason: str, retry_after_seconds: float | None
    ) -> None:
        if reason != self._trouble:
            self._trouble = reason
            logger.warning(
                "event=month_not_delivered platform=%s month=%s reason=%r",
                self._platform, message.key, reason,
            )  # fmt: skip
        self._outbox.postpone(message, reason=reason, retry_after_seconds=retry_after_seconds)


def due_months(now: datetime, *, zone: tzinfo, delay: timedelta, count: int) -> tuple[Month, ...]:
    """Return the last months that are over for at least `delay`, the oldest first."""
    local = now.astimezone(zone)
    month = Month(year=local.year, month=local.month)
    months: list[Month] = []
    while len(months) < count:
        month = month.before()
        if month_span(month.year, month.month, zone=zone)[1] + delay <= now:
            months.append(month)
    return tuple(reversed(months))


def next_due(now: datetime, *, zone: tzinfo, delay: timedelta) -> datetime:
    """Return when the next month comes to be due, in UTC."""
    local = now.astimezone(zone)
    month = Month(year=local.year, month=local.month).before()
    while True:
        due_at = month_span(month.year, month.month, zone=zone)[1] + delay
        if due_at > now:
            return due_at
        month = _after(month)


def _after(month: Month) -> Month:
    if month.month == 12:
        return Month(year=month.year + 1, month=1)
    return Month(year=month.year, month=month.month + 1)
