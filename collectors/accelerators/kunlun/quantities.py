"""Reads single cells of a tool's text: a number only where number and unit are what they must be.

A cell that a narrow column has cut, an unknown unit, or a value that no card can have gives
`Missing`, never a guess.
"""

from __future__ import annotations

import re

from collectors.accelerators.kunlun.facts import Missing, Number, Text, Whole

# The maker's own figures (8064 MB and 8455716864 bytes for one K200 chip) show that MB is MiB.
_BYTES_OF_UNIT = {"MB": 1 << 20, "MiB": 1 << 20, "GiB": 1 << 30, "KiB": 1 << 10}

_NO_VALUE = frozenset(
    {"", "-", "--", "n/a", "[n/a]", "na", "err!", "none", "unknown", "not supported"}
    | {"[unknown error]", "unknown error", "[not supported]"}
)
_INTEGER = re.compile(r"[0-9]{1,15}")
_DECIMAL = re.compile(r"-?[0-9]{1,9}(?:\.[0-9]{1,6})?")
_ADDRESS = re.compile(r"[0-9A-Fa-f]{4,8}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}\.[0-7]")
_NODE = re.compile(r"/dev/xpu([0-9]{1,4})")
_PAIR = re.compile(r"(N/A|[0-9]+\s*[A-Za-z]*)\s*/\s*(N/A|[0-9]+\s*[A-Za-z]+)")
_PLACEHOLDER = re.compile(r"[x*?.]+|0+|f+", re.IGNORECASE)

# A card draws more than 1 W and less than 1000 W, so that the two units of the tool's versions
# (see `unlabelled_power`) cannot be taken for each other.
MOST_WATTS = 999.0
LEAST_WATTS = 1.0


def text(cell: str, *, name: str) -> Text:
    """Return a cell's text; `name` is the column, for the reason."""
    stripped = cell.strip().strip('"').strip()
    if is_no_value(stripped) or re.fullmatch(r"[x*?]{3,}", stripped):
        return no_value(stripped, name=name)
    return stripped


def serial(cell: str, *, name: str) -> Text:
    """Return a serial number; a placeholder such as zeros is none."""
    stripped = cell.strip()
    if is_no_value(stripped) or _PLACEHOLDER.fullmatch(stripped) or len(stripped) < 4:
        return no_value(stripped, name=name)
    return stripped


def memory_pair(cell: str, *, name: str) -> tuple[Whole, Whole]:
    """Return used and total bytes of `576 / 8064 MB` or `300MiB / 98304MiB`."""
    match = _PAIR.fullmatch(cell.strip())
    if match is None:
        missing = (
            no_value(cell.strip(), name=name)
            if is_no_value(cell.strip())
            else Missing(f"not understood: {name} is {_shown(cell)}")
        )
        return missing, missing
    used, used_unit = _split_unit(match.group(1))
    total, unit = _split_unit(match.group(2))
    return (
        _bytes(used, unit=used_unit or unit, cell=match.group(1), name=f"used {name}"),
        _bytes(total, unit=unit, cell=match.group(2), name=name),
    )


def memory(cell: str, *, name: str) -> Whole:
    """Return the bytes of `98304 MiB`."""
    number, unit = _split_unit(cell)
    return _bytes(number, unit=unit, cell=cell, name=name)


def mebibytes(cell: str, *, name: str) -> Whole:
    """Return the bytes of a number without unit that stands for MiB."""
    return _bytes(cell.strip(), unit="MiB", cell=cell, name=name)


def measured(cell: str, *, unit: str, low: float, high: float, name: str) -> Number:
    """Return the number of a cell that ends in `unit`; "" where the column has the unit."""
    stripped = cell.strip()
    if is_no_value(stripped):
        return no_value(stripped, name=name)
    number, found = _split_unit(stripped)
    if found != unit or not _DECIMAL.fullmatch(number):
        return Missing(f"not understood: {name} is {_shown(cell)}")
    value = float(number)
    if not low <= value <= high:
        return Missing(f"not plausible: {name} is {_shown(cell)}")
    return value


def percent(cell: str, *, name: str) -> Number:
    """Return the number of `42 %`."""
    return measured(cell, unit="%", low=0, high=100, name=name)


def celsius(cell: str, *, unit: str, name: str) -> Number:
    """Return a temperature in degrees Celsius."""
    return measured(cell, unit=unit, low=-50, high=150, name=name)


def watts(cell: str, *, unit: str, name: str) -> Number:
    """Return a power in watts; a card that answers draws some."""
    return measured(cell, unit=unit, low=LEAST_WATTS, high=MOST_WATTS, name=name)


def unlabelled_power(cell: str, *, name: str) -> Number:
    """Return watts of a number without unit: mW where XRE 4 wrote it, W where XRE 5 did."""
    value = measured(cell, unit="", low=LEAST_WATTS, high=MOST_WATTS * 1000, name=name)
    if isinstance(value, Missing):
        return value
    return power_of(value)


def power_of(number: float) -> Number:
    """Return watts of a number that is in W below 1000 and in mW from there."""
    if LEAST_WATTS <= number <= MOST_WATTS:
        return float(number)
    if MOST_WATTS < number <= MOST_WATTS * 1000:
        return number / 1000
    return Missing(f"not plausible: a power of {number:g}")


def whole(cell: str, *, name: str) -> Whole:
    """Return a count."""
    stripped = cell.strip()
    if is_no_value(stripped):
        return no_value(stripped, name=name)
    if not _INTEGER.fullmatch(stripped):
        return Missing(f"not understood: {name} is {_shown(cell)}")
    return int(stripped)


def pci_address(cell: str, *, name: str) -> Text:
    """Return an address as the kernel writes it: `0000:1a:00.0`, whatever the domain's padding."""
    found = _ADDRESS.findall(cell)
    if len(found) != 1:
        return no_value(cell.strip(), name=name)
    domain, _, rest = found[0].lower().partition(":")
    return f"{int(domain, 16):04x}:{rest}"


def is_pci_address(word: str) -> bool:
    """Whether a word is a PCI address and nothing else."""
    return _ADDRESS.fullmatch(word) is not None


def node_number(cell: str) -> int | None:
    """Return N of `/dev/xpuN`; None where the cell is something else."""
    match = _NODE.fullmatch(cell.strip())
    return None if match is None else int(match.group(1))


def is_no_value(stripped: str) -> bool:
    """Whether a cell says that there is no value."""
    return stripped.lower() in _NO_VALUE


def no_value(stripped: str, *, name: str) -> Missing:
    """Return why a cell without a value is unknown."""
    return Missing(f"the tool prints {_shown(stripped)} for {name}")


def not_shown(name: str) -> Missing:
    """Return why a value is unknown that the text does not hold at all."""
    return Missing(f"the tool shows no {name}")


def _split_unit(cell: str) -> tuple[str, str]:
    match = re.fullmatch(r"\s*(\S*?[0-9])?\s*([A-Za-z%]*)\s*", cell)
    if match is None:
        return cell.strip(), ""
    return match.group(1) or "", match.group(2)


def _bytes(number: str, *, unit: str, cell: str, name: str) -> Whole:
    if is_no_value(cell.strip()):
        return no_value(cell.strip(), name=name)
    if unit not in _BYTES_OF_UNIT or not _INTEGER.fullmatch(number):
        return Missing(f"not understood: {name} is {_shown(cell)}")
    return int(number) * _BYTES_OF_UNIT[unit]


def _shown(cell: str) -> str:
    stripped = " ".join(cell.split())
    return f"'{stripped[:40]}'" if stripped else "nothing"
