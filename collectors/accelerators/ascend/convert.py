"""Turns what was read of a chip into the model: base units, a reason for each unknown; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from agent.model.accelerator import Accelerator, AcceleratorKind, AcceleratorReading, Health
from collectors.accelerators import processes
from collectors.accelerators.ascend.facts import (
    OF_WHOLE_CARD,
    Chip,
    Grade,
    Missing,
    Number,
    Text,
    Users,
)
from collectors.accelerators.quantities import Unknown

VENDOR = "ascend"
DCMI = "dcmi"
NPU_SMI = "npu-smi"

MIB = 1024 * 1024

# A minor alarm leaves the chip usable; with a major one the maker's own scheduler gives it no work.
_WORDS: Mapping[str, Health] = MappingProxyType(
    {
        "ok": Health.OK,
        "warning": Health.WARNING,
        "alarm": Health.CRITICAL,
        "critical": Health.CRITICAL,
    }
)
_LEVELS: Mapping[int, Health] = MappingProxyType(
    {0: Health.OK, 1: Health.WARNING, 2: Health.CRITICAL, 3: Health.CRITICAL}
)

_MOST_MEMORY_MIB = 16 * 1024 * 1024
_MOST_WATTS = 10_000
_FIRST_SLOT_NUMBER = 32
_NO_ENERGY = "Ascend chips count no energy"


@dataclass(slots=True)
class _Values:
    """Gathers values of one chip, and beside them why some are unknown."""

    unknown: dict[str, str] = field(default_factory=dict)

    def number(self, name: str, number: Number, *, low: float, high: float) -> float | None:
        if isinstance(number, Missing):
            self.unknown[name] = number.reason
            return None
        if not low <= number <= high:
            self.unknown[name] = f"not plausible: {number:g} was given"
            return None
        return number

    def text(self, name: str, text: Text) -> str | None:
        if isinstance(text, Missing):
            self.unknown[name] = text.reason
            return None
        return text


def uuid(chip: Chip) -> str:
    """Return the name of a chip, the same from library and tool and after a reboot.

    It is made of the PCI address and the number of the chip on its card; where there is no PCI
    address (a chip that is the system's own processor), of the number of the card.
    """
    place = f"npu{chip.card}" if isinstance(chip.bus_id, Missing) else chip.bus_id
    return f"{VENDOR}-{place}-{chip.chip}"


def accelerator(chip: Chip, *, source: str, position: int) -> Accelerator:
    """Return the chip's description; `position` is its place in the list."""
    values = _Values()
    total, _ = _memory(values, chip)
    values.unknown.pop("memory_used_bytes", None)
    return Accelerator(
        uuid=uuid(chip),
        vendor=VENDOR,
        kind=AcceleratorKind.NPU,
        index=_index(chip, position=position),
        product_name=values.text("product_name", chip.name),
        memory_total_bytes=total,
        pci_address=values.text("pci_address", chip.bus_id),
        board_name=chip.board_name,
        card=str(chip.card),
        chips_on_card=chip.chips_on_card,
        source=source,
        unknown=values.unknown,
    )


def reading(chip: Chip) -> AcceleratorReading:
    """Return what the chip does now."""
    values = _Values()
    _, used = _memory(values, chip)
    values.unknown.pop("memory_total_bytes", None)
    percent = values.number("utilization_ratio", chip.utilization_percent, low=0, high=100)
    values.unknown["energy_joules"] = _NO_ENERGY
    total = None if isinstance(chip.memory.total_mib, Missing) else chip.memory.total_mib
    return AcceleratorReading(
        uuid=uuid(chip),
        memory_used_bytes=used,
        utilization_ratio=None if percent is None else percent / 100,
        temperature_celsius=values.number(
            "temperature_celsius", chip.temperature_celsius, low=-60, high=200
        ),
        power_watts=_power(values, chip.power_watts),
        health=_health(values, chip.health),
        processes=_processes(values, chip.users, memory_total_bytes=_bytes(total)),
        unknown=values.unknown,
    )


def with_power_of_cards(chips: Sequence[Chip]) -> list[Chip]:
    """Return the chips; where only the first of a card has a power, the others say why.

    npu-smi shows the power of a card of two dies at the first die.
    """
    with_power: dict[int, list[int]] = {}
    for chip in chips:
        if not isinstance(chip.power_watts, Missing):
            with_power.setdefault(chip.card, []).append(chip.chip)
    return [
        replace(chip, power_watts=Missing(OF_WHOLE_CARD))
        if isinstance(chip.power_watts, Missing) and with_power.get(chip.card) == [0]
        else chip
        for chip in chips
    ]


def _index(chip: Chip, *, position: int) -> int:
    if chip.index is not None:
        return chip.index
    # Where the tool does not number chips, its cards have one chip each and go by their own number;
    # numbers such as 32768 are those of slots.
    has_one_chip = chip.chips_on_card in (None, 1)
    return chip.card if has_one_chip and chip.card < _FIRST_SLOT_NUMBER else position


def _memory(values: _Values, chip: Chip) -> tuple[int | None, int | None]:
    """Return total and used bytes."""
    memory = chip.memory
    total = values.number("memory_total_bytes", memory.total_mib, low=1, high=_MOST_MEMORY_MIB)
    most = _MOST_MEMORY_MIB if total is None else total
    used = values.number("memory_used_bytes", memory.used_mib, low=0, high=most)
    if total is None and used is not None:
        # A chip without this memory shows 0 of 0: a use without a size says nothing.
        values.unknown["memory_used_bytes"] = values.unknown["memory_total_bytes"]
        used = None
    return _bytes(total), _bytes(used)


def _bytes(mib: float | None) -> int | None:
    return None if mib is None else int(mib * MIB)


def _power(values: _Values, watts: Number) -> float | None:
    if watts == 0:
        values.unknown["power_watts"] = "not plausible: 0 W was given"
        return None
    return values.number("power_watts", watts, low=0, high=_MOST_WATTS)


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


def _health(values: _Values, grade: Grade) -> Health:
    if isinstance(grade, Missing):
        values.unknown["health"] = grade.reason
        return Health.UNKNOWN
    known = _LEVELS.get(grade) if isinstance(grade, int) else _WORDS.get(grade.lower())
    if known is None:
        values.unknown["health"] = f"no known grade: {grade}"
        return Health.UNKNOWN
    return known
