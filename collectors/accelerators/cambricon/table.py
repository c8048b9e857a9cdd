"""Reads the table that `cnmon` prints without arguments; pure.

    | Card  VF  Name       Firmware |               Bus-Id | Util        Ecc-Error |
    | Fan   Temp      Pwr:Usage/Cap |         Memory-Usage | SR-IOV   Compute-Mode |

The header says which value stands where: cells are counted, and words within a cell. Releases
rename, add and drop columns (release 4 has `Inited  Driver` in place of the bus id). A line that is
cut, or has another number of words than its header, gives unknown values and never shifted ones.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from agent.model.accelerator import Health
from collectors.accelerators.cambricon.facts import (
    Chip,
    Instance,
    Load,
    Number,
    Text,
    Unknown,
    Users,
    Verdict,
)

_NOT_SHOWN = Unknown("cnmon's table does not show it")
_NOT_SEEN = Unknown("a cnmon table that lists processes was never seen: it is not read")
_NOBODY = "No running processes found"
_NO_HEALTH = Verdict(health=Health.UNKNOWN, because="cnmon's table does not tell the health")

# Two values and their units are one word to the header.
_PAIR = re.compile(r"(\S+)\s*(W|[KMGT]i?B)\s*/\s*(\S+)\s*(W|[KMGT]i?B)(?=\s|$)")
_PERCENT = re.compile(r"(\d{1,3})%")
_CELSIUS = re.compile(r"(-?\d{1,3})C")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_CARD_NUMBER = re.compile(r"\d{1,4}")
_BUS_ID = re.compile(r"([0-9a-f]{4,8}):([0-9a-f]{2}):([0-9a-f]{2})\.([0-7])", re.IGNORECASE)
_NO_VALUE = frozenset({"", "-", "--", "/", "na", "n/a", "[n/a]", "err!"})
_INSTANCE_COLUMNS = ("vf", "mi")


@dataclass(frozen=True, slots=True)
class _Header:
    """Is the words of the header: for each line, for each cell."""

    lines: tuple[tuple[tuple[str, ...], ...], ...]

    def values(self, text: str, *, line: int) -> dict[str, str] | None:
        """Return the values of a line by column; None if it is no line of this kind.

        A cell whose words do not match its header is left out.
        """
        cells = _cells(text)
        if cells is None or len(cells) != len(self.lines[line]):
            return None
        values: dict[str, str] = {}
        for number, (columns, cell) in enumerate(zip(self.lines[line], cells, strict=True)):
            words = _words(cell)
            surplus = len(words) - len(columns)
            if surplus > 0 and "name" in columns:
                start = columns.index("name")
                name = " ".join(words[start : start + surplus + 1])
                words = [*words[:start], name, *words[start + surplus + 1 :]]
            if len(words) == len(columns):
                values.update(zip(columns, words, strict=True))
            elif number == 0:
                return None
        return values


@dataclass(slots=True)
class _Row:
    """Gathers what the lines of one entry say, by column."""

    values: dict[str, str]
    lines: int = 1
    instances: list[_Row] = field(default_factory=list)


def read(text: str) -> list[Chip]:
    """Return the chips of a table in its order; [] where there is no table."""
    lines = text.splitlines()
    users = _users(lines)
    return [_chip(row, users=users) for row in _rows(lines)]


def _users(lines: Sequence[str]) -> Users:
    """Return () where the table says that no process runs; a table that lists any was not seen."""
    start = next((at for at, line in enumerate(lines) if "Processes:" in line), len(lines))
    said = [" ".join(line.strip(" |").split()) for line in lines[start + 1 :] if line.strip()]
    if len(said) == 4 and said[2] == _NOBODY and said[3].startswith("+-"):
        return ()
    return _NOT_SHOWN if start == len(lines) else _NOT_SEEN


def _rows(lines: Sequence[str]) -> list[_Row]:
    found = _find_header(lines)
    if found is None:
        return []
    header, rest = found
    rows: list[_Row] = []
    current: _Row | None = None
    for line in rest:
        if "Processes" in line:
            break
        first = header.values(line, line=0)
        if first is not None and _CARD_NUMBER.fullmatch(first["card"]):
            current = _Row(first)
            if _instance_number(first) and rows and rows[-1].values["card"] == first["card"]:
                rows[-1].instances.append(current)
            else:
                rows.append(current)
        elif current is not None and current.lines < len(header.lines):
            further = header.values(line, line=current.lines)
            if further is not None:
                current.values.update(further)
                current.lines += 1
    # A number that comes again is of a table printed twice: the first is the one that is whole.
    return list({row.values["card"]: row for row in reversed(rows)}.values())[::-1]


def _find_header(lines: Sequence[str]) -> tuple[_Header, Sequence[str]] | None:
    for start, line in enumerate(lines):
        cells = _cells(line)
        if cells is None or not {"card", "name"} <= set(_columns(cells[0])):
            continue
        headers: list[tuple[tuple[str, ...], ...]] = []
        for number, below in enumerate(lines[start:], start):
            cells = _cells(below)
            if cells is None:
                continue
            if any("===" in cell for cell in cells):
                return _Header(tuple(headers)), lines[number + 1 :]
            headers.append(tuple(_columns(cell) for cell in cells))
        return None
    return None


def _cells(line: str) -> list[str] | None:
    """Return the cells of a line of the table; None for any other line, and for one cut short."""
    line = line.strip()
    if len(line) < 3 or not (line.startswith("|") and line.endswith("|")):
        return None
    # The line below the header joins its cells with "+".
    return (line.replace("+", "|") if "===" in line else line)[1:-1].split("|")


def _columns(cell: str) -> tuple[str, ...]:
    return tuple(word.lower() for word in cell.split())


def _words(cell: str) -> list[str]:
    words: list[str] = []
    position = 0
    for pair in _PAIR.finditer(cell):
        words += cell[position : pair.start()].split()
        words.append(pair.group())
        position = pair.end()
    return words + cell[position:].split()


def _instance_number(values: Mapping[str, str]) -> str | None:
    for column in _INSTANCE_COLUMNS:
        word = values.get(column, "")
        if _CARD_NUMBER.fullmatch(word):
            return word
    return None


def _chip(row: _Row, *, users: Users) -> Chip:
    values = row.values
    return Chip(
        index=int(values["card"]),
        uuid=_NOT_SHOWN,
        name=_word(values, "name"),
        pci_address=_pci_address(values),
        serial=_NOT_SHOWN,
        board_serial=_NOT_SHOWN,
        load=_load(values),
        temperature_celsius=_match(values, "temp", _CELSIUS),
        power_watts=_pair(values, "pwr:usage/cap", unit="W", place=1),
        verdict=_NO_HEALTH,
        users=users,
        instances=tuple(
            Instance(
                number=int(_instance_number(each.values) or 0),
                uuid=_NOT_SHOWN,
                profile=_word(each.values, "name"),
                load=_load(each.values),
                users=users,
            )
            for each in row.instances
        ),
    )


def _load(values: Mapping[str, str]) -> Load:
    return Load(
        memory_total_mebibytes=_pair(values, "memory-usage", unit="MiB", place=3),
        memory_used_mebibytes=_pair(values, "memory-usage", unit="MiB", place=1),
        utilization_percent=_match(values, "util", _PERCENT),
    )


def _pci_address(values: Mapping[str, str]) -> Text:
    word = _word(values, "bus-id")
    if isinstance(word, Unknown):
        return word
    found = _BUS_ID.fullmatch(word)
    if found is None:
        return _printed(word)
    domain, bus, device, function = (int(part, 16) for part in found.groups())
    return f"{domain:04x}:{bus:02x}:{device:02x}.{function:x}"


def _match(values: Mapping[str, str], column: str, pattern: re.Pattern[str]) -> Number:
    word = _word(values, column)
    if isinstance(word, Unknown):
        return word
    found = pattern.fullmatch(word)
    return _printed(word) if found is None else int(found[1])


def _pair(values: Mapping[str, str], column: str, *, unit: str, place: int) -> Number:
    word = _word(values, column)
    if isinstance(word, Unknown):
        return word
    found = _PAIR.fullmatch(word)
    if found is None or found[place + 1] != unit or _NUMBER.fullmatch(found[place]) is None:
        return _printed(word)
    number = float(found[place])
    return int(number) if number.is_integer() else number


def _word(values: Mapping[str, str], column: str) -> Text:
    word = values.get(column)
    if word is None:
        return _NOT_SHOWN
    return _printed(word) if word.lower() in _NO_VALUE else word


def _printed(word: str) -> Unknown:
    return Unknown(f"cnmon prints {' '.join(word.split())!r}")
