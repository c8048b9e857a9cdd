"""What a register of a profile is, and how its words become an exact number."""

from __future__ import annotations

import enum
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction


class RegisterType(str, enum.Enum):
    """Names how a number lies in registers of 16 bits; ACC32 is SunSpec's, 0 = not implemented."""

    U16 = "u16"
    I16 = "i16"
    U32 = "u32"
    I32 = "i32"
    U64 = "u64"
    I64 = "i64"
    F32 = "f32"
    ACC32 = "acc32"
    TEXT = "text"


class WordOrder(str, enum.Enum):
    """Says which word of a number stands at the lower address; within a word bytes never turn."""

    HIGH_FIRST = "high_first"
    LOW_FIRST = "low_first"


class Unit(str, enum.Enum):
    """Names the unit of a register after its scale."""

    WH = "Wh"
    KWH = "kWh"
    MWH = "MWh"
    JOULE = "J"
    WATT = "W"
    KILOWATT = "kW"


# Joules or watts in one of the unit.
BASE_UNITS = {
    Unit.WH: 3600,
    Unit.KWH: 3_600_000,
    Unit.MWH: 3_600_000_000,
    Unit.JOULE: 1,
    Unit.WATT: 1,
    Unit.KILOWATT: 1000,
}
WORDS = {
    RegisterType.U16: 1,
    RegisterType.I16: 1,
    RegisterType.U32: 2,
    RegisterType.I32: 2,
    RegisterType.U64: 4,
    RegisterType.I64: 4,
    RegisterType.F32: 2,
    RegisterType.ACC32: 2,
}
_SIGNED = frozenset({RegisterType.I16, RegisterType.I32, RegisterType.I64})
_LARGEST_EXPONENT = 10
_FRACTION_BITS = 23
_LEAST_EXPONENT = -126


class UnbelievableError(Exception):
    """Says that what a register holds is no value, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """Is one figure of a meter.

    `address` is the wire address (from 0) of the first word; in a SunSpec model it counts from the
    model's ID, and so does `exponent_address`, where the power of ten of the scale stands (sunssf).
    `invalid` holds bit patterns, as unsigned numbers, that stand for "no value". `pt` and `ct` say
    which transformer ratios the value still has to be multiplied with. `rollover_counts` is the
    first count that the register does not show; None is what its width gives.
    """

    address: int
    function: int
    type: RegisterType
    words: int
    order: WordOrder = WordOrder.HIGH_FIRST
    scale: Fraction = Fraction(1)
    unit: Unit | None = None
    pt: bool = False
    ct: bool = False
    invalid: frozenset[int] = frozenset()
    exponent_address: int | None = None
    rollover_counts: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """Is a number as the register counts: its value, its smallest step, its first count not shown.

    `step` of a float is the distance to the next float there is; `limit` of a float is None.
    """

    count: Fraction
    step: Fraction
    limit: int | None


def bits(words: Sequence[int], *, order: WordOrder) -> int:
    """Return the words as one unsigned number."""
    number = 0
    for word in words if order is WordOrder.HIGH_FIRST else reversed(words):
        number = number << 16 | word
    return number


def decode(register: Register, words: Sequence[int]) -> Decoded:
    """Return the number that stands in a register, exactly.

    Raises:
        UnbelievableError: it is a sign for "no value", or no number.
    """
    pattern = bits(words, order=register.order)
    if pattern in register.invalid:
        raise UnbelievableError(f"holds {pattern:#x}, the meter's sign for no value")
    if register.type is RegisterType.F32:
        return _decode_float(pattern)
    if register.type is RegisterType.ACC32 and pattern == 0:
        raise UnbelievableError("holds 0, SunSpec's sign for a counter that is not there")
    width = 16 * len(words)
    if register.type in _SIGNED and pattern >> (width - 1):
        pattern -= 1 << width
    return Decoded(count=Fraction(pattern), step=Fraction(1), limit=register_limit(register))


def register_limit(register: Register) -> int:
    """Return the first count that an integer register does not show."""
    width = 16 * register.words - (register.type in _SIGNED)
    return register.rollover_counts or 1 << width


def decode_exponent(word: int) -> Fraction:
    """Return the power of ten that a scale factor (sunssf) stands for.

    Raises:
        UnbelievableError: it is no scale factor.
    """
    exponent = word - 0x10000 if word & 0x8000 else word
    if not -_LARGEST_EXPONENT <= exponent <= _LARGEST_EXPONENT:
        raise UnbelievableError(f"has a scale factor of {word:#06x}, which stands for no scale")
    return Fraction(10) ** exponent


def decode_text(words: Sequence[int]) -> str | None:
    """Return a text of two bytes a word, None where it is empty or no text."""
    data = b"".join(word.to_bytes(2, "big") for word in words)
    text = data.split(b"\0")[0].decode("ascii", errors="replace").strip()
    return text if text and text.isprintable() and "\ufffd" not in text else None


def _decode_float(pattern: int) -> Decoded:
    (number,) = struct.unpack(">f", pattern.to_bytes(4, "big"))
    if not math.isfinite(number):
        raise UnbelievableError(f"holds {number}, which is no number")
    exponent = math.frexp(number)[1] - 1 if number else _LEAST_EXPONENT
    step = Fraction(2) ** (max(exponent, _LEAST_EXPONENT) - _FRACTION_BITS)
    return Decoded(count=Fraction(number), step=step, limit=None)
