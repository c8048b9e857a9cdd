"""Reads the table of `mx-smi`, which is sold as `ht-smi` too; pure."""

from __future__ import annotations

from collectors.accelerators import quantities, tables
from collectors.accelerators.cards import CardFacts, pci_address
from collectors.accelerators.quantities import Unknown
from collectors.accelerators.tables import Entry, TableLayout

_LAYOUT = TableLayout(
    title=("GPU", "Name", "Bus-id"),
    signs={
        "GPU": tables.INDEX,
        "Bus-id": tables.BUS_ID,
        "Memory-Usage": tables.AMOUNTS,
    },
)


def table_cards(text: str) -> list[CardFacts]:
    """Return the chips that are listed."""
    return [_chip(entry) for entry in tables.read_table(text, _LAYOUT)]


def _chip(entry: Entry) -> CardFacts:
    used, total = quantities.parts(entry.get("memory-usage"))
    total_bytes = quantities.capacity_bytes(total)
    board = entry.get("board")
    state = entry.get("gpu-state")
    return CardFacts(
        index=int(entry.get("gpu")),
        pci_address=pci_address(entry.get("bus-id")),
        product_name=quantities.word(entry.get("name")),
        card=board if board.isdecimal() else None,
        memory_total_bytes=total_bytes,
        memory_used_bytes=quantities.not_above(quantities.size_bytes(used), total_bytes),
        utilization_ratio=quantities.ratio(entry.get("gpu-util")),
        temperature_celsius=quantities.celsius(entry.get("temp")),
        power_watts=quantities.watts(_power(entry)),
        energy_joules=Unknown(reason="mx-smi's table has no counter of energy"),
        # Whether a chip may be used is not whether it is well.
        health=Unknown(reason=f"mx-smi gives a state ({state or 'none'}) and no health"),
    )


def _power(entry: Entry) -> str:
    """Return the power; older versions of the tool print it without its limit."""
    text = entry.get("pwr:usage/cap", "power")
    return quantities.parts(text)[0] or text
