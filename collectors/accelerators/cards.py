"""What a vendor's tool says of one card, and the way from there into the model; pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from agent.model.accelerator import Accelerator, AcceleratorKind, AcceleratorReading, Health
from collectors.accelerators.processes import Processes
from collectors.accelerators.quantities import Unknown, known

_NOT_TOLD = Unknown(reason="the tool does not give it")
_NOT_READ = Unknown(reason="processes are not read from this tool")
_PCI_ADDRESS = re.compile(
    r"(?:([0-9a-f]{1,8}):)?([0-9a-f]{2}):([01][0-9a-f])\.([0-7])", re.IGNORECASE
)
_DEVICE_ID = re.compile(r"(?:0x)?([0-9a-f]{1,16})", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class CardFacts:
    """Holds one chip as a tool describes it, in base units.

    `index` is the tool's own number. `uuid` is an identity that the vendor promises to be unique,
    None where the tool prints none. What a tool never gives keeps its default.
    """

    index: int
    uuid: str | None = None
    pci_address: str | None = None
    product_name: str | Unknown = _NOT_TOLD
    board_name: str | None = None
    card: str | None = None
    memory_total_bytes: int | Unknown = _NOT_TOLD
    memory_used_bytes: int | Unknown = _NOT_TOLD
    utilization_ratio: float | Unknown = _NOT_TOLD
    temperature_celsius: float | Unknown = _NOT_TOLD
    power_watts: float | Unknown = _NOT_TOLD
    energy_joules: int | Unknown = _NOT_TOLD
    health: Health | Unknown = _NOT_TOLD
    processes: Processes | Unknown = _NOT_READ


def pci_address(text: str) -> str | None:
    """Return a bus id as the kernel writes it, `0000:3b:00.0`; None if it is none.

    Tools write the domain with two to eight digits, or not at all.
    """
    shape = _PCI_ADDRESS.fullmatch(text.strip())
    if shape is None:
        return None
    domain = int(shape[1] or "0", 16)
    return f"{domain:04x}:{shape[2]}:{shape[3]}.{shape[4]}".lower()


def gpu_uuid(unique_id: str) -> str | None:
    """Return the name that ROCm gives a chip (`GPU-` and 16 digits); None if the id is none."""
    shape = _DEVICE_ID.fullmatch(unique_id.strip())
    if shape is None or not shape[1].strip("0") or not shape[1].lower().strip("f"):
        return None
    return f"GPU-{shape[1].lower():0>16}"


def identities(cards: Sequence[CardFacts], *, vendor: str) -> list[str]:
    """Return a unique identity of each card.

    It is the vendor's UUID; without one the vendor and the PCI address, which stay while the card
    stays in its slot; without that the vendor and the tool's number, which is all there is.
    """
    chosen = [card.uuid or f"{vendor}-{card.pci_address or card.index}" for card in cards]
    return [
        f"{identity}-{card.index}" if chosen.count(identity) > 1 else identity
        for card, identity in zip(cards, chosen, strict=True)
    ]


def by_index(cards: Sequence[CardFacts]) -> tuple[CardFacts, ...]:
    """Return the cards, each index once: a second table in one output tells of the same cards."""
    first: dict[int, CardFacts] = {}
    for card in cards:
        first.setdefault(card.index, card)
    return tuple(first.values())


def accelerator(
    card: CardFacts, *, uuid: str, vendor: str, kind: AcceleratorKind, source: str
) -> Accelerator:
    """Return what does not change of a card."""
    return Accelerator(
        uuid=uuid,
        vendor=vendor,
        kind=kind,
        index=card.index,
        product_name=known(card.product_name),
        memory_total_bytes=known(card.memory_total_bytes),
        pci_address=card.pci_address,
        board_name=card.board_name,
        card=card.card,
        source=source,
        unknown=_reasons(
            product_name=card.product_name, memory_total_bytes=card.memory_total_bytes
        ),
    )


def reading(card: CardFacts, *, uuid: str) -> AcceleratorReading:
    """Return what a card does now."""
    return AcceleratorReading(
        uuid=uuid,
        memory_used_bytes=known(card.memory_used_bytes),
        utilization_ratio=known(card.utilization_ratio),
        temperature_celsius=known(card.temperature_celsius),
        power_watts=known(card.power_watts),
        energy_joules=known(card.energy_joules),
        health=known(card.health) or Health.UNKNOWN,
        processes=known(card.processes),
        unknown=_reasons(
            memory_used_bytes=card.memory_used_bytes,
            utilization_ratio=card.utilization_ratio,
            temperature_celsius=card.temperature_celsius,
            power_watts=card.power_watts,
            energy_joules=card.energy_joules,
            health=card.health,
            processes=card.processes,
        ),
    )


def _reasons(**values: object) -> dict[str, str]:
    return {name: value.reason for name, value in values.items() if isinstance(value, Unknown)}
