"""What the registers of a role counted across hours of which none is known by itself."""

from __future__ import annotations

from datetime import datetime, timedelta

from agent.centre.bills import Consumed
from agent.centre.figuring import Found, HourMaker
from agent.centre.ledger import Ledger
from agent.metering import figures
from agent.metering.hours import HOUR
from agent.model.metering import Figure, MeterRole, Quality

_METHOD = "registers across hours that are not known by themselves"
# Meters are looked at hour by hour, and so many hours at once.
_STRETCH = timedelta(hours=12)
_ROLES = {
    "facility": MeterRole.FACILITY_TOTAL,
    "it": MeterRole.IT,
    "water": MeterRole.WATER,
}


class Across:
    """Answers for one month, from the readings of now."""

    def __init__(self, ledger: Ledger, *, maker: HourMaker) -> None:
        self._ledger = ledger
        self._maker = maker
        self._consumed = Consumed(ledger)

    def figure(self, name: str, start_at: datetime, end_at: datetime) -> Figure:
        """Return what "facility", "it", "green" or "water" comes to from one full hour to another.

        Each meter counts with its known hours, and with its register across the others.
        """
        if name in _ROLES:
            return self._role(_ROLES[name], start_at, end_at) or _unknown("no meter has the role")
        facility = self._role(MeterRole.FACILITY_TOTAL, start_at, end_at)
        green, _, _ = figures.green_of(
            facility or _unknown("no meter has the role facility_total"),
            direct=self._role(MeterRole.GREEN_DIRECT, start_at, end_at),
            purchased=self._role(MeterRole.GREEN_PURCHASED, start_at, end_at),
            certificate=self._role(MeterRole.GREEN_CERTIFICATE, start_at, end_at),
        )
        return green

    def _role(self, role: MeterRole, start_at: datetime, end_at: datetime) -> Figure | None:
        def figure_of(name: str) -> Found:
            if self._maker.is_bought(name, role):
                return self._bought(name, start_at, end_at), ()
            return self._meter(name, start_at, end_at, is_water=role is MeterRole.WATER), ()

        found, _ = self._maker.role(role, figure_of)
        return found

    def _meter(self, name: str, start_at: datetime, end_at: datetime, *, is_water: bool) -> Figure:
        meters = self._maker.meter_figures
        total, covered, since = 0, 0.0, start_at
        moment = start_at
        stretch = None
        while moment < end_at:
            if stretch is None or (moment - start_at) % _STRETCH == timedelta(0):
                end = min(moment + _STRETCH, end_at)
                stretch = meters.stretch(name, is_water=is_water, start_at=moment, end_at=end)
            figure, _ = meters.hour(name, is_water=is_water, start_at=moment, stretch=stretch)
            if figure.value is not None:
                gap = self._gap(name, since, moment, is_water=is_water)
                if gap.value is None:
                    return gap
                total += gap.value + figure.value
                covered += (moment - since) / HOUR + figure.coverage_ratio
                since = moment + HOUR
            moment += HOUR
        gap = self._gap(name, since, end_at, is_water=is_water)
        if gap.value is None:
            return gap
        return Figure(
            value=total + gap.value,
            coverage_ratio=(covered + (end_at - since) / HOUR) / ((end_at - start_at) / HOUR),
            quality=Quality.INTERPOLATED,
            method=_METHOD,
        )

    def _gap(self, name: str, start_at: datetime, end_at: datetime, *, is_water: bool) -> Figure:
        if start_at == end_at:
            return Figure(value=0, coverage_ratio=1.0, quality=Quality.MEASURED)
        return self._maker.meter_figures.across(
            name, is_water=is_water, start_at=start_at, end_at=end_at
        )

    def _bought(self, name: str, start_at: datetime, end_at: datetime) -> Figure:
        """Return the shares of the hours whose consumption is known: all was spread over those."""
        bills = self._maker.bills
        total = 0
        moment = start_at
        while moment < end_at:
            closed = self._ledger.hour(moment)
            if closed is not None and closed.facility.value is not None:
                share, _ = bills.share(
                    name, start_at=moment, consumption=closed.facility, consumed=self._consumed
                )
                if share.value is None:
                    return share
                total += share.value
            elif not bills.is_settled(name, moment):
                return _unknown("what was bought for this time has not been entered yet")
            moment += HOUR
        return Figure(value=total, coverage_ratio=1.0, quality=Quality.INTERPOLATED, method=_METHOD)


def _unknown(reason: str) -> Figure:
    return Figure(value=None, coverage_ratio=0.0, quality=Quality.UNKNOWN, reason=reason)
