"""Reads what `acme-smi` prints; pure."""

from __future__ import annotations

import re

from agent.model.accelerator import Health
from collectors.accelerators import quantities, tables
from collectors.accelerators.cards import CardFacts, pci_address
from collectors.accelerators.quantities import Unknown
from collectors.accelerators.tables import Entry, TableLayout

# Columns are found by these words and not by their place; a line is a card's if every sign fits.
_LAYOUT = TableLayout(
    title=("Dev", "Name", "Bus-Id"),
    signs={
        "Dev": re.compile(r"[0-9]{1,4}"),
        "Bus-Id": re.compile(r"[0-9a-fA-F:]+\.[0-7]|N/?A"),
    },
)
# Only what the vendor calls well is well.
_HEALTH = {"OK": Health.OK, "WARNING": Health.WARNING, "ALARM": Health.CRITICAL}

_NO_ENERGY = Unknown(reason="acme-smi has no counter of energy")


def table_cards(text: str) -> list[CardFacts]:
    """Return the cards of `acme-smi`, in its order; [] where the text is no such table."""
    return [_card(entry) for entry in tables.read_table(text, _LAYOUT)]


def _card(entry: Entry) -> CardFacts:
    used_text, total_text = quantities.parts(entry.get("memory-usage"))
    total = quantities.capacity_bytes(total_text)
    used = quantities.size_bytes(used_text)
    return CardFacts(
        index=int(entry.get("dev")),
        pci_address=pci_address(entry.get("bus-id")),
        product_name=quantities.word(entry.get("name")),
        memory_total_bytes=total,
        memory_used_bytes=quantities.not_above(used, total),
        utilization_ratio=quantities.ratio(entry.get("util")),
        temperature_celsius=quantities.celsius(entry.get("temp")),
        power_watts=quantities.watts(entry.get("power")),
        energy_joules=_NO_ENERGY,
        health=_health(entry.get("health")),
    )


def _health(text: str) -> Health | Unknown:
    return _HEALTH.get(text) or Unknown(reason=f"acme-smi says of health: {text or 'nothing'}")
