"""What one meter comes to in an hour, or across several, from its readings in the ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from agent.centre.belief import doubtful_spans
from agent.centre.bills import BY_HAND
from agent.centre.ledger import Ledger
from agent.config.meter_settings import LedgerSettings, MeterSettings
from agent.metering.explain import Step, time_text
from agent.metering.gauges import GaugeStretch, power_hour
from agent.metering.hours import HOUR, MARGIN, register_hour
from agent.metering.readings import PowerReading, RegisterReading
from agent.metering.stretches import RegisterStretch
from agent.model.metering import Figure, MeterReading, Quality, RegisterTraits
from agent.store.ledger import microseconds_of

_JOULES_PER_KWH = 3_600_000
_WATTS_PER_KW = 1000
_MILLILITRES_PER_LITRE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterStretch:
    """Is a meter's part in many hours; `gauge` is None where its hours need more to be found."""

    register: RegisterStretch
    gauge: GaugeStretch | None


class MeterFigures:
    """Makes the figures of single meters by their settings; safe in every thread."""

    def __init__(
        self, ledger: Ledger, *, meters: Sequence[MeterSettings], settings: LedgerSettings
    ) -> None:
        self._ledger = ledger
        self._meters: Mapping[str, MeterSettings] = {meter.name: meter for meter in meters}
        self._settings = settings

    def traits(self, name: str, *, is_water: bool) -> RegisterTraits:
        """Return what is known of a meter's register; the settings before what it tells itself."""
        meter, told = self._meters[name], self._ledger.traits(name)
        modulus, rate = told.modulus, told.rate_maximum
        if is_water and meter.rollover_litres is not None:
            modulus = round(meter.rollover_litres * _MILLILITRES_PER_LITRE)
        if not is_water and meter.rollover_kwh is not None:
            modulus = round(meter.rollover_kwh * _JOULES_PER_KWH)
        if not is_water and meter.rated_power_kw is not None:
            rate = meter.rated_power_kw * _WATTS_PER_KW
        return RegisterTraits(
            modulus=modulus,
            rate_maximum=rate,
            resolution=told.resolution,
            starts_at_zero=told.starts_at_zero,
        )

    def stretch(
        self, name: str, *, is_water: bool, start_at: datetime, end_at: datetime
    ) -> MeterStretch:
        """Return the readings of many hours, of which plain ones are found at once."""
        traits = self.traits(name, is_water=is_water)
        rows = self._ledger.register_rows(name, is_water=is_water, start_at=start_at, end_at=end_at)
        register = RegisterStretch(rows, traits=traits)
        gauge, gap_seconds = None, self._meters[name].longest_gap_seconds
        # Nothing beyond the margins of an hour is joined to it then.
        if register.is_empty and not is_water and gap_seconds <= MARGIN.total_seconds():
            gauge = GaugeStretch(
                self._ledger.power_rows(name, start_at=start_at, end_at=end_at),
                gap_seconds=gap_seconds,
                threshold_ratio=self._settings.coverage_threshold_ratio,
                rate_maximum=traits.rate_maximum,
            )
        return MeterStretch(register=register, gauge=gauge)

    def doubt(self, name: str, *, start_at: datetime, end_at: datetime) -> str | None:
        """Return why no reading of a time can be trusted, because the clock was set; else None."""
        return self._doubt(name, start_at=start_at, end_at=end_at, spans_of=doubtful_spans)

    def _doubt(
        self,
        name: str,
        *,
        start_at: datetime,
        end_at: datetime,
        spans_of: Callable[[datetime, datetime], Iterable[tuple[datetime, datetime]]],
    ) -> str | None:
        meter = self._meters[name]
        if meter.kind == BY_HAND:
            return None
        reach = timedelta(seconds=2 * meter.interval_seconds)
        for before, after in self._ledger.clock_steps():
            for first, last in spans_of(before, after):
                if first - reach < end_at and last + reach >= start_at:
                    return f"the clock was set from {time_text(before)} to {time_text(after)}"
        return None

    def hour(
        self,
        name: str,
        *,
        is_water: bool,
        start_at: datetime,
        stretch: MeterStretch | None = None,
    ) -> tuple[Figure, tuple[Step, ...]]:
        """Return what a meter comes to in the hour from `start_at` on.

        With the `stretch` of the hour a plain one is found at once, without steps.
        """
        doubt = self.doubt(name, start_at=start_at, end_at=start_at + HOUR)
        if doubt is not None:
            return _unknown(doubt)
        if stretch is not None:
            plain = self._plain(stretch, start_us=microseconds_of(start_at))
            if plain is not None:
                return plain, ()
        meter = self._meters[name]
        around = self._ledger.around(name, start_at)
        registers = _registers(around, is_water=is_water)
        powers = [
            PowerReading(taken_at=each.taken_at, watts=each.power_watts)
            for each in around
            if not is_water and each.power_watts is not None
        ]
        if not registers and not powers:
            return _unknown("no readings")
        traits = self.traits(name, is_water=is_water)
        way: tuple[Step, ...] = ()
        if registers:
            figure, way = register_hour(
                registers,
                traits=traits,
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
            rate_maximum=traits.rate_maximum,
        )
        if registers and by_power.value is None:
            return figure, way
        return by_power, (*way, *power_way)

    def _plain(self, stretch: MeterStretch, *, start_us: int) -> Figure | None:
        if stretch.gauge is None:
            return stretch.register.hour(start_us, edge_gap_seconds=self._settings.edge_gap_seconds)
        figure = stretch.gauge.hour(start_us)
        # Whether there are no readings at all, their own hour tells.
        return figure if figure.coverage_ratio > 0 else None

    def across(self, name: str, *, is_water: bool, start_at: datetime, end_at: datetime) -> Figure:
        """Return what a register counted across hours, whether or not they are known themselves."""
        for edge in (start_at, end_at):
            doubt = self._doubt(name, start_at=edge, end_at=edge, spans_of=_skipped_too)
            if doubt is not None:
                return _unknown(doubt)[0]
        readings = self._ledger.around(name, start_at, end_at=end_at)
        figure, _ = register_hour(
            _registers(readings, is_water=is_water),
            traits=self.traits(name, is_water=is_water),
            start_at=start_at,
            end_at=end_at,
            edge_gap_seconds=self._settings.edge_gap_seconds,
        )
        return figure


def _skipped_too(before: datetime, after: datetime) -> Iterable[tuple[datetime, datetime]]:
    """Return the doubtful times, with those that a clock skipped: no edge can lie there."""
    skipped = ((before, after),) if after > before else ()
    return (*doubtful_spans(before, after), *skipped)


def _registers(readings: Sequence[MeterReading], *, is_water: bool) -> list[RegisterReading]:
    return [
        RegisterReading(taken_at=each.taken_at, value=value, marker=each.reset_marker)
        for each in readings
        if (value := each.water_millilitres if is_water else each.energy_joules) is not None
    ]


def _unknown(reason: str) -> tuple[Figure, tuple[Step, ...]]:
    figure = Figure(value=None, coverage_ratio=0.0, quality=Quality.UNKNOWN, reason=reason)
    return figure, (Step(text=f"Not known: {reason}.", fields={}),)
