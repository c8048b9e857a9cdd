"""Meters and hours as people read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any

_UNKNOWN = "unknown"
_UNITS = (
    "Electricity in J (1 kWh = 3600000 J), water in ml, times in UTC "
    "(电量单位为焦耳，水量为毫升，时间为 UTC)."
)


def meter(document: Mapping[str, Any]) -> str:
    """Return a meter of `meters list`."""
    roles = ",".join(document["roles"]) or "no role"
    line = f"{document['name']:<16} {document['kind']:<12} {document['state']:<9} {roles}"
    if document["site"]:
        line += f"  {document['site']}"
    reading = document["reading"]
    if reading is not None:
        line += f"\n  {_values(reading)}, {_age(reading['age_seconds'])} ago"
    for trouble in (document["detail"], document["refused"] and f"not kept: {document['refused']}"):
        if trouble:
            line += f"\n  {trouble}"
    return line


def read(document: Mapping[str, Any]) -> str:
    """Return a meter of `meters read`."""
    line = f"{document['name']:<16} {document['kind']:<12} "
    reading = document["reading"]
    if reading is None:
        return f"{line}{document['error']}"
    line += _values(reading)
    if reading["reset_marker"]:
        line += f"  ({reading['reset_marker']})"
    return line + "".join(
        f"\n  {name} unknown: {reason}" for name, reason in reading["unknown"].items()
    )


def hours(documents: Sequence[Mapping[str, Any]], *, zone: tzinfo) -> str:
    """Return the table of `meters hours`; PUE and WUE with two decimals."""
    if not documents:
        return "no hour has been closed yet"
    lines = [
        f"{'hour':<22} {'facility kWh':>13} {'IT kWh':>13} {'green kWh':>13} {'water L':>11} "
        f"{'PUE':>8} {'WUE L/kWh':>9}  note"
    ]
    for each in documents:
        start = datetime.fromisoformat(each["start_at"].replace("Z", "+00:00")).astimezone(zone)
        lines.append(
            f"{start.strftime('%Y-%m-%d %H:%M%z'):<22} "
            f"{_number(each['facility']['kwh'], 3):>13} {_number(each['it']['kwh'], 3):>13} "
            f"{_number(each['green']['kwh'], 3):>13} {_number(each['water']['litres'], 1):>11} "
            f"{_number(each['pue'], 3):>8} {_number(each['wue_litres_per_kwh'], 3):>9}  "
            f"{_note(each)}".rstrip()
        )
    return "\n".join(lines)


def way(steps: Sequence[Mapping[str, Any]]) -> str:
    """Return the text of `meters explain`: whole numbers alone, so that it can be done again."""
    return "\n".join((_UNITS, *(step["text"] for step in steps)))


def _note(document: Mapping[str, Any]) -> str:
    notes = list(document["flags"])
    if document["version"] > 1:
        notes.append(f"version {document['version']}")
    partial = [
        f"{name} covers {document[name]['coverage_ratio']:.0%}"
        for name in ("facility", "it", "green", "water")
        if 0 < document[name]["coverage_ratio"] < 1
    ]
    return ", ".join(notes + partial)


def _values(reading: Mapping[str, Any]) -> str:
    values = [
        f"{_number(reading[key], decimals)} {unit}"
        for key, decimals, unit in (
            ("energy_kwh", 3, "kWh"),
            ("water_litres", 1, "L"),
            ("power_kw", 3, "kW"),
        )
        if reading[key] is not None
    ]
    return ", ".join(values) or "no value"


def _number(value: float | None, decimals: int) -> str:
    return _UNKNOWN if value is None else f"{value:.{decimals}f}"


def _age(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 600 else f"{seconds / 60:.0f} min"
