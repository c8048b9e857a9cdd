"""Reads the table of `bm-smi`; pure.

The chips of one card stand below each other; the cells that describe the card are filled in for
the first of them only. A value of `F` is the tool's own word for a fault.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from agent.model.accelerator import Health
from collectors.accelerators import quantities, tables
from collectors.accelerators.cards import CardFacts, pci_address
from collectors.accelerators.quantities import Unknown
from collectors.accelerators.tables import Entry, TableLayout

_LAYOUT = TableLayout(
    title=("card", "TPU", "chipT", "Tpu-Util"),
    signs={
        "TPU": tables.INDEX,
        "Tpu-Util": tables.PERCENTAGE,
        "Status": re.compile(r"[A-Za-z]+"),
        "Memory-Usage": tables.AMOUNTS,
        "Ion-Usage": tables.AMOUNTS,
    },
)
_UNITS = quantities.BYTES_WITH_BINARY_MB


def table_cards(text: str) -> list[CardFacts]:
    """Return the chips that are listed."""
    entries = tables.read_table(text, _LAYOUT)
    return [_chip(entry, _first_of_card(entries, number)) for number, entry in enumerate(entries)]


def _first_of_card(entries: Sequence[Entry], number: int) -> Entry | None:
    """Return the entry with the cells of this chip's card; None if it is not certain which."""
    for entry in reversed(entries[: number + 1]):
        if entry.block != entries[number].block:
            return None
        if entry.get("card"):
            return entry
    return None


def _chip(entry: Entry, card: Entry | None) -> CardFacts:
    used, total = quantities.parts(entry.get("memory-usage", "ion-usage"))
    total_bytes = quantities.capacity_bytes(total, units=_UNITS)
    used_bytes = quantities.size_bytes(used, units=_UNITS)
    return CardFacts(
        index=int(entry.get("tpu")),
        pci_address=pci_address(entry.get("bus-id")),
        product_name=quantities.word(card.get("name") if card else ""),
        card=_card_number(card),
        memory_total_bytes=total_bytes,
        # A chip in fault has 0MB of 0MB.
        memory_used_bytes=quantities.not_above(used_bytes, total_bytes),
        utilization_ratio=quantities.ratio(entry.get("tpu-util")),
        temperature_celsius=quantities.celsius(entry.get("chipt")),
        power_watts=quantities.watts(entry.get("tpu_p")),
        energy_joules=Unknown(reason="bm-smi has no counter of energy"),
        health=_health(entry.get("status")),
    )


def _card_number(card: Entry | None) -> str | None:
    number = card.get("card") if card else ""
    return number if re.fullmatch(r"[0-9a-f]{1,4}", number) else None


def _health(status: str) -> Health | Unknown:
    """Return the health: the driver knows a working chip (Active) and one in fault."""
    answer = status.casefold()
    if answer == "active":
        return Health.OK
    if answer == "fault":
        return Health.CRITICAL
    return Unknown(reason=f"bm-smi says of the chip's status: {status or 'nothing'}")
