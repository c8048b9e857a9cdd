"""Makes an hour of the centre from the readings in the ledger, with every step of the way.

Nothing is kept here: the same readings and settings give the same hour whenever they are asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone

from agent.centre.ledger import Ledger, doubtful_spans
from agent.config.meter_settings import LedgerSettings, MeterSettings
from agent.metering import certificates, figures, roles
from agent.metering.certificates import CertificatePeriod
from agent.metering.explain import Step, time_text
from agent.metering.hours import HOUR, power_hour, register_hour
from agent.metering.readings import PowerReading, RegisterReading
from agent.metering.roles import Term
from agent.model.metering import (
    CentreHour,
    Figure,
    MeterReading,
    MeterRole,
    Quality,
    RegisterTraits,
)

BY_HAND = "csv"
_JOULES_PER_KWH = 3_600_000
_WATTS_PER_KW = 1000
_MILLILITRES_PER_LITRE = 1000
# Bought for a time and not measured in it: two readings of such a meter tell what for how long.
_BOUGHT = (MeterRole.GREEN_PURCHASED, MeterRole.GREEN_CERTIFICATE)


def spread_meters(meters: Sequence[MeterSettings]) -> frozenset[str]:
    """Return the meters whose readings are bills: spread over the hours between them."""
    return frozenset(
        meter.name
        for meter in meters
        if any(
            role.removeprefix("-") == MeterRole.GREEN_CERTIFICATE.value
            or (meter.kind == BY_HAND and role.removeprefix("-") == MeterRole.GREEN_PURCHASED.value)
            for role in meter.roles
        )
    )


class HourMaker:
    """Makes hours by the settings of the meters; safe in every thread."""

    def __init__(
        self, ledger: Ledger, *, meters: Sequence[MeterSettings], settings: LedgerSettings
    ) -> None:
        self._ledger = ledger
        self._meters = {meter.name: meter for meter in meters}
        self._settings = settings
        self._spread = spread_meters(meters)
        self._terms: Mapping[MeterRole, tuple[Term, ...]] = {
            role: tuple(
                Term(sign=-1 if text.startswith("-") else 1, meter=meter.name)
                for meter in meters
                for text in meter.roles
                if text.removeprefix("-") == role.value
            )
            for role in MeterRole
        }

    @property
    def measuring(self) -> tuple[str, ...]:
        """The meters that have a role and are read again and again."""
        return tuple(
            name for name, meter in self._meters.items() if meter.roles and name not in self._spread
        )

    def make(
        self, start_at: datetime, *, version: int, closed_at: datetime
    ) -> tuple[CentreHour, tuple[Step, ...]]:
        """Return the 60 minutes from `start_at` on, and how every figure of it was found."""
        found: dict[MeterRole, Figure | None] = {}
        steps: list[Step] = []
        clock_steps = self._ledger.clock_steps()
        for role, terms in self._terms.items():
            if not terms:
                found[role] = None
                continue
            parts: dict[str, Figure] = {}
            for term in terms:
                figure, way = self._meter(
                    self._meters[term.meter],
                    role,
                    start_at=start_at,
                    consumption=found.get(MeterRole.FACILITY_TOTAL),
                    clock_steps=clock_steps,
                )
                parts[term.meter] = figure
                steps.append(Step(text=f"{role.value}: meter {term.meter}.", fields={}))
                steps.extend(way)
            if len(terms) == 1 and terms[0].sign == 1:
                found[role] = parts[terms[0].meter]
                continue
            total, way = roles.combine(terms, parts)
            found[role] = total
            steps.append(Step(text=f"{role.value}: its meters together.", fields={}))
            steps.extend(way)
        hour, way = figures.centre_hour(
            start_at,
            version=version,
            closed_at=closed_at,
            facility=found[MeterRole.FACILITY_TOTAL],
            it=found[MeterRole.IT],
            green_direct=found[MeterRole.GREEN_DIRECT],
            green_purchased=found[MeterRole.GREEN_PURCHASED],
            green_certificate=found[MeterRole.GREEN_CERTIFICATE],
            water=found[MeterRole.WATER],
        )
        return hour, (*steps, *way)

    def traits(self, name: str, *, is_water: bool) -> RegisterTraits:
        """Return what is known of a meter's register; the settings before what it tells itself."""
        meter, told = self._meters[name], self._ledger.traits(name)
        modulus = told.modulus
        if is_water and meter.rollover_litres is not None:
            modulus = round(meter.rollover_litres * _MILLILITRES_PER_LITRE)
        if not is_water and meter.rollover_kwh is not None:
            modulus = round(meter.rollover_kwh * _JOULES_PER_KWH)
        rate = None
        if not is_water and meter.rated_power_kw is not None:
            rate = meter.rated_power_kw * _WATTS_PER_KW
        return RegisterTraits(
            modulus=modulus,
            rate_maximum=rate,
            resolution=told.resolution,
            starts_at_zero=told.starts_at_zero,
        )

    def periods(self, start_at: datetime) -> tuple[tuple[datetime, datetime], ...]:
        """Return the times between two bills in which an hour lies."""
        spans = (self._ledger.pair(name, start_at) for name in sorted(self._spread))
        return tuple((a.taken_at, b.taken_at) for a, b in spans if a is not None and b is not None)

    def _meter(
        self,
        meter: MeterSettings,
        role: MeterRole,
        *,
        start_at: datetime,
        consumption: Figure | None,
        clock_steps: Sequence[tuple[datetime, datetime]],
    ) -> tuple[Figure, tuple[Step, ...]]:
        if role in _BOUGHT and meter.name in self._spread:
            return self._bought(meter, start_at=start_at, consumption=consumption)
        for before, after in clock_steps if meter.kind != BY_HAND else ():
            reach = timedelta(seconds=2 * meter.interval_seconds)
            for first, last in doubtful_spans(before, after):
                if first - reach < start_at + HOUR and last + reach >= start_at:
                    return _unknown(
                        f"the clock was set from {time_text(before)} to {time_text(after)}"
                    )
        around = self._ledger.around(meter.name, start_at)
        is_water = role is MeterRole.WATER
        registers = [
            RegisterReading(taken_at=each.taken_at, value=value, marker=each.reset_marker)
            for each in around
            if (value := each.water_millilitres if is_water else each.energy_joules) is not None
        ]
        powers = [
            PowerReading(taken_at=each.taken_at, watts=each.power_watts)
            for each in around
            if not is_water and each.power_watts is not None
        ]
        if not registers and not powers:
            return _unknown("no readings")
        way: tuple[Step, ...] = ()
        if registers:
            figure, way = register_hour(
                registers,
                traits=self.traits(meter.name, is_water=is_water),
                start_at=start_at,
                edge_gap_seconds=self._settings.edge_gap_seconds,
            )
            if figure.value is not None or not powers:
                return figure, way
        by_power, power_way = power_hour(
            powers,
            start_at=start_at,
            gap_seconds=meter.longest_gap_seconds,
            threshold_ratio=self._settings.coverage_threshold_ratio,
        )
        if registers and by_power.value is None:
            return figure, way
        return by_power, (*way, *power_way)

    def _bought(
        self, meter: MeterSettings, *, start_at: datetime, consumption: Figure | None
    ) -> tuple[Figure, tuple[Step, ...]]:
        """Return an hour's share in what was bought between two readings."""
        if consumption is None:
            return _unknown("no meter has the role facility_total, by which it is spread")
        before, after = self._ledger.pair(meter.name, start_at)
        amount = _difference(before, after)
        if before is None or after is None or amount is None:
            return _unknown("the time that it was bought for has not ended, or never began")
        first, end = _whole_hours(before.taken_at, after.taken_at)
        closed = self._ledger.hours_between(first, end)
        known = {hour.start_at: hour.facility.value for hour in closed}
        # The hour itself may be closed with another figure just now.
        known[start_at] = consumption.value
        period = CertificatePeriod(
            start_at=first,
            end_at=end,
            amount_joules=amount,
            consumption_joules=sum(value for value in known.values() if value is not None),
        )
        return certificates.certificate_hour(period, start_at=start_at, consumption=consumption)


def _difference(before: MeterReading | None, after: MeterReading | None) -> int | None:
    """Return what a register of what was bought rose by; None where it fell or is not known."""
    if before is None or after is None:
        return None
    first, second = before.energy_joules, after.energy_joules
    if first is None or second is None or second < first:
        return None
    return second - first


def _whole_hours(first: datetime, last: datetime) -> tuple[datetime, datetime]:
    """Return the full hours next to two times, so that each hour belongs to one period."""
    return _full_hour(first), _full_hour(last)


def _full_hour(moment: datetime) -> datetime:
    moment = moment.astimezone(timezone.utc)
    whole = moment.replace(minute=0, second=0, microsecond=0)
    return whole if whole == moment else whole + HOUR


def _unknown(reason: str) -> tuple[Figure, tuple[Step, ...]]:
    figure = Figure(value=None, coverage_ratio=0.0, quality=Quality.UNKNOWN, reason=reason)
    return figure, (Step(text=f"Not known: {reason}.", fields={}),)
