"""The metrics of meters and of the hours of a centre; conventions as in `metrics`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from agent.centre.centre import Centre
from agent.centre.status import MeterStatus
from agent.model.metering import CentreHour

_METER_LABELS = ("meter", "kind", "site")
_MILLILITRES_PER_LITRE = 1000
_ENERGY = ("facility", "it", "green")


def families(centre: Centre, *, now: datetime) -> Iterable[Metric]:
    """Yield the families of one scrape."""
    yield from _meters(centre.meters(), now=now)
    yield GaugeMetricFamily(
        "computility_meter_readings_waiting",
        "Readings that are not on the disk yet.",
        value=centre.waiting,
    )
    hours = centre.hours(count=1)
    yield from _hour(hours[0] if hours else None)


def _meters(meters: Iterable[MeterStatus], *, now: datetime) -> Iterable[Metric]:
    info = GaugeMetricFamily(
        "computility_meter_info",
        "What a meter is for and how it fares; always 1.",
        labels=(*_METER_LABELS, "roles", "state"),
    )
    age = GaugeMetricFamily(
        "computility_meter_reading_age_seconds",
        "Time since a meter was last read.",
        labels=_METER_LABELS,
    )
    energy = CounterMetricFamily(
        "computility_meter_energy_joules",
        "Register of a meter as it stands on it: it wraps and is reset like that.",
        labels=_METER_LABELS,
    )
    water = CounterMetricFamily(
        "computility_meter_water_litres", "The same of a water meter.", labels=_METER_LABELS
    )
    power = GaugeMetricFamily(
        "computility_meter_power_watts", "Power that a meter last told.", labels=_METER_LABELS
    )
    for each in meters:
        labels = (each.name, each.kind, each.site or "")
        info.add_metric((*labels, ",".join(each.roles), each.state.value), 1)
        reading = each.reading
        if reading is None:
            continue
        age.add_metric(labels, max(0.0, (now - reading.taken_at).total_seconds()))
        if reading.energy_joules is not None:
            energy.add_metric(labels, reading.energy_joules)
        if reading.water_millilitres is not None:
            water.add_metric(labels, reading.water_millilitres / _MILLILITRES_PER_LITRE)
        if reading.power_watts is not None:
            power.add_metric(labels, reading.power_watts)
    yield from (info, age, energy, water, power)


def _hour(hour: CentreHour | None) -> Iterable[Metric]:
    start = GaugeMetricFamily(
        "computility_centre_hour_start_timestamp_seconds",
        "When the last closed hour began.",
    )
    version = GaugeMetricFamily(
        "computility_centre_hour_version", "How often the last closed hour was closed."
    )
    energy = GaugeMetricFamily(
        "computility_centre_hour_energy_joules",
        "Energy of the last closed hour.",
        labels=("figure",),
    )
    water = GaugeMetricFamily(
        "computility_centre_hour_water_litres", "Water of the last closed hour."
    )
    coverage = GaugeMetricFamily(
        "computility_centre_hour_coverage_ratio",
        "Share of the last closed hour that readings cover, 0 to 1.",
        labels=("figure",),
    )
    pue = GaugeMetricFamily("computility_centre_hour_pue", "PUE of the last closed hour.")
    wue = GaugeMetricFamily(
        "computility_centre_hour_wue_litres_per_kwh", "WUE of the last closed hour."
    )
    if hour is not None:
        start.add_metric((), hour.start_at.timestamp())
        version.add_metric((), hour.version)
        for name in _ENERGY:
            figure = getattr(hour, name)
            if figure.value is not None:
                energy.add_metric((name,), figure.value)
            coverage.add_metric((name,), figure.coverage_ratio)
        coverage.add_metric(("water",), hour.water.coverage_ratio)
        if hour.water.value is not None:
            water.add_metric((), hour.water.value / _MILLILITRES_PER_LITRE)
        if hour.pue is not None:
            pue.add_metric((), hour.pue)
        if hour.wue_litres_per_kwh is not None:
            wue.add_metric((), hour.wue_litres_per_kwh)
    yield from (start, version, energy, water, coverage, pue, wue)
