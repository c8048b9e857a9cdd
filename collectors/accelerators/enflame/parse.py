"""Reads what `efsmi -q` and `efsmi` print; pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from agent.model.accelerator import Health
from collectors.accelerators import quantities, tables
from collectors.accelerators.cards import CardFacts, pci_address
from collectors.accelerators.quantities import Unknown, known
from collectors.accelerators.tables import Entry, TableLayout

_BLOCK = re.compile(r"DEV ID\s+([0-9]{1,4})")
_LAYOUT = TableLayout(
    title=("DEV", "Name", "BUS-ID"),
    phrases=("FW VER", "GCU Virt"),
    signs={
        "DEV": tables.INDEX,
        "BUS-ID": tables.BUS_ID,
        "Mem": tables.SIZE,
    },
)
# Version 1.2 parts power and its limit by blanks, 1.4 by a slash.
_POWER_AND_LIMIT = re.compile(r"([0-9.]+\s?W|N/?A)[ \t]{1,4}([0-9.]+\s?W|N/?A)(?=\s*\|)")

_NO_ENERGY = Unknown(reason="efsmi has no counter of energy")
_NOT_CLEAR = Unknown(reason="efsmi's table does not say what DUsed is a share of")


def query_cards(text: str) -> list[CardFacts]:
    """Return the cards of `efsmi -q`."""
    return [
        _queried(int(number), values)
        for number, values in tables.read_blocks(text, start=_BLOCK)
        if values
    ]


def table_cards(text: str) -> list[CardFacts]:
    """Return the cards of `efsmi`."""
    return [
        _listed(entry) for entry in tables.read_table(_POWER_AND_LIMIT.sub(r"\1/\2", text), _LAYOUT)
    ]


def any_cards(text: str) -> list[CardFacts]:
    """Return the cards of either form."""
    return query_cards(text) or table_cards(text)


def _queried(index: int, values: Mapping[str, str]) -> CardFacts:
    def text(*keys: str) -> str:
        return next((values[key] for key in keys if key in values), "")

    total = quantities.capacity_bytes(text("Total Size", "Mem Size"))
    used = quantities.size_bytes(text("Used Size", "Mem Usage"))
    address = f"{text('Domain') or '0'}:{text('Bus')}:{text('Dev')}.{text('Func')}"
    return CardFacts(
        index=index,
        uuid=known(quantities.word(text("Dev UUID"))),
        pci_address=pci_address(address),
        product_name=quantities.word(text("Dev Name")),
        memory_total_bytes=total,
        memory_used_bytes=quantities.not_above(used, total),
        utilization_ratio=quantities.ratio(text("GCU Usage")),
        temperature_celsius=quantities.celsius(text("GCU Temp")),
        power_watts=quantities.watts(text("Cur Power")),
        energy_joules=_NO_ENERGY,
        health=_health(text("Health")),
    )


def _health(text: str) -> Health | Unknown:
    answer = text.strip().casefold()
    if answer == "true":
        return Health.OK
    if answer == "false":
        return Health.CRITICAL
    return Unknown(reason=f"efsmi says of health: {text or 'nothing'}")


def _listed(entry: Entry) -> CardFacts:
    return CardFacts(
        index=int(entry.get("dev")),
        pci_address=pci_address(entry.get("bus-id")),
        product_name=quantities.word(entry.get("name")),
        memory_total_bytes=quantities.capacity_bytes(entry.get("mem")),
        memory_used_bytes=_NOT_CLEAR,
        utilization_ratio=_NOT_CLEAR,
        temperature_celsius=quantities.celsius(entry.get("temp")),
        power_watts=quantities.watts(quantities.parts(entry.get("pwr(usage/cap)"))[0]),
        energy_joules=_NO_ENERGY,
        health=Unknown(reason="efsmi's table says nothing of health"),
    )
