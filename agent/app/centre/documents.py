"""Meters and hours as documents: what `meters … --json` prints and the local socket answers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from agent.app.collect import timestamp
from agent.centre.importing import Imported
from agent.centre.status import MeterStatus
from agent.metering.explain import Step
from agent.metering.hours import HOUR
from agent.model.metering import CentreHour, Figure, MeterReading

JOULES_PER_KWH = 3_600_000
_MILLILITRES_PER_LITRE = 1000
_WATTS_PER_KW = 1000


def meter(status: MeterStatus, *, now: datetime) -> dict[str, Any]:
    """Return how a meter fares."""
    return {
        "name": status.name,
        "kind": status.kind,
        "roles": list(status.roles),
        "site": status.site,
        "state": status.state.value,
        "detail": status.detail,
        "since": status.since and timestamp(status.since),
        "reading": None if status.reading is None else reading(status.reading, now=now),
        "refused": status.refused,
    }


def reading(one: MeterReading, *, now: datetime) -> dict[str, Any]:
    """Return a reading; every field is always there."""
    energy, water, power = one.energy_joules, one.water_millilitres, one.power_watts
    return {
        "taken_at": timestamp(one.taken_at),
        "age_seconds": round((now - one.taken_at).total_seconds(), 1),
        "energy_kwh": None if energy is None else energy / JOULES_PER_KWH,
        "water_litres": None if water is None else water / _MILLILITRES_PER_LITRE,
        "power_kw": None if power is None else power / _WATTS_PER_KW,
        "reset_marker": one.reset_marker,
        "unknown": dict(one.unknown),
    }


def hour(one: CentreHour) -> dict[str, Any]:
    """Return a closed hour."""
    return {
        "start_at": timestamp(one.start_at),
        "end_at": timestamp(one.start_at + HOUR),
        "version": one.version,
        "closed_at": timestamp(one.closed_at),
        "facility": _energy(one.facility),
        "it": _energy(one.it),
        "green": _energy(one.green),
        "water": _water(one.water),
        "pue": one.pue,
        "wue_litres_per_kwh": one.wue_litres_per_kwh,
        "flags": list(one.flags),
        "unknown": dict(one.unknown),
    }


def imported(one: Imported) -> dict[str, Any]:
    """Return what became of a file of readings."""
    return {
        "accepted": one.accepted,
        "repeated": one.repeated,
        "corrected": one.corrected,
        "refused": one.refused_count,
        "refusals": [{"line": line, "reason": reason} for line, reason in one.refused],
    }


def steps(way: Sequence[Step]) -> list[dict[str, Any]]:
    """Return the way from readings to figures."""
    return [{"text": each.text, "fields": dict(each.fields)} for each in way]


def _energy(figure: Figure) -> dict[str, Any]:
    value = figure.value
    return {
        "kwh": None if value is None else value / JOULES_PER_KWH,
        "joules": value,
        **_grade(figure),
    }


def _water(figure: Figure) -> dict[str, Any]:
    value = figure.value
    return {
        "litres": None if value is None else value / _MILLILITRES_PER_LITRE,
        "millilitres": value,
        **_grade(figure),
    }


def _grade(figure: Figure) -> dict[str, Any]:
    return {
        "coverage_ratio": round(figure.coverage_ratio, 6),
        "quality": figure.quality.value,
        "method": figure.method,
        "reason": figure.reason,
    }
