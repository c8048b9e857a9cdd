"""One monitoring platform, as commands and the running agent use it; runs nothing by itself."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from agent.app import platforms, signing
from agent.app.monitoring import declared as monitoring_declared
from agent.app.monitoring.figures_source import FiguresSource
from agent.app.monitoring.outbox_service import OpenOutbox
from agent.config.monitoring_settings import MonitoringSettings
from agent.errors import AgentError, ConflictError, PermanentError, PlatformRejected
from agent.metering.months import MonthTotals, month_span, month_totals
from agent.model.clock import Clock
from agent.protocols.tc609 import reporter
from agent.protocols.tc609.month_report import MissingMember, Month, RenderedReport
from agent.protocols.tc609.platform_client import Access, PlatformClient
from agent.protocols.tc609.reporter import MonthReporter, ReportedCentre, Verification
from agent.protocols.tc609.sign import Signer
from agent.protocols.tc609.sign_options import Scheme
from agent.protocols.tc609.sync import Declaration, EntityKind, EntityPlan, PlatformSync
from agent.store.outbox import RefusedMessage, StreamState
from agent.store.outbox_view import LastDelivery, MessageFate
from agent.transport.client import HttpClient

TotalsOf = Callable[[Month], MonthTotals]
_NO_METER = "no meter is configured"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformState:
    """Tells of one platform what waits for it and what became of the rest.

    `next_attempt_seconds` None: nothing waits. `next_due_at` None: months are not sent by
    themselves. `figures_trouble` None: the file of figures is good, or there is none.
    """

    stream: StreamState
    refused: tuple[RefusedMessage, ...]
    last_delivery: LastDelivery | None
    centre_id: int | None
    next_attempt_seconds: float | None
    next_due_at: datetime | None
    figures_trouble: str | None


def no_totals(month: Month, *, zone: tzinfo) -> MonthTotals:
    """Return the totals of a month without any meter: nothing is known, and why."""
    start_at, end_at = month_span(month.year, month.month, zone=zone)
    empty = month_totals((), start_at=start_at, end_at=end_at)
    names = ("facility", "it", "green", "water")
    figures = {name: dataclasses.replace(getattr(empty, name), reason=_NO_METER) for name in names}
    unknown = dict.fromkeys((*empty.unknown, *names, "pue", "wue"), _NO_METER)
    return dataclasses.replace(empty, unknown=unknown, **figures)


def make_client(
    settings: MonitoringSettings, *, clock: Clock, investment_group: str | None
) -> PlatformClient:
    """Return a client of a platform; nothing is sent yet.

    Raises:
        PermanentError: a certificate or a key of the settings cannot be used.
    """
    options = signing.options(settings.sign, section=f"monitoring {settings.name}: sign")
    return PlatformClient(
        HttpClient(
            base_url=settings.url,
            user_agent=platforms.USER_AGENT,
            ca_file=settings.ca_file,
            client_certificate=settings.client_certificate,
            client_private_key=settings.client_private_key,
        ),
        access=Access(
            username=settings.username,
            password=settings.password,
            token_headers=settings.token_headers,
            signs_login=settings.sign_login,
        ),
        signer=None if options.scheme is Scheme.NONE else Signer(options, clock=clock),
        clock=clock,
        investment_group=investment_group,
    )


class MonitoredPlatform:
    """Answers for one platform that is told of the centre; safe in every thread.

    `outbox` raises TransientError while it cannot be used, and so does every method that needs it.
    `totals_of` gives what the meters know of a month, in `zone`; raises TransientError while they
    cannot be asked. `least_delay` is how long after a month its last hour is closed.

    Raises:
        PermanentError: certificates, keys or names of the settings cannot be used.
    """

    def __init__(
        self,
        settings: MonitoringSettings,
        *,
        outbox: Callable[[], OpenOutbox],
        totals_of: TotalsOf,
        zone: tzinfo,
        clock: Clock,
        least_delay: timedelta = timedelta(0),
    ) -> None:
        self.settings = settings
        try:
            self.report_map = monitoring_declared.report_map(settings)
        except ValueError as error:
            raise PermanentError(f"monitoring {settings.name}: map: {error}") from error
        self._outbox = outbox
        self._totals_of = totals_of
        self._zone = zone
        self._clock = clock
        self._delay = max(timedelta(hours=settings.report.delay_hours), least_delay)
        self._client = make_client(
            settings, clock=clock, investment_group=self.report_map.investment.wire_name
        )
        self._figures = FiguresSource(
            settings.figures_file, platform=settings.name, report_map=self.report_map
        )
        self._lock = threading.Lock()
        self._syncing = threading.Lock()
        self._made: tuple[OpenOutbox, MonthReporter] | None = None
        # Called where the centre's id came to be known just before a delivery.
        self.on_centre_found: Callable[[], None] = lambda: None

    @property
    def name(self) -> str:
        """The name of the platform in the configuration."""
        return self.settings.name

    def close(self) -> None:
        """Give up what is under way; may be called twice."""
        self._client.close()

    def reporter(self) -> MonthReporter:
        """Return what brings months to the platform."""
        return self._current()[1]

    def plan(self) -> tuple[EntityPlan, ...]:
        """Return what the platform has otherwise than it was declared; raises as PlatformSync."""
        with self._syncing:
            return self._sync(self._declaration()).plan()

    def apply(self) -> tuple[EntityPlan, ...]:
        """Make the platform what was declared, and return what was done; likewise."""
        with self._syncing:
            return self._sync(self._declaration()).apply()

    def missing_of_projects(self) -> Mapping[str, Sequence[MissingMember]]:
        """Return by the names of projects what nobody filled in of them.

        Raises:
            PermanentError: the file of figures cannot be used.
        """
        return monitoring_declared.missing_of_projects(
            self.settings, figures=self._figures.read(), names=self.report_map
        )

    def render(self, month: Month) -> RenderedReport:
        """Return a month's report as it would be sent now.

        Raises:
            PermanentError: the file of figures cannot be used.
        """
        figures = self._figures.read()
        return self.reporter().render(month, totals=self._totals_of(month), figures=figures)

    def submit(self, report: RenderedReport, *, again: bool = False) -> bool:
        """Write a report down for delivery; False where the platform has it, or refused it so."""
        return self.reporter().submit(report, again=again)

    def submit_due(self) -> tuple[RenderedReport, ...]:
        """Submit the months that are due and new or changed, the oldest first; return those.

        Raises:
            PermanentError: the file of figures cannot be used.
        """
        figures = self._figures.read()
        self.learn_centre()
        return self.reporter().submit_last(
            reporter.due_months(
                self._clock.now(),
                zone=self._zone,
                delay=self._delay,
                count=self.settings.report.months,
            ),
            totals_of=self._totals_of,
            figures=figures,
        )

    def next_due(self, now: datetime) -> datetime:
        """Return when the next month comes to be due."""
        return reporter.next_due(now, zone=self._zone, delay=self._delay)

    def is_over(self, month: Month) -> bool:
        """Tell whether a month has ended."""
        return month_span(month.year, month.month, zone=self._zone)[1] <= self._clock.now()

    def verify(self, month: Month) -> Verification:
        """Return how the platform has a month, compared with how it ought to be (A.9)."""
        return self.reporter().verify(self.render(month))

    def has_centre(self) -> bool:
        """Tell whether the platform has the centre, and remember its id.

        Raises as PlatformSync does.
        """
        with self._syncing:
            return self._sync(Declaration()).has_centre(self.settings.centre.name)

    def learn_centre(self) -> None:
        """Ask for the centre's id where it is not known, so that a report need not change for it.

        By its name the platform finds the centre too, and whoever delivers asks again: so a
        platform that does not answer hinders nothing.
        """
        with contextlib.suppress(AgentError):
            self.has_centre()

    def release(self, month: Month) -> bool:
        """Let a refused month be sent again; False where there is none."""
        return self._current()[0].outbox.release(self.name, key=str(month))

    def hasten(self) -> None:
        """Let what waits be tried at once."""
        self._current()[0].outbox.hasten(self.name)

    def fate(self, month: Month) -> MessageFate:
        """Return what became of a month's last report."""
        return self._current()[0].view.fate(self.name, key=str(month))

    def state(self) -> PlatformState:
        """Return what waits and what became of the rest."""
        opened = self._current()[0]
        report = self.settings.report
        return PlatformState(
            stream=opened.outbox.state(self.name),
            refused=opened.outbox.refused(self.name),
            last_delivery=opened.view.last_delivery(self.name),
            centre_id=self._centre_id(opened),
            next_attempt_seconds=opened.outbox.wait_seconds(self.name),
            next_due_at=self.next_due(self._clock.now()) if report.enabled else None,
            figures_trouble=self._figures.trouble,
        )

    @property
    def figures_trouble(self) -> str | None:
        """Is what is wrong with the file of figures; None if all is well, or there is none."""
        return self._figures.trouble

    def _current(self) -> tuple[OpenOutbox, MonthReporter]:
        opened = self._outbox()
        with self._lock:
            if self._made is None or self._made[0] is not opened:
                self._seed(opened)
                made = MonthReporter(
                    self.name,
                    centre=ReportedCentre(
                        name=self.settings.centre.name,
                        identifier=lambda: self._centre_id(opened),
                    ),
                    report_map=self.report_map,
                    client=self._client,
                    outbox=opened.outbox,
                    before_delivery=self._check_centre,
                )
                self._made = (opened, made)
            return self._made

    def _seed(self, opened: OpenOutbox) -> None:
        """Remember the ids that the configuration tells."""
        entities = [(EntityKind.PROJECT, each.name, each.id) for each in self.settings.projects]
        centre = self.settings.centre
        for kind, name, identifier in (*entities, (EntityKind.CENTRE, centre.name, centre.id)):
            known = opened.identifiers.get(self.name, kind=kind.value, name=name)
            if identifier is not None and known != identifier:
                opened.identifiers.remember(
                    self.name, kind=kind.value, name=name, identifier=identifier
                )

    def _centre_id(self, opened: OpenOutbox) -> int | None:
        return opened.identifiers.get(
            self.name, kind=EntityKind.CENTRE.value, name=self.settings.centre.name
        )

    def _check_centre(self) -> None:
        """Raise where the platform has no such centre: every report would be refused."""
        opened = self._current()[0]
        was_known = self._centre_id(opened) is not None
        try:
            if self.has_centre():
                if not was_known and self._centre_id(opened) is not None:
                    self.on_centre_found()
                return
        except PlatformRejected:
            # A platform that answers no such question may take a report all the same.
            return
        except ConflictError as error:
            raise PermanentError(error.reason) from error
        raise PermanentError(
            f"the platform has no centre called {self.settings.centre.name}: make it with "
            f"`computility-agent monitoring sync {self.name}`"
        )

    def _sync(self, declaration: Declaration) -> PlatformSync:
        return PlatformSync(
            self.name,
            declaration=declaration,
            client=self._client,
            identifiers=self._current()[0].identifiers,
            clock=self._clock,
        )

    def _declaration(self) -> Declaration:
        try:
            return monitoring_declared.declaration(
                self.settings, figures=self._figures.read(), names=self.report_map
            )
        except ValueError as error:
            raise PermanentError(f"monitoring {self.name}: {error}") from error
