"""Turns facts into the model: identity, cards and functions, a reason for each unknown; pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TypeVar

from agent.model.accelerator import Accelerator, AcceleratorKind, AcceleratorReading, Health
from collectors.accelerators import processes
from collectors.accelerators.kunlun import explain
from collectors.accelerators.kunlun.facts import Chip, Missing, Number, Users
from collectors.accelerators.quantities import Unknown

VENDOR = "kunlun"

_Value = TypeVar("_Value", int, float, str)

# A card of K200 is two devices behind one PCI address; the others here were seen as one.
_CHIPS_ON_CARD: Mapping[str, int] = MappingProxyType({"K200": 2, "K100": 1, "R200": 1, "P800": 1})

# The words of the driver and of libxpuml; xpu_smi prints NORMAL as its first letter.
_STATES: Mapping[str, Health] = MappingProxyType(
    {
        "N": Health.OK,
        "NORMAL": Health.OK,
        "RUNNING": Health.OK,
        "IN RESET": Health.WARNING,
        "ERROR": Health.CRITICAL,
        "IN EXCEPTION": Health.CRITICAL,
    }
)
_CRITICAL_CODES = frozenset({explain.LOST, explain.RESET_REQUIRED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Is a chip with its identity and its place: what is listed."""

    chip: Chip
    uuid: str
    card: str | None
    chips_on_card: int | None
    parent_uuid: str | None
    power_watts: Number


@dataclass(slots=True)
class _Values:
    """Gathers values of one object, and beside them why some are unknown."""

    unknown: dict[str, str] = field(default_factory=dict)

    def take(self, name: str, value: _Value | Missing) -> _Value | None:
        if isinstance(value, Missing):
            self.unknown[name] = value.reason
            return None
        return value


def arrange(chips: Sequence[Chip]) -> list[Entry]:
    """Return the entries of a list of chips, in its order.

    An entry's uuid is the maker's; else the serial number and the chip's number on its card; else
    the PCI address and that number; else the index. A card that SR-IOV divides is left out where
    its functions are listed: they are what can be given away, and its memory is theirs.
    """
    chips = _without_repeats(chips)
    entries = [
        Entry(
            chip=chip,
            uuid=uuid,
            card=_card(chip),
            chips_on_card=_chips_on_card(chip, chips=chips),
            parent_uuid=None,
            power_watts=chip.power_watts,
        )
        for chip, uuid in zip(chips, _uuids(chips), strict=True)
    ]
    entries = _with_parents(entries)
    parents = {entry.parent_uuid for entry in entries}
    entries = [entry for entry in entries if entry.uuid not in parents]
    return _with_power(entries)


def accelerator(entry: Entry, *, source: str) -> Accelerator:
    """Return what does not change of an entry."""
    values = _Values()
    chip = entry.chip
    return Accelerator(
        uuid=entry.uuid,
        vendor=VENDOR,
        kind=AcceleratorKind.XPU,
        index=chip.index,
        product_name=values.take("product_name", chip.model),
        memory_total_bytes=values.take("memory_total_bytes", _memory_total(chip)),
        pci_address=values.take("pci_address", chip.pci_address),
        parent_uuid=entry.parent_uuid,
        card=entry.card,
        chips_on_card=entry.chips_on_card,
        source=source,
        unknown=values.unknown,
    )


def reading(entry: Entry, *, source: str) -> AcceleratorReading:
    """Return what an entry does now."""
    values = _Values()
    chip = entry.chip
    percent = values.take("utilization_ratio", chip.utilization_percent)
    temperature = chip.temperature_celsius
    if _is_function(chip):
        temperature = Missing("measured for the whole card")
    values.unknown["energy_joules"] = f"not offered by {source}"
    total = _memory_total(chip)
    return AcceleratorReading(
        uuid=entry.uuid,
        memory_used_bytes=values.take("memory_used_bytes", _memory_used(chip)),
        utilization_ratio=None if percent is None else percent / 100,
        temperature_celsius=values.take("temperature_celsius", temperature),
        power_watts=values.take("power_watts", entry.power_watts),
        energy_joules=None,
        health=_health(values, chip),
        processes=_processes(
            values, chip.users, memory_total_bytes=None if isinstance(total, Missing) else total
        ),
        unknown=values.unknown,
    )


def _processes(
    values: _Values, users: Users, *, memory_total_bytes: int | None
) -> processes.Processes | None:
    if isinstance(users, Missing):
        values.unknown["processes"] = users.reason
        return None
    found = processes.gathered(users, memory_total_bytes=memory_total_bytes)
    if isinstance(found, Unknown):
        values.unknown["processes"] = found.reason
        return None
    return found


def _health(values: _Values, chip: Chip) -> Health:
    health, because = Health.UNKNOWN, ""
    if isinstance(chip.state, Missing):
        because = chip.state.reason
        if chip.state.code in _CRITICAL_CODES:
            health = Health.CRITICAL
    else:
        health = _STATES.get(chip.state.upper(), Health.UNKNOWN)
        because = f"the card's state is '{chip.state}', which does not say whether it is well"
    errors = chip.uncorrected_errors
    if not isinstance(errors, Missing) and errors and health is not Health.CRITICAL:
        health = Health.WARNING
    if health is Health.UNKNOWN:
        values.unknown["health"] = because
    return health


def _memory_total(chip: Chip) -> int | Missing:
    if chip.memory_total_bytes == 0:
        return Missing("not plausible: a memory of 0 bytes")
    return chip.memory_total_bytes


def _memory_used(chip: Chip) -> int | Missing:
    used, total = chip.memory_used_bytes, _memory_total(chip)
    if isinstance(used, Missing) or isinstance(total, Missing):
        return used
    if used > total:
        return Missing(f"not plausible: {used} of {total} bytes")
    return used


def _without_repeats(chips: Sequence[Chip]) -> list[Chip]:
    """Return each chip once: a line that is printed twice is one chip."""
    found: dict[tuple[int, str], Chip] = {}
    for chip in chips:
        found.setdefault((chip.index, _text_or_empty(chip.pci_address)), chip)
    return list(found.values())


def _uuids(chips: Sequence[Chip]) -> list[str]:
    makers = Counter(chip.uuid for chip in chips if not isinstance(chip.uuid, Missing))
    # A serial number is one card's: the same at two addresses is a placeholder.
    places: dict[str, set[str]] = {}
    for chip in chips:
        if not isinstance(chip.serial, Missing) and not _is_function(chip):
            places.setdefault(chip.serial, set()).add(_text_or_empty(chip.pci_address))
    uuids: list[str] = []
    for place, (chip, number) in enumerate(zip(chips, _numbers_on_card(chips), strict=True)):
        names = []
        if not isinstance(chip.uuid, Missing) and makers[chip.uuid] == 1:
            names.append(chip.uuid)
        if (
            not isinstance(chip.serial, Missing)
            and not _is_function(chip)  # it has the serial number of its card
            and len(places[chip.serial]) == 1
        ):
            names.append(f"{chip.serial}-{number}")
        if not isinstance(chip.pci_address, Missing):
            names.append(f"{VENDOR}-{chip.pci_address}-{number}")
        names += [f"{VENDOR}#{chip.index}", f"{VENDOR}#{chip.index}-{place}"]
        uuids.append(next(name for name in names if name not in uuids))
    return uuids


def _numbers_on_card(chips: Sequence[Chip]) -> list[int]:
    """Return each chip's number on its card: the source's own, else its place among them."""
    groups: dict[str, list[Chip]] = {}
    for chip in chips:
        groups.setdefault(_card(chip) or f"#{chip.index}", []).append(chip)
    numbers = []
    for chip in chips:
        group = groups[_card(chip) or f"#{chip.index}"]
        given = [each.chip_on_card for each in group]
        if chip.chip_on_card is not None and len(set(given)) == len(given):
            numbers.append(chip.chip_on_card)
        else:
            numbers.append(group.index(chip))
    return numbers


def _with_parents(entries: Sequence[Entry]) -> list[Entry]:
    whole = [
        entry
        for entry in entries
        if not isinstance(entry.chip.model, Missing) and entry.chip.model.upper().endswith("-PF")
    ]
    return [
        replace(entry, parent_uuid=_parent(entry, whole=whole))
        if _is_function(entry.chip)
        else entry
        for entry in entries
    ]


def _parent(entry: Entry, *, whole: Sequence[Entry]) -> str | None:
    address = entry.chip.pci_address
    if isinstance(address, Missing):
        return None
    bus = address.rpartition(":")[0]
    near = [each for each in whole if _text_or_empty(each.chip.pci_address).startswith(f"{bus}:")]
    return near[0].uuid if len(near) == 1 else None


def _with_power(entries: Sequence[Entry]) -> list[Entry]:
    """Return entries of which one for each card has the card's power: a sum counts it once."""
    owners: dict[str, Entry] = {}
    measured: dict[str, Number] = {}
    for entry in entries:
        address = entry.chip.pci_address
        if isinstance(address, Missing) or _is_function(entry.chip):
            continue
        owners.setdefault(address, entry)
        if isinstance(measured.get(address, Missing("")), Missing):
            measured[address] = entry.power_watts
    arranged = []
    for entry in entries:
        power = entry.power_watts
        address = _text_or_empty(entry.chip.pci_address)
        if _is_function(entry.chip):
            power = Missing("measured for the whole card")
        elif address in owners:
            owner = owners[address]
            power = measured[address]
            if owner is not entry:
                power = Missing(f"measured for the whole card: see {owner.uuid}")
        arranged.append(replace(entry, power_watts=power))
    return arranged


def _card(chip: Chip) -> str | None:
    return None if isinstance(chip.pci_address, Missing) else chip.pci_address


def _chips_on_card(chip: Chip, *, chips: Sequence[Chip]) -> int | None:
    if isinstance(chip.pci_address, Missing) or _is_function(chip):
        return None
    here = sum(each.pci_address == chip.pci_address for each in chips)
    if here > 1:
        return here
    model = "" if isinstance(chip.model, Missing) else re.split(r"[ -]", chip.model)[0]
    return _CHIPS_ON_CARD.get(model)


def _is_function(chip: Chip) -> bool:
    return (
        not isinstance(chip.model, Missing)
        and re.search(r"-VF(?:-|$)", chip.model.upper()) is not None
    )


def _text_or_empty(text: str | Missing) -> str:
    return "" if isinstance(text, Missing) else text
