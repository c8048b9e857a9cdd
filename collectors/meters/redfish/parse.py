"""Redfish resources → energy and power; what is null or missing is unknown.

EnvironmentMetrics, PowerDistributionMetrics and PowerSupplyMetrics share their members `EnergykWh`
and `PowerWatts`; the older resource Power has `PowerControl`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeAlias

from collectors.meters import amounts

Resource: TypeAlias = Mapping[str, Any]

_LINK = re.compile(r"/[!-~]{1,500}")
_MOST_DIGITS = 40
_MEASURING = ("EnergykWh", "PowerWatts", "InputPowerWatts", "PowerControl")


@dataclass(frozen=True, slots=True, kw_only=True)
class Energy:
    """Is a register; `marker` changes when it begins anew."""

    joules: int
    marker: str


def resource(content: bytes) -> Resource:
    """Return a JSON object with its numbers exact; raises ValueError if it is none."""
    try:
        document = json.loads(content, parse_float=_decimal, parse_int=_integer)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(document, dict):
        raise ValueError("no object")  # noqa: TRY004 - what was sent is wrong, no argument
    return document


def link(resource: Resource, *names: str) -> str | None:
    """Return the path that a member of members refers to; None where there is none of this server.

    An address of another server is none: credentials are for this one.
    """
    value: Any = resource
    for name in (*names, "@odata.id"):
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    if not isinstance(value, str) or _LINK.fullmatch(value) is None or value.startswith("//"):
        return None
    return value.partition("#")[0]


def members(collection: Resource) -> tuple[str, ...]:
    """Return the paths of a collection's members, each once."""
    listed = collection.get("Members")
    if not isinstance(listed, list):
        return ()
    links = (link(each) for each in listed if isinstance(each, dict))
    return tuple(dict.fromkeys(each for each in links if each is not None))


def text(resource: Resource, name: str) -> str:
    """Return a text in one printable line, "" where there is none."""
    value = resource.get(name)
    if not isinstance(value, str):
        return ""
    return "".join(one if one.isprintable() else "?" for one in value.strip())[:100]


def measures(metrics: Resource) -> bool:
    """Tell whether a resource is meant to tell energy or power, be it null now."""
    return any(name in metrics for name in _MEASURING)


def energy(metrics: Resource) -> Energy | None:
    """Return the energy since it was made, or else since the sensor was reset."""
    found = metrics.get("EnergykWh")
    if not isinstance(found, dict):
        return None
    lifetime = _joules(found.get("LifetimeReading"))
    if lifetime is not None:
        return Energy(joules=lifetime, marker="lifetime")
    reading = _joules(found.get("Reading"))
    if reading is None:
        return None
    return Energy(joules=reading, marker=f"since {text(found, 'SensorResetTime') or '?'}")


def watts(metrics: Resource, name: str = "PowerWatts") -> float | None:
    """Return the power of a sensor excerpt."""
    found = metrics.get(name)
    return _watts(found.get("Reading")) if isinstance(found, dict) else None


def control_watts(power: Resource, *, own: str, chosen: Sequence[str]) -> float | None:
    """Return the power of a resource Power, whose entries may overlap.

    `own` is the path of the chassis, `chosen` the MemberIds that the operator wants added up; an
    entry that is about the chassis as a whole counts alone, several only if they are about
    different systems.

    Raises:
        ValueError: which entries count cannot be told, or one of them has no value.
    """
    listed = power.get("PowerControl")
    entries: Sequence[Resource] = (
        [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    )
    if not entries:
        return None
    if chosen:
        entries = [each for each in entries if text(each, "MemberId") in chosen]
        if len(entries) != len(set(chosen)):
            raise ValueError(f"PowerControl has not all of {', '.join(chosen)}")
    elif len(entries) > 1:
        entries = _apart(entries, own=own)
    values = [_watts(each.get("PowerConsumedWatts")) for each in entries]
    known = [value for value in values if value is not None]
    if len(known) != len(values):
        raise ValueError("PowerConsumedWatts is null")
    return sum(known)


def _apart(entries: Sequence[Resource], *, own: str) -> Sequence[Resource]:
    about = [_related(each) for each in entries]
    whole = [
        each
        for each, items in zip(entries, about, strict=True)
        if own in items or each.get("PhysicalContext") == "Chassis"
    ]
    if len(whole) == 1:
        return whole
    all_items = [item for items in about for item in items]
    are_systems = all("/Systems/" in item for item in all_items)
    if all(about) and are_systems and len(set(all_items)) == len(all_items):
        return entries
    names = ", ".join(text(each, "MemberId") or "?" for each in entries)
    raise ValueError(f"PowerControl has entries that may overlap ({names}); set power_control")


def _related(entry: Resource) -> list[str]:
    listed = entry.get("RelatedItem")
    links = (
        [link(each) for each in listed if isinstance(each, dict)]
        if isinstance(listed, list)
        else []
    )
    return [each for each in links if each is not None]


def _joules(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    try:
        return amounts.joules(value, unit="kwh")
    except ValueError:
        return None


def _watts(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    try:
        return amounts.watts(value)
    except (ValueError, OverflowError):
        return None


def _decimal(digits: str) -> Decimal | None:
    return Decimal(digits) if len(digits) <= _MOST_DIGITS else None


def _integer(digits: str) -> int | None:
    return int(digits) if len(digits) <= _MOST_DIGITS else None
