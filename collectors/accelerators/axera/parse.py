"""Reads the table of `axcl-smi`; pure.

A card has two memories: that of the Linux system on it, and CMM, the part in which models and
their data lie. The memory of the accelerator is CMM.
"""

from __future__ import annotations

from collectors.accelerators import quantities, tables
from collectors.accelerators.cards import CardFacts, pci_address
from collectors.accelerators.quantities import Unknown
from collectors.accelerators.tables import Entry, TableLayout

_LAYOUT = TableLayout(
    title=("Card", "Name", "Bus-Id", "Memory-Usage"),
    signs={
        "Card": tables.INDEX,
        "Bus-Id": tables.BUS_ID,
        "CMM-Usage": tables.AMOUNTS,
    },
)


def table_cards(text: str) -> list[CardFacts]:
    """Return the cards that are listed."""
    return [_card(entry) for entry in tables.read_table(text, _LAYOUT)]


def _card(entry: Entry) -> CardFacts:
    used, total = quantities.parts(entry.get("cmm-usage"))
    total_bytes = quantities.capacity_bytes(total)
    return CardFacts(
        index=int(entry.get("card")),
        pci_address=pci_address(entry.get("bus-id")),
        product_name=quantities.word(entry.get("name")),
        memory_total_bytes=total_bytes,
        memory_used_bytes=quantities.not_above(quantities.size_bytes(used), total_bytes),
        utilization_ratio=quantities.ratio(entry.get("npu")),
        temperature_celsius=quantities.celsius(entry.get("temp")),
        power_watts=quantities.watts(quantities.parts(entry.get("pwr:usage/cap"))[0]),
        energy_joules=Unknown(reason="axcl-smi has no counter of energy"),
        health=Unknown(reason="axcl-smi says nothing of health"),
    )
