"""Names accelerators as T/BAX 0006.5 annex H does; the names themselves are data (xpu_types.json).

The tables end before the market does. A card that they do not list is named by their own pattern,
BRAND-MODEL, so that a platform sees which card it is and not nothing. A card that may be one of
several listed ones is given no name: a guess would be taken for knowledge.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from agent.model.accelerator import Accelerator

logger = logging.getLogger(__name__)

_DATA_FILE = Path(__file__).with_name("xpu_types.json")
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9./+]+")
_EXTENSION_MAXIMUM = 64
# Names come from a handful of cards; the bound is for a plugin that makes them up.
_REMEMBERED_MAXIMUM = 256

_Key = tuple[str, str | None, str | None, int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Identification:
    """Is the identifier of an accelerator (`XpuType`), or why it has none.

    Exactly one of the two is None. `is_listed` says that tables H.1 or H.2 have the identifier.
    """

    identifier: str | None
    unknown_because: str | None = None
    is_listed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    """Is one way from a product's name to an identifier, to a brand, or to an open question.

    `name` has to fit the whole name, of the board or of the chip; `chips_on_card` None fits any.
    """

    name: re.Pattern[str]
    chips_on_card: int | None
    identifier: str | None
    brand: str | None
    open: str | None

    def fits(self, name: str, *, chips_on_card: int | None) -> re.Match[str] | None:
        if self.chips_on_card is not None and self.chips_on_card != chips_on_card:
            return None
        return self.name.fullmatch(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Vendor:
    """Is how one vendor's product names lead to identifiers."""

    brand: str
    slice: re.Pattern[str] | None
    prefixes: Sequence[str]
    rules: Sequence[_Rule]


class AcceleratorIdentifiers:
    """Finds the identifier (`XpuType`) of a product; safe in every thread.

    It remembers what it has found, and so writes one line for each card that the tables lack.
    """

    def __init__(self) -> None:
        data = msgspec.json.decode(_DATA_FILE.read_bytes())
        self._listed = frozenset(row[3] for table in ("cards", "chips") for row in data[table])
        self._vendors = {name: _vendor(each) for name, each in data["vendors"].items()}
        self._found: dict[_Key, Identification] = {}

    def standard_identifier(self, accelerator: Accelerator) -> str | None:
        """Return the identifier of tables H.1 and H.2, or BRAND-MODEL; None if it stays open."""
        return self.identify(accelerator).identifier

    def identify(self, accelerator: Accelerator) -> Identification:
        """Return the identifier with its standing, or why there is none.

        The name of the board counts before that of the chip.
        """
        names = tuple(_names(accelerator))
        if not names:
            reason = accelerator.unknown.get("product_name", "the product is not known")
            return Identification(identifier=None, unknown_because=reason)
        key = (
            accelerator.vendor,
            accelerator.board_name,
            accelerator.product_name,
            accelerator.chips_on_card,
        )
        found = self._found.get(key)
        if found is None:
            found = self._find(
                accelerator.vendor, names=names, chips_on_card=accelerator.chips_on_card
            )
            if len(self._found) < _REMEMBERED_MAXIMUM:
                self._found[key] = found
                _log(found, vendor=accelerator.vendor, product_name=names[0])
        return found

    def _find(
        self, vendor: str, *, names: Sequence[str], chips_on_card: int | None
    ) -> Identification:
        for name in names:
            if name in self._listed:
                return Identification(identifier=name, is_listed=True)
        rules = self._vendors.get(vendor)
        if rules is None:
            return self._named(_extension(vendor.upper(), names[0]))
        if rules.slice is not None:
            names = [rules.slice.sub("", name) for name in names]
        for rule in rules.rules:
            for name in names:
                match = rule.fits(name, chips_on_card=chips_on_card)
                if match is None:
                    continue
                if rule.open is not None:
                    return Identification(identifier=None, unknown_because=rule.open)
                if rule.identifier is not None:
                    return self._named(rule.identifier)
                return self._named(_extension(rule.brand or rules.brand, match["model"]))
        model = next(
            (names[0].removeprefix(each) for each in rules.prefixes if names[0].startswith(each)),
            names[0],
        )
        return self._named(_extension(rules.brand, model))

    def _named(self, identifier: str) -> Identification:
        return Identification(identifier=identifier, is_listed=identifier in self._listed)


def _names(accelerator: Accelerator) -> Iterator[str]:
    for name in (accelerator.board_name, accelerator.product_name):
        if name is not None and name.strip():
            yield name.strip()


def _log(found: Identification, *, vendor: str, product_name: str) -> None:
    if found.identifier is None:
        logger.info(
            "accelerator stays without an identifier vendor=%s product=%r because=%r",
            vendor,
            product_name,
            found.unknown_because,
        )
    elif not found.is_listed:
        logger.info(
            "accelerator is not in tables H.1 and H.2 vendor=%s product=%r sent_as=%s",
            vendor,
            product_name,
            found.identifier,
        )


def _vendor(data: Mapping[str, Any]) -> _Vendor:
    slice_suffix = data.get("slice")
    return _Vendor(
        brand=data["brand"],
        slice=None if slice_suffix is None else re.compile(rf"{slice_suffix}\Z"),
        prefixes=tuple(data.get("prefixes", ())),
        rules=tuple(_rule(each) for each in data["rules"]),
    )


def _rule(data: Mapping[str, Any]) -> _Rule:
    return _Rule(
        name=re.compile(data["name"]),
        chips_on_card=data.get("chips_on_card"),
        identifier=data.get("identifier"),
        brand=data.get("brand"),
        open=data.get("open"),
    )


def _extension(brand: str, model: str) -> str:
    name = re.sub(r"-?/-?", "/", _NOT_IN_A_NAME.sub("-", model)).strip("-")
    return f"{brand}-{name}"[:_EXTENSION_MAXIMUM].rstrip("-") if name else brand
