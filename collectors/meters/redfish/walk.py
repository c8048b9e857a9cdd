"""Which resources of a Redfish service make one meter, and how they are added up.

A sum is all or nothing: a chassis that does not answer would look like a register that fell.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from agent.errors import ReadingUnavailable
from collectors.meters.redfish import parse
from collectors.meters.redfish.parse import Energy, Resource

Fetch: TypeAlias = Callable[[str], Resource]

ROOT = "/redfish/v1"
COLLECTIONS: Mapping[str, str] = {
    "chassis": f"{ROOT}/Chassis",
    "rack_pdus": f"{ROOT}/PowerEquipment/RackPDUs",
    "floor_pdus": f"{ROOT}/PowerEquipment/FloorPDUs",
    "power_shelves": f"{ROOT}/PowerEquipment/PowerShelves",
    "switchgear": f"{ROOT}/PowerEquipment/Switchgear",
}
_MOST_MEMBERS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """Is what all members together tell; None is unknown, with its reason in `unknown`."""

    joules: int | None
    watts: float | None
    marker: str | None
    unknown: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Member:
    """Is what one member tells; `measures` says that it has something to tell, be it null now."""

    name: str
    serial: str
    energy: Energy | None
    watts: float | None
    measures: bool
    no_watts: str = "no power is told"


def read(fetch: Fetch, *, source: str, names: Sequence[str], power_control: Sequence[str]) -> Sum:
    """Return the sum of the named members of a collection, or of all that stand alone.

    Raises:
        ReadingUnavailable: there are none, or one does not answer, or none tells anything.
    """
    found = _chosen(fetch, source=source, names=names)
    told = []
    for path, resource in found:
        if source == "chassis":
            told.append(_chassis(fetch, path, resource, power_control=power_control))
        else:
            told.append(_equipment(fetch, path, resource))
    if not names:
        # Of all, those that measure nothing (a rack, a drawer for disks) are no part of the sum.
        told = [each for each in told if each.measures] or told
    return _add(told)


def _chosen(fetch: Fetch, *, source: str, names: Sequence[str]) -> list[tuple[str, Resource]]:
    collection = COLLECTIONS[source]
    if names:
        return [(f"{collection}/{name}", fetch(f"{collection}/{name}")) for name in names]
    paths = parse.members(fetch(collection))
    if not paths:
        raise ReadingUnavailable(
            f"{collection} has no members", hint="set source to what this service has"
        )
    if len(paths) > _MOST_MEMBERS:
        raise ReadingUnavailable(
            f"{collection} has {len(paths)} members, at most {_MOST_MEMBERS} are read",
            hint="name those that count in members",
        )
    resources = [(path, fetch(path)) for path in paths]
    # What is inside another member is counted by that one.
    alone = [
        (path, resource)
        for path, resource in resources
        if parse.link(resource, "Links", "ContainedBy") not in paths
    ]
    return alone or resources


@dataclass(frozen=True, slots=True, kw_only=True)
class _Metrics:
    """Is what one resource of measurements tells."""

    energy: Energy | None = None
    watts: float | None = None
    measures: bool = False
    serial: str = ""


def _chassis(
    fetch: Fetch, path: str, resource: Resource, *, power_control: Sequence[str]
) -> _Member:
    own = _metrics(fetch, resource, "EnvironmentMetrics")
    energy, watts, measures = own.energy, own.watts, own.measures
    reason = "no power is told"
    if watts is None or energy is None:
        supplies = _supplies(fetch, resource)
        measures = measures or any(each.measures for each in supplies)
        energy = energy or _all_energy(supplies)
        if watts is None:
            watts = _all_watts(supplies)
    old = parse.link(resource, "Power")
    if watts is None and old is not None:
        power = fetch(old)
        measures = measures or parse.measures(power)
        try:
            watts = parse.control_watts(power, own=path, chosen=power_control)
        except ValueError as error:
            reason = str(error)
    return _Member(
        name=path.rpartition("/")[2],
        serial=parse.text(resource, "SerialNumber"),
        energy=energy,
        watts=watts,
        measures=measures,
        no_watts=reason,
    )


def _equipment(fetch: Fetch, path: str, resource: Resource) -> _Member:
    metrics = _metrics(fetch, resource, "Metrics")
    return _Member(
        name=path.rpartition("/")[2],
        serial=parse.text(resource, "SerialNumber"),
        energy=metrics.energy,
        watts=metrics.watts,
        measures=metrics.measures,
    )


def _metrics(fetch: Fetch, resource: Resource, name: str, *, watts: str = "PowerWatts") -> _Metrics:
    path = parse.link(resource, name)
    if path is None:
        return _Metrics()
    metrics = fetch(path)
    return _Metrics(
        energy=parse.energy(metrics),
        watts=parse.watts(metrics, watts),
        measures=parse.measures(metrics),
    )


def _supplies(fetch: Fetch, resource: Resource) -> list[_Metrics]:
    """Return what each power supply that is there takes in."""
    subsystem = parse.link(resource, "PowerSubsystem")
    if subsystem is None:
        return []
    collection = parse.link(fetch(subsystem), "PowerSupplies")
    if collection is None:
        return []
    told = []
    for path in parse.members(fetch(collection)):
        supply = fetch(path)
        status = supply.get("Status")
        if isinstance(status, dict) and status.get("State") == "Absent":
            continue
        metrics = _metrics(fetch, supply, "Metrics", watts="InputPowerWatts")
        serial = parse.text(supply, "SerialNumber") or path.rpartition("/")[2]
        told.append(replace(metrics, serial=serial))
    return told


def _all_energy(supplies: Sequence[_Metrics]) -> Energy | None:
    known = [(each.serial, each.energy) for each in supplies if each.energy is not None]
    if not known or len(known) != len(supplies):
        return None
    return Energy(
        joules=sum(energy.joules for _, energy in known),
        marker="+".join(f"{serial} {energy.marker}" for serial, energy in known),
    )


def _all_watts(supplies: Sequence[_Metrics]) -> float | None:
    known = [each.watts for each in supplies if each.watts is not None]
    return sum(known) if known and len(known) == len(supplies) else None


def _add(told: Sequence[_Member]) -> Sum:
    unknown: dict[str, str] = {}
    silent = [each.name for each in told if each.energy is None]
    if silent:
        unknown["energy_joules"] = f"{', '.join(silent)}: no energy is told"
    powerless = [f"{each.name}: {each.no_watts}" for each in told if each.watts is None]
    if powerless:
        unknown["power_watts"] = "; ".join(powerless)
    if silent and powerless:
        raise ReadingUnavailable(
            "; ".join(unknown.values()),
            hint="name in members what measures; see docs/meters/redfish.md",
        )
    energies = [each.energy for each in told if each.energy is not None]
    powers = [each.watts for each in told if each.watts is not None]
    marker = ", ".join(
        f"{each.name}/{each.serial or '-'}/{each.energy.marker if each.energy else '-'}"
        for each in told
    )
    return Sum(
        joules=None if silent else sum(each.joules for each in energies),
        watts=None if powerless else sum(powers),
        marker=None if silent else marker,
        unknown=unknown,
    )
