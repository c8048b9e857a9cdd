"""Names accelerators as T/BAX 0006.5 annex H does; the names themselves are data (xpu_types.json).

The tables end before the market does. A card that they do not list is named by their own pattern,
BRAND-MODEL, so that a platform sees which card it is and not nothing.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Vendor:
    """Is how one vendor's product names lead to identifiers."""

    brand: str
    slice: re.Pattern[str] | None
    prefixes: Sequence[str]
    aliases: Sequence[tuple[re.Pattern[str], str]]


class AcceleratorIdentifiers:
    """Finds the identifier (`XpuType`) of a product; safe in every thread.

    It remembers what it has found, and so writes one line for each card that the tables lack.
    """

    def __init__(self) -> None:
        data = msgspec.json.decode(_DATA_FILE.read_bytes())
        self._listed = frozenset(row[3] for table in ("cards", "chips") for row in data[table])
        self._vendors = {name: _vendor(each) for name, each in data["vendors"].items()}
        self._found: dict[tuple[str, str], str] = {}

    def standard_identifier(self, accelerator: Accelerator) -> str | None:
        """Return the identifier of tables H.1 and H.2, or BRAND-MODEL; None if nothing is known.

        The name of the board counts before that of the chip.
        """
        vendor = accelerator.vendor
        product_name = accelerator.board_name or accelerator.product_name
        if product_name is None or not product_name.strip():
            return None
        key = (vendor, product_name)
        found = self._found.get(key)
        if found is None:
            found, is_listed = self._find(vendor, product_name.strip())
            if len(self._found) < _REMEMBERED_MAXIMUM:
                self._found[key] = found
                if not is_listed:
                    logger.info(
                        "accelerator is not in tables H.1 and H.2 vendor=%s product=%r sent_as=%s",
                        vendor,
                        product_name,
                        found,
                    )
        return found

    def _find(self, vendor: str, product_name: str) -> tuple[str, bool]:
        if product_name in self._listed:
            return product_name, True
        rules = self._vendors.get(vendor)
        if rules is None:
            return _extension(vendor.upper(), product_name), False
        name = product_name if rules.slice is None else rules.slice.sub("", product_name)
        for pattern, identifier in rules.aliases:
            if pattern.fullmatch(name):
                return identifier, True
        model = next(
            (name.removeprefix(each) for each in rules.prefixes if name.startswith(each)), name
        )
        return _extension(rules.brand, model), False


def _vendor(data: Mapping[str, Any]) -> _Vendor:
    slice_suffix = data.get("slice")
    return _Vendor(
        brand=data["brand"],
        slice=None if slice_suffix is None else re.compile(rf"{slice_suffix}\Z"),
        prefixes=tuple(data["prefixes"]),
        aliases=tuple((re.compile(pattern), found) for pattern, found in data["aliases"]),
    )


def _extension(brand: str, model: str) -> str:
    name = _NOT_IN_A_NAME.sub("-", model).strip("-")
    return f"{brand}-{name}"[:_EXTENSION_MAXIMUM].rstrip("-") if name else brand
