"""Reads the table of `mthreads-gmi`; pure."""

from __future__ import annotations

from collectors.accelerators import quantities, tables
from collectors.accelerators.cards import CardFacts, pci_address
from collectors.accelerators.quantities import Unknown
from collectors.accelerators.tables import Entry, TableLayout

_LAYOUT = TableLayout(
    title=("ID", "Name", "PCIe", "%GPU", "Mem"),
    phrases=("Device Type", "Pcie Lane Width", "MPC Capable", "ECC Mode"),
    signs={
        "ID": tables.INDEX,
        "PCIe": tables.BUS_ID,
        "Temp": tables.TEMPERATURE,
    },
)


def table_cards(text: str) -> list[CardFacts]:
    """Return the cards that are listed."""
    return [_card(entry) for entry in tables.read_table(text, _LAYOUT)]


def _card(entry: Entry) -> CardFacts:
    used, total = quantities.parts(entry.get("mem"))
    total_bytes = quantities.capacity_bytes(total)
    return CardFacts(
        index=int(entry.get("id")),
        pci_address=pci_address(entry.get("pcie")),
        product_name=quantities.word(entry.get("name")),
        memory_total_bytes=total_bytes,
        memory_used_bytes=quantities.not_above(quantities.size_bytes(used), total_bytes),
        utilization_ratio=quantities.ratio(entry.get("%gpu")),
        temperature_celsius=quantities.celsius(entry.get("temp")),
        power_watts=Unknown(reason="mthreads-gmi's table has no power"),
        energy_joules=Unknown(reason="mthreads-gmi's table has no counter of energy"),
        health=Unknown(reason="mthreads-gmi's table says nothing of health"),
    )
