"""Reads the table of `ixsmi`; pure."""

from __future__ import annotations

from collectors.accelerators import quantities, tables
from collectors.accelerators.cards import CardFacts, pci_address
from collectors.accelerators.quantities import Unknown
from collectors.accelerators.tables import Entry, TableLayout

_LAYOUT = TableLayout(
    title=("GPU", "Name", "Bus-Id"),
    phrases=("Compute M.",),
    signs={
        "GPU": tables.INDEX,
        "Bus-Id": tables.BUS_ID,
        "Memory-Usage": tables.AMOUNTS,
    },
)


def table_cards(text: str) -> list[CardFacts]:
    """Return the chips that are listed."""
    return [_chip(entry) for entry in tables.read_table(text, _LAYOUT)]


def _chip(entry: Entry) -> CardFacts:
    used, total = quantities.parts(entry.get("memory-usage"))
    total_bytes = quantities.capacity_bytes(total)
    return CardFacts(
        index=int(entry.get("gpu")),
        pci_address=pci_address(entry.get("bus-id")),
        product_name=quantities.word(entry.get("name")),
        memory_total_bytes=total_bytes,
        memory_used_bytes=quantities.not_above(quantities.size_bytes(used), total_bytes),
        utilization_ratio=quantities.ratio(entry.get("gpu-util")),
        temperature_celsius=quantities.celsius(entry.get("temp")),
        # A board of two chips measures its power at one of them and gives none for the other.
        power_watts=quantities.watts(quantities.parts(entry.get("pwr:usage/cap"))[0]),
        energy_joules=Unknown(reason="ixsmi's table has no counter of energy"),
        health=Unknown(reason="ixsmi's table says nothing of health"),
    )
