"""Turns raw facts into the model: base units, a name for each chip, reasons for unknowns; pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeVar

from agent.model.accelerator import Accelerator, AcceleratorKind, AcceleratorReading, Health
from collectors.accelerators import processes, quantities
from collectors.accelerators.cambricon.facts import (
    Chip,
    Instance,
    Load,
    Number,
    Text,
    Unknown,
    Users,
    known,
)
from collectors.accelerators.processes import Processes

VENDOR = "cambricon"

_MEBIBYTE = 1024 * 1024
# Products with a known number of chips that each have an entry of their own. The MLU370-X8 shows
# the power of the whole card, and the cap of the whole card, in both.
_CHIPS_ON_CARD: Mapping[str, int] = MappingProxyType(
    {"MLU370-S4": 1, "MLU370-X4": 1, "MLU370-X8": 2}
)
_UUID = re.compile(r"(?:MLU-)?([0-9A-Za-z]{1,16}(?:-[0-9A-Za-z]{1,16}){1,7})")

_Value = TypeVar("_Value", int, float)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Is one entry of the list with its reading, and what a container is given for it.

    `index` is the driver's number of the chip, also of the chip that an instance was cut from.
    `nodes` are the device nodes of an instance; () for a whole chip.
    """

    accelerator: Accelerator
    reading: AcceleratorReading
    index: int
    nodes: tuple[str, ...] = ()
    because: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Card:
    """Is the card that a chip sits on: the index of its chips, in order."""

    indices: tuple[int, ...]
    name: str


@dataclass(slots=True)
class _Values:
    """Gathers values of one object, and beside them why some are unknown."""

    unknown: dict[str, str] = field(default_factory=dict)

    def number(
        self,
        name: str,
        answer: Number,
        *,
        convert: Callable[[float], _Value],
        low: float,
        high: float,
    ) -> _Value | None:
        if isinstance(answer, Unknown):
            self.unknown[name] = answer.reason
            return None
        if not low <= answer <= high:
            self.unknown[name] = f"not plausible: the driver answered {answer}"
            return None
        return convert(answer)

    def users(self, answer: Users, *, memory_total_bytes: int | None) -> Processes | None:
        if isinstance(answer, Unknown):
            self.unknown["processes"] = answer.reason
            return None
        found = processes.gathered(answer, memory_total_bytes=memory_total_bytes)
        if isinstance(found, quantities.Unknown):
            self.unknown["processes"] = found.reason
            return None
        return found

    def text(self, name: str, answer: Text) -> str | None:
        if isinstance(answer, Unknown) or not answer:
            self.unknown[name] = answer.reason if isinstance(answer, Unknown) else "left blank"
            return None
        return answer


def entries(
    chips: Sequence[Chip], *, source: str, names_by_address: Mapping[str, str] | None = None
) -> list[Entry]:
    """Return one entry for each chip that can be scheduled, instances in place of their chip.

    `names_by_address` holds the names that the library gave to PCI addresses before: cnmon's table
    has no UUID, so that a chip read through it keeps the name that it had.
    """
    uuids = _uuids(chips, names_by_address or {})
    cards = _cards(chips)
    powers = _powers(chips, cards)
    listed: list[Entry] = []
    for chip, uuid in zip(chips, uuids, strict=True):
        whole = _whole(
            chip, uuid=uuid, source=source, card=cards.get(chip.index), power=powers[chip.index]
        )
        if chip.instances:
            listed += [_part(each, chip=chip, whole=whole) for each in chip.instances]
        else:
            listed.append(whole)
    return listed


def given_uuid(answer: Text) -> str | None:
    """Return a UUID as the vendor's own scheduler names the chip: "MLU-" and the number."""
    if isinstance(answer, Unknown):
        return None
    found = _UUID.fullmatch(answer.strip())
    if found is None or not found[1].strip("0-"):
        return None
    return f"MLU-{found[1]}"


def _uuids(chips: Sequence[Chip], names_by_address: Mapping[str, str]) -> list[str]:
    """Return a name for each chip: its UUID, else its PCI address, else its number.

    A UUID that two chips claim names neither.
    """
    given = [given_uuid(chip.uuid) for chip in chips]
    claims = Counter(uuid for uuid in given if uuid is not None)
    addresses = Counter(known(chip.pci_address) for chip in chips)
    names = []
    for chip, uuid in zip(chips, given, strict=True):
        address = known(chip.pci_address)
        if uuid is not None and claims[uuid] == 1:
            names.append(uuid)
        elif address is not None and addresses[address] == 1:
            names.append(names_by_address.get(address, f"{VENDOR}-{address}"))
        else:
            names.append(f"{VENDOR}-card{chip.index}")
    return names


def _whole(chip: Chip, *, uuid: str, source: str, card: _Card | None, power: Number) -> Entry:
    identity, values = _Values(), _Values()
    accelerator = Accelerator(
        uuid=uuid,
        vendor=VENDOR,
        kind=AcceleratorKind.MLU,
        index=chip.index,
        product_name=identity.text("product_name", chip.name),
        memory_total_bytes=_memory_total(identity, chip.load),
        pci_address=identity.text("pci_address", chip.pci_address),
        board_name=_board_name(chip.name),
        card=None if card is None else card.name,
        chips_on_card=None if card is None else len(card.indices),
        source=source,
        unknown=identity.unknown,
    )
    health = _health(values, chip)
    reading = AcceleratorReading(
        uuid=uuid,
        memory_used_bytes=_memory_used(values, chip.load),
        utilization_ratio=_utilization(values, chip.load),
        # Silicon at work is warmer than 0 degrees; cndev has 0 and -1 where it measures nothing.
        temperature_celsius=values.number(
            "temperature_celsius", chip.temperature_celsius, convert=float, low=1, high=200
        ),
        power_watts=values.number("power_watts", power, convert=float, low=1, high=5000),
        health=health,
        processes=values.users(chip.users, memory_total_bytes=accelerator.memory_total_bytes),
        unknown={
            **values.unknown,
            "energy_joules": f"not offered by {source}",
        },
    )
    return Entry(
        accelerator=accelerator, reading=reading, index=chip.index, because=chip.verdict.because
    )


def _part(instance: Instance, *, chip: Chip, whole: Entry) -> Entry:
    """Return the entry of an instance; its health is that of its chip.

    Power and temperature exist once for the chip: given to each instance, a sum would count them as
    often as there are instances, so that here they are unknown.
    """
    parent = whole.accelerator
    uuid = given_uuid(instance.uuid) or f"{parent.uuid}#{instance.number}"
    identity, values = _Values(), _Values()
    if parent.product_name is None:
        identity.unknown["product_name"] = parent.unknown["product_name"]
    if parent.pci_address is None:
        identity.unknown["pci_address"] = parent.unknown["pci_address"]
    accelerator = Accelerator(
        uuid=uuid,
        vendor=VENDOR,
        kind=AcceleratorKind.MLU,
        index=instance.number,
        product_name=_part_name(instance, parent),
        memory_total_bytes=_memory_total(identity, instance.load),
        pci_address=parent.pci_address,
        parent_uuid=parent.uuid,
        board_name=parent.board_name,
        card=parent.card,
        chips_on_card=parent.chips_on_card,
        source=parent.source,
        unknown=identity.unknown,
    )
    shared = f"measured for the whole chip {parent.uuid}"
    health = _health(values, chip)
    reading = AcceleratorReading(
        uuid=uuid,
        memory_used_bytes=_memory_used(values, instance.load),
        utilization_ratio=_utilization(values, instance.load),
        health=health,
        processes=values.users(instance.users, memory_total_bytes=accelerator.memory_total_bytes),
        unknown={
            **values.unknown,
            "temperature_celsius": shared,
            "power_watts": shared,
            "energy_joules": f"not offered by {parent.source}",
        },
    )
    return Entry(
        accelerator=accelerator,
        reading=reading,
        index=chip.index,
        nodes=instance.nodes,
        because=chip.verdict.because,
    )


def _board_name(name: Text) -> str | None:
    """Return the name if it is a product's ("MLU370-X8") and not only a chip's ("MLU370")."""
    text = known(name)
    return text if text is not None and "-" in text else None


def _part_name(instance: Instance, parent: Accelerator) -> str | None:
    profile = known(instance.profile)
    if parent.product_name is None or not profile or profile == parent.product_name:
        return parent.product_name
    return f"{parent.product_name} {profile}"


def _cards(chips: Sequence[Chip]) -> dict[int, _Card]:
    """Return the card of each chip whose card is known, by the index of the chip.

    Chips with the same serial number sit on one card. Without serial numbers, the product tells how
    many chips each of its cards has, and the driver counts the chips of a card one after another:
    that is used where the chips come out even.
    """
    groups: list[list[Chip]] = []
    by_serial: dict[tuple[str, str], list[Chip]] = {}
    by_product: dict[str, list[Chip]] = {}
    for chip in chips:
        name, serial = known(chip.name), known(chip.serial)
        if name is not None and serial is not None:
            by_serial.setdefault((name, serial), []).append(chip)
        elif name is not None and name in _CHIPS_ON_CARD:
            by_product.setdefault(name, []).append(chip)
    for (name, _), same in by_serial.items():
        expected = _CHIPS_ON_CARD.get(name)
        if expected is None or expected == len(same):
            groups.append(same)
        elif expected > len(same):  # numbers that differ on one card, or a lost chip
            by_product.setdefault(name, []).extend(same)
    for name, same in by_product.items():
        groups += _runs(sorted(same, key=lambda chip: chip.index), _CHIPS_ON_CARD[name])
    return {chip.index: _card(group) for group in groups for chip in group}


def _runs(chips: Sequence[Chip], length: int) -> list[list[Chip]]:
    """Return the chips in runs of one length with numbers that follow each other; [] if uneven."""
    if len(chips) % length:
        return []
    runs = [list(chips[start : start + length]) for start in range(0, len(chips), length)]
    if any(run[-1].index - run[0].index != length - 1 for run in runs):
        return []
    return runs


def _card(group: Sequence[Chip]) -> _Card:
    first = group[0]
    return _Card(
        indices=tuple(chip.index for chip in group),
        name=known(first.pci_address) or f"card{first.index}",
    )


def _powers(chips: Sequence[Chip], cards: Mapping[int, _Card]) -> dict[int, Number]:
    """Return the power to show for each chip: of a card with several chips, once.

    The first chip that tells it has it, so that a sum over chips counts a card once.
    """
    powers: dict[int, Number] = {}
    shown_at: dict[tuple[int, ...], int] = {}
    for chip in chips:
        card = cards.get(chip.index)
        is_shared = (card is not None and len(card.indices) > 1) or (
            card is None and _CHIPS_ON_CARD.get(known(chip.name) or "", 1) > 1
        )
        if not is_shared or isinstance(chip.power_watts, Unknown):
            powers[chip.index] = chip.power_watts
        elif card is None:
            powers[chip.index] = Unknown(
                "measured for the whole card, and which chips share a card cannot be told"
            )
        elif card.indices in shown_at:
            powers[chip.index] = Unknown(
                f"measured for the whole card; shown at chip {shown_at[card.indices]}"
            )
        else:
            shown_at[card.indices] = chip.index
            powers[chip.index] = chip.power_watts
    return powers


def _memory_total(values: _Values, load: Load) -> int | None:
    return values.number(
        "memory_total_bytes", load.memory_total_mebibytes, convert=_bytes, low=1, high=2**24
    )


def _memory_used(values: _Values, load: Load) -> int | None:
    total = load.memory_total_mebibytes
    most = 2**24 if isinstance(total, Unknown) or total < 1 else total
    return values.number(
        "memory_used_bytes", load.memory_used_mebibytes, convert=_bytes, low=0, high=most
    )


def _bytes(mebibytes: float) -> int:
    return int(mebibytes * _MEBIBYTE)


def _utilization(values: _Values, load: Load) -> float | None:
    return values.number(
        "utilization_ratio",
        load.utilization_percent,
        convert=lambda percent: percent / 100,
        low=0,
        high=100,
    )


def _health(values: _Values, chip: Chip) -> Health:
    if chip.verdict.health is Health.UNKNOWN:
        values.unknown["health"] = chip.verdict.because
    return chip.verdict.health
