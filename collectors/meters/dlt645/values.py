"""Data of DL/T 645-2007 answers → exact numbers (table A.1 and A.3 of the standard)."""

from __future__ import annotations

from fractions import Fraction

ENERGY_BYTES = 4
POWER_BYTES = 3
# XXXXXX.XX kWh: eight decimal digits.
ENERGY_COUNTS = 100_000_000
JOULES_PER_COUNT = 36_000
_WATTS_PER_COUNT = Fraction(1, 10)  # XX.XXXX kW
_SIGN = 0x80
_REFUSALS = (
    "another error",
    "no such data",
    "wrong password or not allowed",
    "the line speed cannot be changed",
    "too many time zones of the year",
    "too many day periods",
    "too many tariffs",
)


class UnbelievableError(Exception):
    """Says that the data is no value, and why."""


def energy_counts(data: bytes) -> int:
    """Return a register of energy in hundredths of a kWh.

    Raises:
        UnbelievableError: it is none.
    """
    return _decimal(data, expected_bytes=ENERGY_BYTES)


def watts(data: bytes) -> Fraction:
    """Return an active power; negative, by the highest bit, where energy flows back.

    Raises:
        UnbelievableError: it is none.
    """
    if len(data) != POWER_BYTES:
        raise UnbelievableError(f"has {len(data)} bytes and not {POWER_BYTES}")
    magnitude = _decimal(data[:-1] + bytes([data[-1] & ~_SIGN & 0xFF]), expected_bytes=POWER_BYTES)
    return magnitude * _WATTS_PER_COUNT * (-1 if data[-1] & _SIGN else 1)


def refusal(data: bytes) -> str:
    """Return in words why a meter refuses, from the error byte of its answer."""
    bits = data[0] if data else 0
    words = [word for bit, word in enumerate(_REFUSALS) if bits >> bit & 1]
    return ", ".join(words) or "no reason given"


def _decimal(data: bytes, *, expected_bytes: int) -> int:
    """Return the number of binary coded decimal digits, lowest byte first."""
    if len(data) != expected_bytes:
        raise UnbelievableError(f"has {len(data)} bytes and not {expected_bytes}")
    digits = data[::-1].hex()
    if not digits.isdecimal():
        raise UnbelievableError(f"holds {digits.upper()}, which is no decimal number")
    return int(digits)
