"""Reads the table that `npu-smi info` prints; pure.

The layout differs by chip and by version: columns are found by the words of the table's own head,
and a row that does not fit its head gives no values. Each chip has two lines; a line of `=` ends a
card. The table of processes below has rows that look like these, and is read by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from collectors.accelerators.ascend import process_table
from collectors.accelerators.ascend.facts import Chip, Memory, Missing, Number, Text

_BUS_ID = re.compile(r"(?:([0-9a-f]{4,8}):)?([0-9a-f]{2}:[0-9a-f]{2}\.[0-7])", re.IGNORECASE)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_COUNT = re.compile(r"\d{1,9}")
_MASKED = re.compile(r"[x*?]+", re.IGNORECASE)
_NOT_GIVEN = frozenset({"", "na", "n/a", "[n/a]", "-", "--", "err!", "null", "none", "unknown"})
_NO_BUS = frozenset({"", "na", "n/a", "-", "--"})
_NO_SUCH = re.compile(r"\[?\bN/A\b\]?", re.IGNORECASE)

# In the head: a name with its unit, which may be of several words, or one bare word.
_WITH_UNIT = re.compile(r"([^\s()][^()]*?)\s*\(([^()]*)\)")
_BARE = re.compile(r"NPU ID|\S+", re.IGNORECASE)
# In a row: "used / total", or one word.
_VALUE = re.compile(r"([^\s/]+)\s*/\s*([^\s/]+)|(\S+)")

_PAIRS = frozenset({"hugepages-usage", "memory-usage", "hbm-usage"})
_UNITS: Mapping[str, frozenset[str]] = {
    "power": frozenset({"w"}),
    "temp": frozenset({"c", "℃", "°c"}),
    "hugepages-usage": frozenset({"page"}),
    "aicore": frozenset({"%"}),
    "npu util": frozenset({"%"}),
    # MiB in fact: a card of 64 GiB shows 65536.
    "memory-usage": frozenset({"mb", "mib"}),
    "hbm-usage": frozenset({"mb", "mib"}),
}

_Value = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    unit: str | None


@dataclass(frozen=True, slots=True)
class _Line:
    """Is one line of a chip: words by column, values by column."""

    words: Mapping[str, str]
    values: Mapping[str, _Value | Missing]


@dataclass(slots=True)
class _Gathered:
    """Holds the chips found so far, and what is known of the cards that they sit on."""

    chips: list[Chip] = field(default_factory=list)
    counted: dict[int, int] = field(default_factory=dict)
    doubtful: set[int] = field(default_factory=set)
    block: list[Chip] = field(default_factory=list)
    block_is_doubtful: bool = False

    def end_block(self, *, is_complete: bool) -> None:
        for chip in self.block:
            self.counted[chip.card] = self.counted.get(chip.card, 0) + 1
            if self.block_is_doubtful or not is_complete:
                self.doubtful.add(chip.card)
        self.chips += self.block
        self.block = []
        self.block_is_doubtful = False

    def result(self) -> tuple[Chip, ...]:
        self.end_block(is_complete=False)
        return tuple(
            replace(
                chip,
                chips_on_card=None if chip.card in self.doubtful else self.counted[chip.card],
            )
            for chip in self.chips
        )


def parse(text: str) -> tuple[Chip, ...] | None:
    """Return the chips in the order of the table; None if the text holds no such table."""
    lines = iter(text.splitlines())
    head = _head(lines)
    if head is None:
        return None
    gathered = _Gathered()
    first: _Line | None = None
    seen: set[tuple[int, int]] = set()
    users = process_table.parse(())
    for line in lines:
        cells = _cells(line)
        if cells is None:
            if line.strip().startswith("+"):
                gathered.block_is_doubtful |= first is not None
                first = None
                if "=" in line:
                    gathered.end_block(is_complete=True)
            elif line.strip():
                gathered.block_is_doubtful = True
            continue
        if _is_head_of_processes(cells):
            users = process_table.parse((line, *lines))
            break
        second = None if first is None else _second_line(head[1], cells)
        if first is not None and second is not None:
            chip = _chip(first, second)
            first = None
            if (chip.card, chip.chip) not in seen:
                seen.add((chip.card, chip.chip))
                gathered.block.append(chip)
            continue
        another = _first_line(head[0], cells)
        gathered.block_is_doubtful |= another is None or first is not None
        first = another or first
    return tuple(
        replace(chip, users=users.of_chip(chip.card, chip.chip)) for chip in gathered.result()
    )


def bus_id(text: str) -> str | None:
    """Return a PCI address as the kernel writes it; None if the text is none."""
    found = _BUS_ID.fullmatch(text.strip())
    if found is None:
        return None
    domain = (found[1] or "0000").lower()
    while len(domain) > 4 and domain.startswith("0"):
        domain = domain[1:]
    return f"{domain}:{found[2].lower()}"


def given_text(text: str) -> Text:
    """Return a text that names something; Missing where it says "not available" or is masked."""
    words = " ".join(text.split())
    if words.lower() in _NOT_GIVEN:
        return Missing(f"npu-smi gives {words or 'nothing'}")
    if _MASKED.fullmatch(words):
        return Missing(f"npu-smi shows {words}: masked")
    return words


def _head(lines: Iterator[str]) -> tuple[list[list[_Column]], list[list[_Column]]] | None:
    """Read on past the head and return its two lines, as columns by cell."""
    upper: list[str] | None = None
    for line in lines:
        cells = _cells(line)
        if cells is None:
            continue
        words = " ".join(cells).lower()
        if upper is not None and "bus-id" in words:
            return [_columns(cell) for cell in upper], [_columns(cell) for cell in cells]
        upper = cells if "npu" in words and "health" in words else None
    return None


def _cells(line: str) -> list[str] | None:
    """Return the cells of a row; None for a border, and for a row that was cut."""
    bare = line.strip()
    if len(bare) < 2 or bare[0] != "|" or bare[-1] != "|":
        return None
    return [cell.strip() for cell in bare[1:-1].split("|")]


def _is_head_of_processes(cells: Sequence[str]) -> bool:
    return any(cell.lower().startswith("process id") for cell in cells)


def _columns(cell: str) -> list[_Column]:
    if "(" in cell:
        return [
            _Column(" ".join(name.lower().split()), unit.strip().lower())
            for name, unit in _WITH_UNIT.findall(cell)
        ]
    return [_Column(word.lower(), None) for word in _BARE.findall(cell)]


def _line(head: Sequence[Sequence[_Column]], cells: Sequence[str]) -> _Line | None:
    if len(head) != len(cells):
        return None
    words: dict[str, str] = {}
    values: dict[str, _Value | Missing] = {}
    for columns, cell in zip(head, cells, strict=True):
        if any(column.unit is not None for column in columns):
            values.update(_values(columns, cell))
        elif columns:
            parts = cell.split(maxsplit=len(columns) - 1) if len(columns) > 1 else [cell]
            if len(parts) != len(columns):
                return None
            if columns[-1].name != "name" and len(columns) > 1 and len(parts[-1].split()) > 1:
                return None
            words.update({column.name: part for column, part in zip(columns, parts, strict=True)})
        elif cell:
            return None
    return _Line(words, values)


def _values(columns: Sequence[_Column], cell: str) -> dict[str, _Value | Missing]:
    found: list[_Value] = [
        (word,) if word else (used, total)
        for used, total, word in _VALUE.findall(_NO_SUCH.sub("NA", cell))
    ]
    fitted = _fit(columns, found)
    if fitted is None:
        misfit = Missing("this row of npu-smi does not fit the head of its table")
        return {column.name: misfit for column in columns}
    result: dict[str, _Value | Missing] = {}
    for column, value in zip(columns, fitted, strict=True):
        units = _UNITS.get(column.name)
        if column.name in result:
            result[column.name] = Missing("npu-smi has two columns of this name")
        elif units is not None and column.unit not in units:
            result[column.name] = Missing(f"npu-smi gives it in an unknown unit: {column.unit}")
        else:
            result[column.name] = value
    return result


def _fit(columns: Sequence[_Column], found: Sequence[_Value]) -> list[_Value] | None:
    """Return the values in the order of the columns; None where it is not sure which is which."""
    if len(found) != len(columns):
        return None
    for column, value in zip(columns, found, strict=True):
        if column.name not in _UNITS:
            continue
        is_pair = len(value) == 2
        may_be_one_word = value[0].lower() in _NOT_GIVEN
        if is_pair != (column.name in _PAIRS) and not (may_be_one_word and not is_pair):
            return None
    return list(found)


def _first_line(head: Sequence[Sequence[_Column]], cells: Sequence[str]) -> _Line | None:
    line = _line(head, cells)
    if line is None or not _COUNT.fullmatch(_card(line)):
        return None
    health = line.words.get("health", "")
    is_word = health[:1].isalpha() or health.lower() in _NO_BUS
    return line if is_word and bus_id(health) is None else None


def _second_line(head: Sequence[Sequence[_Column]], cells: Sequence[str]) -> _Line | None:
    line = _line(head, cells)
    if line is None:
        return None
    # The 950 has one chip on each card and no column for it.
    numbers = [line.words.get(name, "0") for name in ("chip", "device", "phy-id")]
    if not all(_COUNT.fullmatch(number) for number in numbers):
        return None
    bus = line.words.get("bus-id", "?")
    return line if bus_id(bus) is not None or bus.lower() in _NO_BUS else None


def _card(line: _Line) -> str:
    return line.words.get("npu", line.words.get("npu id", ""))


def _chip(first: _Line, second: _Line) -> Chip:
    values = {**first.values, **second.values}
    number = second.words.get("device", second.words.get("phy-id", ""))
    index = int(number) if _COUNT.fullmatch(number) else None
    bus = second.words["bus-id"]
    return Chip(
        card=int(_card(first)),
        chip=int(second.words.get("chip", "0")),
        bus_id=bus_id(bus) or Missing(f"npu-smi gives {bus or 'nothing'}: no PCI device"),
        name=given_text(first.words.get("name", "")),
        health=given_text(first.words["health"]),
        power_watts=_number(values, "power"),
        temperature_celsius=_number(values, "temp"),
        utilization_percent=_number(values, "aicore" if "aicore" in values else "npu util"),
        memory=_memory(values, _memory_column(first, values)),
        index=index,
        node_number=index,
    )


def _memory_column(first: _Line, values: Mapping[str, _Value | Missing]) -> str:
    # A chip with HBM keeps its models there; the other pair is that of its control system. The 310
    # family has no HBM, whatever columns a table for several families has.
    is_310 = "310" in first.words.get("name", "")
    return "hbm-usage" if "hbm-usage" in values and not is_310 else "memory-usage"


def _number(values: Mapping[str, _Value | Missing], name: str) -> Number:
    value = values.get(name, Missing("not in the table of this npu-smi"))
    return value if isinstance(value, Missing) else _as_number(value[0])


def _memory(values: Mapping[str, _Value | Missing], name: str) -> Memory:
    value = values.get(name, Missing("not in the table of this npu-smi"))
    if isinstance(value, Missing):
        return Memory(used_mib=value, total_mib=value)
    return Memory(used_mib=_as_number(value[0]), total_mib=_as_number(value[-1]))


def _as_number(word: str) -> Number:
    if _NUMBER.fullmatch(word):
        return float(word)
    return Missing(f"npu-smi gives {word}")
