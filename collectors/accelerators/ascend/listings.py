"""Reads the finer answers of npu-smi: `info -m`, `info -l` and `info -t product`; pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from collectors.accelerators.ascend import facts

_COLUMNS = re.compile(r"NPU ID|Slot ID|Chip ID|Chip Logic ID|Chip Phy-ID|Chip Name", re.IGNORECASE)
_COUNT = re.compile(r"\d{1,9}")
# Helpers on a card that no work can be given to.
_NO_CHIPS = frozenset({"mcu", "3559"})
_PRODUCT_KEYS = frozenset({"product name", "product type"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Is a chip as `info -m` lists it.

    `index` is its logical number, `node_number` the physical one, which its device node has.
    """

    card: int
    chip: int
    index: int | None
    node_number: int | None


def places(text: str) -> tuple[Place, ...]:
    """Return the chips that `npu-smi info -m` lists, without the helpers on the cards."""
    columns: list[str] = []
    found = []
    for line in _whole_lines(text):
        if not columns:
            names = [name.lower() for name in _COLUMNS.findall(line)]
            # A column that is not known here would shift the others.
            is_known = not _COLUMNS.sub("", line).strip()
            if is_known and {"npu id", "chip id"} <= set(names) and names[-1] == "chip name":
                columns = names
            continue
        words = line.split(maxsplit=len(columns) - 1)
        if len(words) != len(columns):
            continue
        place = _place(dict(zip(columns, words, strict=True)))
        if place is not None:
            found.append(place)
    return tuple(found)


def products(text: str, *, card: int | None = None) -> dict[int, str]:
    """Return the product of each card, as it is sold, from `info -l` or `info -t product`.

    `card` is the card that was asked for, where the answer does not say which it is about.
    """
    found: dict[int, str] = {}
    for line in _whole_lines(text):
        key, colon, value = line.partition(":")
        key = " ".join(key.split()).lower()
        if not colon:
            continue
        if key == "npu id":
            card = int(value) if _COUNT.fullmatch(value.strip()) else None
        elif key in _PRODUCT_KEYS and card is not None:
            name = facts.board_name(value)
            if name is not None:
                found[card] = name
    return found


def _whole_lines(text: str) -> Iterator[str]:
    # The last line of an answer that was cut may end in the middle of a number or a name.
    for line in text.splitlines(keepends=True):
        if line.endswith(("\n", "\r")):
            yield line.strip()


def _place(words: dict[str, str]) -> Place | None:
    logical = _count(words.get("chip logic id"))
    physical = _count(words.get("chip phy-id"))
    card, chip = _count(words["npu id"]), _count(words["chip id"])
    if card is None or chip is None or words["chip name"].strip().lower() in _NO_CHIPS:
        return None
    index = physical if logical is None else logical
    if index is None:
        return None
    return Place(
        card=card, chip=chip, index=index, node_number=logical if physical is None else physical
    )


def _count(word: str | None) -> int | None:
    return int(word) if word is not None and _COUNT.fullmatch(word) else None
