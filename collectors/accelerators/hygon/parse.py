"""Reads what `hy-smi` and DTK's `rocm-smi` print: JSON, or their short table; pure."""

from __future__ import annotations

import re

from collectors.accelerators import quantities, rocm_json, tables
from collectors.accelerators.cards import CardFacts
from collectors.accelerators.quantities import Unknown
from collectors.accelerators.tables import Entry, TableLayout

_LAYOUT = TableLayout(
    title=("Temp", "AvgPwr", "VRAM%"),
    signs={
        "HCU": tables.INDEX,
        "DCU": tables.INDEX,
        "GPU": tables.INDEX,
        "AvgPwr": tables.POWER,
    },
)
_HYGON_WORDS = re.compile(r"\b[DH]CU\b|Haiguang|HYGON", re.IGNORECASE)
_AMD_WORDS = re.compile(r"Advanced Micro Devices|AMD/ATI", re.IGNORECASE)

_NO_SIZE = Unknown(reason="the tool's table gives memory in percent only")


def json_cards(text: str) -> list[CardFacts]:
    """Return the cards of `--json`, less those of another maker."""
    return [
        rocm_json.facts(card) for card in rocm_json.cards(text) if not _AMD_WORDS.search(card.maker)
    ]


def table_cards(text: str) -> list[CardFacts]:
    """Return the cards of the table that the tool prints without a question."""
    return [_card(entry) for entry in tables.read_table(text, _LAYOUT)]


def any_cards(text: str) -> list[CardFacts]:
    """Return the cards of either: a tool that does not know `--json` may print its table."""
    return json_cards(text) or table_cards(text)


def is_hygon(text: str) -> bool | None:
    """Return whether the cards are Hygon's; None where the text does not tell.

    AMD's tool and Hygon's are of one make and bear one name.
    """
    if _AMD_WORDS.search(text):
        return False
    return True if _HYGON_WORDS.search(text) else None


def _card(entry: Entry) -> CardFacts:
    return CardFacts(
        index=int(entry.get("hcu", "dcu", "gpu")),
        product_name=Unknown(reason="the tool's table gives no name"),
        memory_total_bytes=_NO_SIZE,
        memory_used_bytes=_NO_SIZE,
        utilization_ratio=quantities.ratio(entry.get("hcu%", "dcu%", "gpu%")),
        temperature_celsius=quantities.celsius(entry.get("temp")),
        power_watts=quantities.watts(entry.get("avgpwr")),
        energy_joules=Unknown(reason="the tool has no counter of energy"),
        health=Unknown(reason="the tool says nothing of health"),
    )
