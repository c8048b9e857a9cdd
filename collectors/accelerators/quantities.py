"""Reads what vendors' tools write for one value, in base units; pure.

A value that is missing, masked, in a unit that is not expected or out of every plausible range
becomes `Unknown` with the reason, never a number.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeVar

_Value = TypeVar("_Value")

_MISSING = frozenset(
    {
        "",
        "-",
        "--",
        "---",
        "[n/a]",
        "[na]",
        "n/a",
        "na",
        "nan",
        "none",
        "not available",
        "not supported",
        "[not supported]",
        "null",
        "unknown",
        "[unknown error]",
        "unknown error",
        "unsupported",
    }
)
_MASKED = re.compile(r"[xX*]{2,}")
_NUMBER_AND_UNIT = re.compile(r"([+-]?[0-9]{1,18}(?:\.[0-9]{1,9})?)\s*([^\s0-9.]*)", re.ASCII)
_SHOWN_CHARACTERS = 40

_KIBI = 1024
_CELSIUS = frozenset({"c", "°c", "℃", "'c"})
_WATTS: Mapping[str, float] = MappingProxyType({"w": 1.0, "mw": 1000.0})
# "MB" is left out: what it means is for each vendor to say.
BINARY_BYTES: Mapping[str, int] = MappingProxyType(
    {"b": 1, "kib": _KIBI, "mib": _KIBI**2, "gib": _KIBI**3}
)
# For tools that write MB and divide by 1024 twice.
BYTES_WITH_BINARY_MB: Mapping[str, int] = MappingProxyType({**BINARY_BYTES, "mb": _KIBI**2})

_COLDEST_CELSIUS = -60.0
_HOTTEST_CELSIUS = 200.0
_MOST_WATTS = 10_000.0
_MOST_BYTES = 1 << 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """Says why a value is not known, in words for an operator."""

    reason: str


def known(value: _Value | Unknown) -> _Value | None:
    """Return the value, or None where it is unknown."""
    return None if isinstance(value, Unknown) else value


def is_missing(text: str) -> bool:
    """Return whether a tool writes this where it has no value."""
    return text.strip().casefold() in _MISSING


def word(text: str) -> str | Unknown:
    """Return a name, a serial number or another text as it is written."""
    return _why_none(text) or text.strip()


def celsius(text: str) -> float | Unknown:
    """Return a temperature (`39 C`, `30.0c`, `71℃`); a number without a unit is none."""
    value = _number(text)
    if isinstance(value, Unknown):
        return value
    number, unit = value
    if unit not in _CELSIUS:
        return _not_understood(text)
    if not _COLDEST_CELSIUS <= number <= _HOTTEST_CELSIUS:
        return _not_plausible(text)
    return number


def watts(text: str) -> float | Unknown:
    """Return a power (`38.0W`, `102 W`, `50000 mW`); a number without a unit is none."""
    value = _number(text)
    if isinstance(value, Unknown):
        return value
    number, unit = value
    if unit not in _WATTS:
        return _not_understood(text)
    in_watts = number / _WATTS[unit]
    return in_watts if 0 <= in_watts <= _MOST_WATTS else _not_plausible(text)


def ratio(text: str) -> float | Unknown:
    """Return a share of the whole, 0 to 1, from a percentage (`11%`, `0.0 %`)."""
    value = _number(text)
    if isinstance(value, Unknown):
        return value
    number, unit = value
    if unit != "%":
        return _not_understood(text)
    return number / 100 if 0 <= number <= 100 else _not_plausible(text)


def size_bytes(text: str, *, units: Mapping[str, int] = BINARY_BYTES) -> int | Unknown:
    """Return an amount of memory (`1129 MiB`) in bytes; `units` are bytes by small-letter unit."""
    value = _number(text)
    if isinstance(value, Unknown):
        return value
    number, unit = value
    if unit not in units:
        return _not_understood(text)
    in_bytes = int(number * units[unit])
    return in_bytes if 0 <= in_bytes <= _MOST_BYTES else _not_plausible(text)


def capacity_bytes(text: str, *, units: Mapping[str, int] = BINARY_BYTES) -> int | Unknown:
    """Return the memory that a chip has, in bytes: never 0."""
    return not_nothing(size_bytes(text, units=units))


def not_nothing(size: int | Unknown) -> int | Unknown:
    """Return an amount of memory that a chip has: 0 is what tools write for want of one."""
    return Unknown(reason="not plausible: 0 bytes") if size == 0 else size


def parts(text: str) -> tuple[str, str]:
    """Split what is written as one of two (`64MiB / 32768MiB`, `826/65536 MiB`, `2MiB(16384MiB)`).

    A unit that stands only behind the second belongs to the first too. ("", "") where it is no
    such pair.
    """
    shape = re.fullmatch(r"\s*([^/()]+?)\s*(?:/\s*([^/()]+?)|\(\s*([^/()]+?)\s*\))\s*", text)
    if shape is None:
        return "", ""
    first, second = shape[1], shape[2] or shape[3]
    whole = _NUMBER_AND_UNIT.fullmatch(second)
    if whole is not None and re.fullmatch(r"[0-9.]+", first):
        first += whole[2]
    return first, second


def not_above(used: int | Unknown, total: int | Unknown) -> int | Unknown:
    """Return what is used if it can be: no more than there is, and not nothing of nothing."""
    if isinstance(used, Unknown):
        return used
    if isinstance(total, Unknown):
        return used or total
    if used > total:
        return Unknown(reason=f"not plausible: {used} bytes used of {total}")
    return used


def _number(text: str) -> tuple[float, str] | Unknown:
    reason = _why_none(text)
    if reason is not None:
        return reason
    shape = _NUMBER_AND_UNIT.fullmatch(text.strip())
    if shape is None:
        return _not_understood(text)
    return float(shape[1]), shape[2].casefold()


def _why_none(text: str) -> Unknown | None:
    stripped = text.strip()
    if not stripped:
        return Unknown(reason="the tool leaves it blank")
    if is_missing(stripped):
        return Unknown(reason=f"the tool gives no value: {stripped}")
    if stripped.casefold() in ("err!", "error"):
        return Unknown(reason=f"the tool reports an error: {stripped}")
    if stripped == "F":
        return Unknown(reason="the tool reports a fault: F")
    if _MASKED.search(stripped) and not re.search(r"[0-9]", stripped):
        return Unknown(reason="masked in the tool's output")
    return None


def _not_understood(text: str) -> Unknown:
    return Unknown(reason=f"not understood: {text.strip()[:_SHOWN_CHARACTERS]}")


def _not_plausible(text: str) -> Unknown:
    return Unknown(reason=f"not plausible: {text.strip()[:_SHOWN_CHARACTERS]}")
