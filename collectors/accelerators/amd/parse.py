"""Reads the JSON of AMD's `rocm-smi`; pure."""

from __future__ import annotations

import re

from collectors.accelerators import rocm_json
from collectors.accelerators.cards import CardFacts
from collectors.accelerators.rocm_json import RocmCard

_AMD_WORDS = re.compile(r"Advanced Micro Devices|\bAMD\b", re.IGNORECASE)
_OTHER_WORDS = re.compile(r"\b[DH]CU\b|Haiguang|HYGON", re.IGNORECASE)


def json_cards(text: str) -> list[CardFacts]:
    """Return the cards of `--json`, less those of another maker, whose tool has the same name."""
    return [rocm_json.facts(card) for card in rocm_json.cards(text) if not _is_of_another(card)]


def is_amd(text: str) -> bool:
    """Return whether any card says that it is AMD's."""
    return any(_AMD_WORDS.search(card.maker) for card in rocm_json.cards(text))


def _is_of_another(card: RocmCard) -> bool:
    if card.maker:
        return not _AMD_WORDS.search(card.maker)
    return any(_OTHER_WORDS.search(each) for pair in card.texts.items() for each in pair)
