"""Reads the table that `xpu-smi` of XRE 5 prints, made after nvidia-smi's: a block for each device.

The header's lines say what stands in which cell of a block. A block with another number of lines
than the header is not understood: its device is listed, its values are unknown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from collectors.accelerators.kunlun import quantities
from collectors.accelerators.kunlun.facts import Chip, Missing, Number, Text

_FIRST = re.compile(r"\s*([0-9]{1,4})\s+(\S.*?)\s*")
_USAGE_AND_CAP = re.compile(r"(?:^|\s)(N/A|[0-9.]+W)\s*/\s*(?:N/A|[0-9.]+W)\s*$")
_Cells = list[str]


@dataclass(slots=True)
class _Block:
    lines: list[_Cells] = field(default_factory=list)
    is_closed: bool = False


def is_header(line: str) -> bool:
    """Whether a line is the first of the header: other parts have no address."""
    cells = _cells(line)
    return len(cells) >= 2 and cells[0].split()[:2] == ["XPU", "Name"] and "Bus-Id" in cells[1]


def parse(lines: Sequence[str]) -> list[Chip]:
    """Return the chips of the table in these lines; blocks without number are left out."""
    header: _Block | None = None
    chips = []
    for block in _blocks(lines):
        if header is None:
            if block.lines and is_header("|".join(["", *block.lines[0], ""])):
                header = block
            continue
        chip = _chip(block, header=header)
        if chip is not None:
            chips.append(chip)
    return chips


def _chip(block: _Block, *, header: _Block) -> Chip | None:
    width = len(header.lines[0])
    first = next((cells for cells in block.lines if len(cells) == width and _opens(cells)), None)
    match = None if first is None else _FIRST.fullmatch(first[0])
    if first is None or match is None:
        return None
    is_understood = block.lines[0] is first and (
        len(block.lines) == len(header.lines)
        or (not block.is_closed and len(block.lines) < len(header.lines))
    )
    cells = _named(block, header=header) if is_understood else {}
    used, total = _memory(cells)
    return Chip(
        index=int(match.group(1)),
        pci_address=quantities.pci_address(first[1], name="Bus-Id"),
        model=_name(match.group(2), header=header),
        serial=quantities.not_shown("serial number"),
        uuid=quantities.not_shown("UUID"),
        state=quantities.not_shown("state"),
        memory_total_bytes=total,
        memory_used_bytes=used,
        utilization_percent=_by_unit(cells, word="XPU-Util", unit="%"),
        temperature_celsius=_by_unit(cells, word="Temp", unit="C"),
        power_watts=_power(cells),
        uncorrected_errors=(
            quantities.whole(cells["Uncorr."], name="Uncorr. ECC")
            if "Uncorr." in cells
            else quantities.not_shown("Uncorr. ECC")
        ),
    )


def _opens(cells: _Cells) -> bool:
    return len(cells) > 1 and _FIRST.fullmatch(cells[0]) is not None


def _name(rest: str, *, header: _Block) -> Text:
    # The last word of the cell belongs to the last column of the header's cell.
    words = rest.split()
    if header.lines[0][0].split()[-1] != "Name":
        words = words[:-1]
    return quantities.text(" ".join(words), name="Name")


def _memory(cells: Mapping[str, str]) -> tuple[int | Missing, int | Missing]:
    if "Memory-Usage" not in cells:
        missing = quantities.not_shown("Memory-Usage")
        return missing, missing
    return quantities.memory_pair(cells["Memory-Usage"], name="Memory-Usage")


def _by_unit(cells: Mapping[str, str], *, word: str, unit: str) -> Number:
    """Return the one word of a cell that has a unit: its neighbours have none, or another."""
    if word not in cells:
        return quantities.not_shown(word)
    found = [each for each in cells[word].split() if _number_with(each, unit=unit)]
    if len(found) != 1:
        return quantities.no_value("N/A" if not found else cells[word], name=word)
    if unit == "%":
        return quantities.percent(found[0], name=word)
    return quantities.celsius(found[0], unit=unit, name=word)


def _number_with(word: str, *, unit: str) -> bool:
    return word.endswith(unit) and word[:1] in "-0123456789"


def _power(cells: Mapping[str, str]) -> Number:
    if "Pwr:Usage/Cap" not in cells:
        return quantities.not_shown("Pwr:Usage")
    match = _USAGE_AND_CAP.search(cells["Pwr:Usage/Cap"])
    if match is None:
        return Missing("not understood: the tool's power and its cap")
    return quantities.watts(match.group(1), unit="W", name="Pwr:Usage")


def _named(block: _Block, *, header: _Block) -> dict[str, str]:
    """Return a block's cells by each word of the header's cell at the same place."""
    found: dict[str, str] = {}
    for names, cells in zip(header.lines, block.lines, strict=False):
        if len(names) != len(cells):
            continue
        for name, cell in zip(names, cells, strict=True):
            found.update(dict.fromkeys(name.split(), cell))
    return found


def _blocks(lines: Sequence[str]) -> list[_Block]:
    blocks = [_Block()]
    for line in lines:
        stripped = line.strip()
        if not stripped:
            continue
        if stripped[0] in "+|" and set(stripped) <= set("+|-="):
            blocks[-1].is_closed = True
            blocks.append(_Block())
        elif stripped.startswith("|"):
            cells = _cells(stripped)
            if cells:
                blocks[-1].lines.append(cells)
    return [block for block in blocks if block.lines]


def _cells(line: str) -> _Cells:
    stripped = line.strip()
    if not stripped.startswith("|"):
        return []
    # A cell that no separator closes was cut.
    return stripped.split("|")[1:-1]
