"""Answers what the command `monitoring` asks, in the running daemon or beside none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agent.app.local_socket import Answer, Question
from agent.app.monitoring import documents
from agent.app.monitoring.outbox_service import OpenOutbox
from agent.app.monitoring.parts import Reporting, is_settled
from agent.app.monitoring.questions import FATE, LIST, RELEASE, REPORT, SYNC, VERIFY
from agent.errors import AgentError, NotFoundError, RequestError, TransientError
from agent.model.clock import Clock
from agent.protocols.tc609.month_report import Month

MOST_SECONDS = 60.0


class MonitoringAnswers:
    """Answers about the platforms that run; safe in every thread."""

    def __init__(
        self,
        *,
        reporting: Callable[[], Sequence[Reporting]],
        outbox: Callable[[], OpenOutbox],
        clock: Clock,
    ) -> None:
        """Take what runs; `outbox` raises TransientError where it cannot be used."""
        self._reporting = reporting
        self._outbox = outbox
        self._clock = clock

    def by_name(self) -> Mapping[str, Answer]:
        """Return what answers each question."""
        return {
            LIST: lambda _: self.list(),
            SYNC: self.sync,
            REPORT: self.report,
            FATE: self.fate,
            RELEASE: self.release,
            VERIFY: self.verify,
        }

    def list(self) -> dict[str, Any]:
        """Return how the reporting to each platform fares."""
        running, now = self._reporting(), self._clock.now()
        names = [each.platform.name for each in running]
        document: dict[str, Any] = {
            "platforms": [documents.platform(each, now=now) for each in running],
            "removed": [],
            "unknown": None,
        }
        try:
            document["removed"] = documents.removed(self._outbox(), configured=names)
        except AgentError as error:
            document["unknown"] = str(error)
        return document

    def sync(self, asked: Question) -> dict[str, Any]:
        """Make a platform what was declared with `apply`, else tell the differences."""
        one, apply = self._one(asked), asked.fields.get("apply") is True
        platform = one.platform
        plans = platform.apply() if apply else platform.plan()
        if apply:
            # Reports may have waited for just this.
            one.refresh()
        return documents.entities(
            platform.name, plans, is_done=apply, missing=platform.missing_of_projects()
        )

    def report(self, asked: Question) -> dict[str, Any]:
        """Return a month's report; with `submit` it is on the disk then, and on its way.

        With `again` it is sent even where the platform took or refused the same.
        """
        one, month = self._one(asked), month_of(asked)
        platform, is_sent = one.platform, asked.fields.get("submit") is True
        if is_sent:
            platform.learn_centre()
        rendered, is_new = platform.render(month), None
        if is_sent:
            if not platform.is_over(month):
                raise RequestError(f"{month} is not over yet: look at it with --dry-run")
            if rendered.is_empty:
                raise RequestError(
                    f"nothing is known of {month}: there is nothing to send (--dry-run tells why)"
                )
            is_new = platform.submit(rendered, again=asked.fields.get("again") is True)
            platform.hasten()
            # Read before the thread turns, so that its first verdict is a change.
            fate = platform.fate(month)
            one.wake()
        else:
            fate = platform.fate(month)
        return documents.report(rendered, platform=platform, is_new=is_new, fate=fate)

    def fate(self, asked: Question) -> dict[str, Any]:
        """Return what became of a month, once that is not `mark` any more, or after `seconds`."""
        one, month = self._one(asked), month_of(asked)
        seconds, known = asked.fields.get("seconds", 0), asked.fields.get("mark")
        if isinstance(seconds, bool) or not isinstance(seconds, int | float):
            raise RequestError("seconds is a number")
        fate = one.await_fate(
            month,
            seconds=min(max(float(seconds), 0.0), MOST_SECONDS),
            is_told=lambda now: is_settled(now) or documents.mark(now) != known,
        )
        return {"platform": one.platform.name, "fate": documents.fate_document(fate)}

    def release(self, asked: Question) -> dict[str, Any]:
        """Let a refused month be sent again.

        Raises:
            NotFoundError: there is no such month.
        """
        one, month = self._one(asked), month_of(asked)
        if not one.platform.release(month):
            raise NotFoundError(f"{one.platform.name} has not refused {month}")
        fate = one.platform.fate(month)
        one.wake()
        return {"platform": one.platform.name, "fate": documents.fate_document(fate)}

    def verify(self, asked: Question) -> dict[str, Any]:
        """Return how a platform has a month, compared with how it ought to be."""
        platform, month = self._one(asked).platform, month_of(asked)
        return documents.verification(platform.name, str(month), platform.verify(month))

    def _one(self, asked: Question) -> Reporting:
        name = asked.fields.get("platform")
        running = {each.platform.name: each for each in self._reporting()}
        if name not in running:
            known = ", ".join(running) or "none"
            raise TransientError(
                f"the agent reports to no platform called {name} now; it has {known}: "
                "was its configuration reloaded?"
            )
        return running[str(name)]


def month_of(asked: Question) -> Month:
    """Return the month that is asked about; raises RequestError."""
    try:
        return Month.parse(str(asked.fields.get("month")))
    except ValueError as error:
        raise RequestError(str(error)) from error
