"""Reads the `key : value` answers of `npu-smi info -t …`; pure.

An answer has blocks with blank lines between them. A block says whose it is with a "Chip ID", which
stands first in some answers and last in others, or with the name of a helper ("mcu"); one with
nothing but an "NPU ID" is the card's. A block that does not say it, or says it twice, is nobody's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from collectors.accelerators.ascend import table
from collectors.accelerators.ascend.facts import Missing, Number, Text

HELPERS = frozenset({"mcu", "3559"})

_UNIT = re.compile(r"(.*\S)\s*\(([^()]*)\)")
_COUNT = re.compile(r"\d{1,9}")
_NUMBER = re.compile(r"-?\d{1,12}(?:\.\d{1,6})?")


@dataclass(frozen=True, slots=True)
class Entry:
    """Is one value as it is written, with the unit that its key names, in small letters."""

    text: str
    unit: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Is what an answer says of a chip, of a helper on the card, or of the card as a whole.

    `card` is None where the answer does not tell; `chip` is None for a helper and for the card.
    Keys are in small letters, without their units. Of a key that comes twice nothing is known.
    """

    card: int | None
    chip: int | None
    helper: str | None
    entries: Mapping[str, Entry | Missing]

    def number(self, key: str, *, unit: str) -> Number:
        """Return a number; Missing where it is not given, or not in this unit."""
        entry = self._entry(key)
        if isinstance(entry, Missing):
            return entry
        if entry.unit != unit:
            return Missing(f"npu-smi gives it in an unknown unit: {entry.unit or 'none'}")
        if not _NUMBER.fullmatch(entry.text):
            return Missing(f"npu-smi gives {entry.text or 'nothing'}")
        return float(entry.text)

    def text(self, key: str) -> Text:
        """Return a text; Missing where it is not given, or masked."""
        entry = self._entry(key)
        return entry if isinstance(entry, Missing) else table.given_text(entry.text)

    def _entry(self, key: str) -> Entry | Missing:
        return self.entries.get(key, Missing("not in this answer of npu-smi"))


@dataclass(slots=True)
class _Block:
    entries: dict[str, Entry | Missing] = field(default_factory=dict)
    last_key: str = ""

    def add(self, key: str, entry: Entry) -> None:
        is_repeated = key in self.entries
        self.entries[key] = Missing("npu-smi gives it twice") if is_repeated else entry
        self.last_key = key

    def go_on(self, text: str) -> None:
        before = self.entries.get(self.last_key)
        if isinstance(before, Entry):
            self.entries[self.last_key] = Entry(f"{before.text}\n{text}", before.unit)

    def word(self, key: str) -> str | None:
        entry = self.entries.get(key)
        return entry.text if isinstance(entry, Entry) else None

    def names(self, key: str) -> bool:
        return key in self.entries


def sections(text: str, *, asked: tuple[int, int] | None = None) -> tuple[Section, ...]:
    """Return the sections of an answer, in its order.

    `asked` is the card and chip of the question; an answer that names neither is about these.
    """
    blocks = list(_blocks(text))
    names_nobody = not any(
        block.names("npu id") or block.names("chip id") or _helper(block) for block in blocks
    )
    if names_nobody:
        if asked is None or len(blocks) != 1:
            return ()
        card, chip = asked
        return (Section(card=card, chip=chip, helper=None, entries=blocks[0].entries),)
    found: list[Section] = []
    card_of_answer: int | None = None
    for block in blocks:
        if block.names("npu id"):
            card_of_answer = _count(block.word("npu id"))
            if card_of_answer is None:
                return tuple(found)
        section = _section(block, card=card_of_answer)
        if section is not None:
            found.append(section)
    return tuple(found)


def _section(block: _Block, *, card: int | None) -> Section | None:
    helper = _helper(block)
    if block.names("chip id"):
        chip = _count(block.word("chip id"))
        if chip is None or helper is not None:
            return None
        return Section(card=card, chip=chip, helper=None, entries=block.entries)
    if helper is None and not block.names("npu id"):
        return None
    return Section(card=card, chip=None, helper=helper, entries=block.entries)


def _helper(block: _Block) -> str | None:
    name = (block.word("chip name") or "").lower()
    return name if name in HELPERS else None


def _blocks(text: str) -> Iterator[_Block]:
    block = _Block()
    is_over = False
    # The last line of an answer that was cut may end in the middle of a number or a name.
    for whole in (line for line in text.splitlines(keepends=True) if line.endswith(("\n", "\r"))):
        line = whole.strip()
        if not line:
            is_over = True
            continue
        pair = _pair(line)
        if pair is None:
            continue
        key, entry = pair
        if not key:
            # A blank line may stand before what goes on with the value above.
            block.go_on(entry.text)
            continue
        if is_over and block.entries:
            yield block
            block = _Block()
        is_over = False
        block.add(key, entry)
    if block.entries:
        yield block


def _pair(line: str) -> tuple[str, Entry] | None:
    if line[0] in "|+":
        return None
    # A file of the driver (version.info) has the other sign.
    key, sign, value = line.partition(":" if ":" in line else "=")
    if not sign:
        return None
    name = " ".join(key.split())
    with_unit = _UNIT.fullmatch(name)
    unit = None
    if with_unit is not None:
        name, unit = with_unit[1], with_unit[2].strip().lower()
    return name.lower(), Entry(" ".join(value.split()), unit)


def _count(word: str | None) -> int | None:
    return int(word) if word is not None and _COUNT.fullmatch(word) else None
