"""Plans the outbox and the reporting to monitoring platforms."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta, tzinfo
from pathlib import Path

from agent.app.held import Held
from agent.app.monitoring.outbox_service import OpenOutbox, OutboxService
from agent.app.monitoring.parts import Reporting
from agent.app.monitoring.platform import MonitoredPlatform, TotalsOf, no_totals
from agent.app.parts import PartPlan, Service
from agent.app.wiring import Wiring
from agent.centre.centre import Centre
from agent.config.kinds import time_zone
from agent.config.monitoring_settings import MonitoringSettings
from agent.config.settings import Settings
from agent.errors import TransientError
from agent.metering.months import MonthTotals
from agent.model.clock import Clock
from agent.protocols.tc609.month_report import Month

# What the calendar of the ledger may be late with the last hour of a month.
_CLOSING = timedelta(minutes=10)


def parts(settings: Settings, *, wiring: Wiring) -> tuple[PartPlan, ...]:
    """Return the outbox, in which there may be more than is configured, and each platform."""
    return (
        _outbox(settings, wiring=wiring),
        *(_reporting(each, settings=settings, wiring=wiring) for each in settings.monitoring),
    )


def platform(
    one: MonitoringSettings,
    *,
    settings: Settings,
    outbox: Callable[[], OpenOutbox],
    centre: Callable[[], Centre],
    clock: Clock,
) -> MonitoredPlatform:
    """Return a platform of a configuration; `centre` is asked only where there are meters.

    Raises:
        PermanentError: certificates, keys or names of the settings cannot be used.
    """
    zone = time_zone(settings.ledger.time_zone)
    closing = timedelta(seconds=settings.ledger.close_after_seconds) + _CLOSING
    return MonitoredPlatform(
        one,
        outbox=outbox,
        totals_of=_totals_of(zone, centre=centre if settings.meters else None),
        zone=zone,
        clock=clock,
        least_delay=closing if settings.meters else timedelta(0),
    )


def _outbox(settings: Settings, *, wiring: Wiring) -> PartPlan:
    folder = Path(settings.node.state_dir)
    return PartPlan(
        name="outbox",
        key=(settings.outbox, settings.node.state_dir),
        build=lambda: Held(
            OutboxService(folder, settings=settings.outbox, clock=wiring.clock),
            wiring=wiring,
            name="outbox",
        ),
    )


def _reporting(one: MonitoringSettings, *, settings: Settings, wiring: Wiring) -> PartPlan:
    def opened() -> OpenOutbox:
        if wiring.outbox is None:
            raise TransientError("the outbox is not started yet, or stopped")
        return wiring.outbox.opened

    def centre() -> Centre:
        if wiring.centre is None:
            raise TransientError("the meters are not started yet, or stopped")
        return wiring.centre.centre

    def build() -> Service:
        service = Reporting(
            platform(one, settings=settings, outbox=opened, centre=centre, clock=wiring.clock),
            calendar=None if wiring.outbox is None else wiring.outbox.calendar,
            clock=wiring.clock,
        )
        return _Shown(service, wiring=wiring)

    ledger = settings.ledger
    return PartPlan(
        name=f"monitoring {one.name}",
        # Another outbox takes its platforms with it.
        key=(
            one,
            settings.outbox,
            settings.node.state_dir,
            ledger.time_zone,
            ledger.close_after_seconds,
            bool(settings.meters),
        ),
        build=build,
    )


def _totals_of(zone: tzinfo, *, centre: Callable[[], Centre] | None) -> TotalsOf:
    def totals(month: Month) -> MonthTotals:
        if centre is None:
            return no_totals(month, zone=zone)
        return centre().month(month.year, month.month)

    return totals


class _Shown:
    """Is the reporting to a platform that the others may ask through the wiring while it runs."""

    def __init__(self, service: Reporting, *, wiring: Wiring) -> None:
        self._service = service
        self._wiring = wiring

    def start(self) -> None:
        self._wiring.add_reporting(self._service)
        self._service.start()

    def stop(self, *, timeout_seconds: float) -> None:
        self._wiring.remove_reporting(self._service)
        self._service.stop(timeout_seconds=timeout_seconds)
