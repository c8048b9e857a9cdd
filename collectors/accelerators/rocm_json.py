"""Reads the JSON of `rocm-smi` and of the tools that were made from it; pure.

An object for each card (`card0`), and in it texts by key, the unit in the key's last brackets.
Words may stand before and behind the JSON; keys come and go with every version.
"""

from __future__ import annotations

import collections
import itertools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from collectors.accelerators import quantities
from collectors.accelerators.cards import CardFacts, gpu_uuid, pci_address
from collectors.accelerators.quantities import Unknown

_CARD = re.compile(r"card([0-9]{1,4})")
# Words before the JSON may have a brace or two of their own; each costs a look at all that follows.
_MOST_STARTS = 20
_NUMBER = re.compile(r"0x[0-9a-fA-F]+|[0-9]+")
_MARKETING_NAME = re.compile(r".*\[(?:AMD )?([^\[\]/]+)\]")

# The edge sensor is what the tools' own tables show; not every chip has one.
_TEMPERATURES = ("edge", "core", "junction", "hotspot")
_POWERS = (
    "average graphics package power (w)",
    "current socket graphics package power (w)",
    "average socket graphics package power (w)",
)
_USES = ("gpu use (%)", "hcu use (%)", "dcu use (%)")
_NAMES = ("card series", "device name", "card model")


@dataclass(frozen=True, slots=True, kw_only=True)
class RocmCard:
    """Is one card's object: its number, and texts by key in small letters."""

    index: int
    texts: Mapping[str, str]

    @property
    def maker(self) -> str:
        """Return what the card says of its maker; "" where it says nothing."""
        return self.texts.get("card vendor", "")


def cards(text: str) -> list[RocmCard]:
    """Return the cards in the order of their numbers; [] where there is no whole JSON."""
    found: dict[int, RocmCard] = {}
    for key, value in _first_object(text).items():
        shape = _CARD.fullmatch(key)
        if shape is not None and isinstance(value, dict):
            texts = {
                name.strip().casefold(): str(each).strip()
                for name, each in value.items()
                if isinstance(each, str | int | float) and not isinstance(each, bool)
            }
            found[int(shape[1])] = RocmCard(index=int(shape[1]), texts=texts)
    return [found[index] for index in sorted(found)]


def facts(card: RocmCard) -> CardFacts:
    """Return what a card's object says."""
    total = quantities.not_nothing(_memory(card, "vram total memory"))
    name = _name(card)
    return CardFacts(
        index=card.index,
        uuid=gpu_uuid(card.texts.get("unique id", "")),
        pci_address=pci_address(card.texts.get("pci bus", "")),
        product_name=name,
        board_name=None if isinstance(name, Unknown) else _marketing_name(name),
        memory_total_bytes=total,
        memory_used_bytes=quantities.not_above(_memory(card, "vram total used memory"), total),
        utilization_ratio=quantities.ratio(_with_unit(_first(card, *_USES), "%")),
        temperature_celsius=_temperature(card),
        power_watts=quantities.watts(_with_unit(_first(card, *_POWERS), "W")),
        energy_joules=Unknown(reason="the tool has no counter of energy"),
        health=Unknown(reason="the tool says nothing of health"),
    )


def _name(card: RocmCard) -> str | Unknown:
    reason = Unknown(reason="the tool gives no name")
    for key in _NAMES:
        text = card.texts.get(key, "")
        name = quantities.word(text)
        if isinstance(name, Unknown):
            reason = name if text else reason
        # Where it knows no name, the tool prints the PCI id of the model.
        elif not _NUMBER.fullmatch(name):
            return name
    return reason


def _marketing_name(name: str) -> str | None:
    """Return the name in brackets of the PCI id table, if it is of one product only."""
    shape = _MARKETING_NAME.fullmatch(name)
    return shape[1].strip() if shape else None


def _temperature(card: RocmCard) -> float | Unknown:
    texts = (card.texts.get(f"temperature (sensor {name}) (c)", "") for name in _TEMPERATURES)
    values = [quantities.celsius(_with_unit(text, "C")) for text in texts if text]
    sure = [value for value in values if not isinstance(value, Unknown)]
    return next(iter(sure or values), Unknown(reason="the tool gives no temperature"))


def _memory(card: RocmCard, name: str) -> int | Unknown:
    for unit in ("B", "KiB", "MiB", "GiB"):
        text = card.texts.get(f"{name} ({unit.casefold()})")
        if text is not None:
            return quantities.size_bytes(_with_unit(text, unit))
    return Unknown(reason=f"the tool gives no {name}")


def _first(card: RocmCard, *keys: str) -> str:
    return next((card.texts[key] for key in keys if key in card.texts), "")


def _with_unit(text: str, unit: str) -> str:
    """Return a number with the unit of its key; a text that has one already keeps it."""
    return f"{text} {unit}" if text[-1:].isdigit() else text


def _first_object(text: str) -> Mapping[str, Any]:
    decoder = json.JSONDecoder(object_pairs_hook=_once)
    starts = re.finditer(r"^[ \t]*\{", text, re.MULTILINE)
    for start in itertools.islice(starts, _MOST_STARTS):
        try:
            value, _ = decoder.raw_decode(text, start.end() - 1)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict) and any(_CARD.fullmatch(key) for key in value):
            return value
    return {}


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object without the keys that stand in it twice: neither value is certain."""
    times = collections.Counter(name for name, _ in pairs)
    return {name: value for name, value in pairs if times[name] == 1}
