"""Reads the tables that vendors' tools print for people, by their header words; pure.

One card takes one line or several; the header has as many lines, and each of its words names
what stands below it. Cells are parted by `|` (or nothing), the values of one cell by blanks. So a
table may grow wider or get more columns and lines: what is not known is passed over, and a value
whose place is not certain is left out. A line that was cut off is not believed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

# Signs that many tools' tables share. What stands there for want of a value is a sign too: a sick
# card is listed all the same.
_NO_VALUE = r"-+(?:/-+)?|NA(?:/NA)?|F|ERR!|Unknown|Unsupported|[xX]+"
INDEX = re.compile(r"[0-9]{1,4}")
BUS_ID = re.compile(rf"[0-9a-fA-F:]+\.[0-7]|{_NO_VALUE}", re.IGNORECASE)
AMOUNTS = re.compile(
    rf"(?:[0-9x]+\s*(?:[KMG]i?B)?|{_NO_VALUE})/(?:[0-9x]+\s*[KMG]i?B|{_NO_VALUE})|{_NO_VALUE}",
    re.IGNORECASE,
)
SIZE = re.compile(rf"[0-9.x]+\s*[KMG]i?B|{_NO_VALUE}", re.IGNORECASE)
PERCENTAGE = re.compile(rf"[0-9.x]+\s*%|{_NO_VALUE}", re.IGNORECASE)
POWER = re.compile(rf"[0-9.x]+\s*W|{_NO_VALUE}", re.IGNORECASE)
TEMPERATURE = re.compile(rf"[0-9.x]+\s*C|{_NO_VALUE}", re.IGNORECASE)

_RULE = re.compile(r"[-=+|\s]*")
# No tool's table is as wide; what is longer is no line of one.
_LONGEST_LINE = 2000
_WIDE_GAP = re.compile(r"\s{2,}")
# Blanks inside one value: `N/A / N/A`, `22 MiB /     3072 MiB`, `104W / 350W`.
_SLASH = re.compile(r"\s*/\s*")
_NOT_AVAILABLE = re.compile(r"(?<![A-Za-z])N/A(?![A-Za-z])")


@dataclass(frozen=True, slots=True, kw_only=True)
class TableLayout:
    """Describes one tool's table.

    `title` are words that the first line of the header has, all of them. `phrases` are the header
    words that have blanks in them. `signs` tell an entry's lines from others: by header word, what
    a value below it looks like; a line belongs to an entry if every sign of its header line fits.
    A header line without a sign is not read. All words are compared without regard to case.
    """

    title: tuple[str, ...]
    signs: Mapping[str, re.Pattern[str]]
    phrases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Is one card's lines: texts by header word in small letters.

    A word that the header does not have, or whose value could not be found, is not there.
    `block` counts the rules across the whole table before it: two entries of one block are parted
    by no such rule.
    """

    block: int
    texts: Mapping[str, str] = field(default_factory=dict)

    def get(self, *words: str) -> str:
        """Return the text below the first of these words that has one, "" if none has."""
        return next((self.texts[each] for each in words if each in self.texts), "")


def read_table(text: str, layout: TableLayout) -> list[Entry]:
    """Return the entries of the first table that has the layout's title; [] without one."""
    lines = iter(_whole_lines(text))
    header = _header(lines, layout)
    if header is None:
        return []
    entries: list[Entry] = []
    block = 0
    # How many lines of the last entry are there: what comes next must be a later line of it.
    next_line = 0
    for line in lines:
        if _RULE.fullmatch(line):
            block += _is_rule_across(line)
            next_line = len(header) if _is_rule_across(line) else next_line
            continue
        texts = header[0].read(line)
        if texts is not None:
            entries.append(Entry(block=block, texts=MappingProxyType(texts)))
            next_line = 1
            continue
        for number in range(next_line, len(header)):
            texts = header[number].read(line)
            if texts is not None and entries:
                last = entries.pop()
                entries.append(
                    Entry(block=last.block, texts=MappingProxyType({**texts, **last.texts}))
                )
                next_line = number + 1
                break
    return entries


def read_blocks(text: str, *, start: re.Pattern[str]) -> list[tuple[str, dict[str, str]]]:
    """Return blocks of `key : value` lines: what `start` captured, and values by key.

    A block lasts to the next start. Of a key that stands there twice the first value counts.
    """
    blocks: list[tuple[str, dict[str, str]]] = []
    for line in _whole_lines(text):
        opening = start.fullmatch(line)
        if opening is not None:
            blocks.append((opening[1], {}))
            continue
        key, colon, value = line.partition(":")
        if colon and blocks:
            blocks[-1][1].setdefault(key.strip(), value.strip())
    return blocks


@dataclass(frozen=True, slots=True, kw_only=True)
class _HeaderLine:
    """Is one line of a header: the words of each cell, and the signs among them."""

    cells: tuple[tuple[str, ...], ...]
    signs: Mapping[str, re.Pattern[str]]
    is_closed: bool

    def read(self, line: str) -> dict[str, str] | None:
        """Return the texts of a line below this one; None if it is no such line."""
        if not self.signs or (self.is_closed and not (line[0] == "|" == line[-1])):
            return None
        cells = _cells(line)
        if len(cells) != len(self.cells):
            return None
        texts: dict[str, str] = {}
        for words, cell in zip(self.cells, cells, strict=True):
            values = self._values(cell, words)
            if values is not None:
                texts.update(zip(words, values, strict=True))
        for word, sign in self.signs.items():
            if not sign.fullmatch(texts.get(word, "")):
                return None
        return texts

    def _values(self, cell: str, words: tuple[str, ...]) -> Sequence[str] | None:
        joined = _SLASH.sub("/", _NOT_AVAILABLE.sub("NA", cell.strip()))
        wide = _WIDE_GAP.split(joined) if joined else []
        if len(wide) == len(words):
            return wide
        narrow = joined.split()
        if len(narrow) == len(words):
            return narrow
        # A narrow cell of a number and a name with blanks in it.
        if len(words) == 2 and len(narrow) > 2 and words[0] in self.signs and len(wide) == 1:
            return joined.split(maxsplit=1)
        return None


def _header(lines: Iterator[str], layout: TableLayout) -> tuple[_HeaderLine, ...] | None:
    title = {word.casefold() for word in layout.title}
    for line in lines:
        header = _header_line(line, layout)
        if not title <= {word for cell in header.cells for word in cell}:
            continue
        found = [header]
        if not header.is_closed and len(header.cells) == 1:
            return (header,)
        for below in lines:
            if _RULE.fullmatch(below):
                return _without_repeated_words(found)
            found.append(_header_line(below, layout))
    return None


def _without_repeated_words(header: Sequence[_HeaderLine]) -> tuple[_HeaderLine, ...] | None:
    """Return the header; None where one word names two columns, for then neither is certain."""
    words = [word for line in header for cell in line.cells for word in cell]
    read = {word for line in header if line.signs for cell in line.cells for word in cell}
    if any(words.count(word) > 1 for word in read):
        return None
    return tuple(header)


def _header_line(line: str, layout: TableLayout) -> _HeaderLine:
    phrases = sorted((each.casefold() for each in layout.phrases), key=len, reverse=True)
    cells = tuple(_words(cell.casefold(), phrases) for cell in _cells(line))
    words = {word for cell in cells for word in cell}
    return _HeaderLine(
        cells=cells,
        signs={
            word.casefold(): sign for word, sign in layout.signs.items() if word.casefold() in words
        },
        is_closed=line[:1] == "|" == line[-1:],
    )


def _words(cell: str, phrases: Sequence[str]) -> tuple[str, ...]:
    joined = " ".join(cell.split())
    for phrase in phrases:
        joined = joined.replace(phrase, phrase.replace(" ", "\x00"))
    return tuple(word.replace("\x00", " ") for word in joined.split())


def _cells(line: str) -> list[str]:
    inner = line.removeprefix("|").removesuffix("|")
    return inner.split("|")


def _whole_lines(text: str) -> list[str]:
    """Return the lines without blanks around them, less a last one that was cut off."""
    lines = text.split("\n")
    last = lines.pop().strip()
    if last.endswith("|"):
        lines.append(last)
    stripped = (line.strip() for line in lines if len(line) <= _LONGEST_LINE)
    return [line for line in stripped if line]


def _is_rule_across(line: str) -> bool:
    # A rule beside an empty cell (`|      |-----|`) parts the chips of one card.
    return " " not in line
