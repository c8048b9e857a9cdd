"""What meters count, in base units: whole joules, whole millilitres, watts.

Each conversion is exact; only what is below one joule or millilitre is rounded, half to even.
"""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from typing import Final

# The ledger keeps registers as integers of 64 bits.
LARGEST_REGISTER: Final = 2**63 - 1
# A terawatt: more is no power but a misread number.
LARGEST_WATTS: Final = 1e12

_LARGEST_EXPONENT: Final = 25
_SMALLEST_EXPONENT: Final = -25
_JOULES: Final[dict[str, int | Fraction]] = {
    "wh": 3600,
    "kwh": 3_600_000,
    "mwh": 3_600_000_000,
    "joules": 1,
    "microjoules": Fraction(1, 1_000_000),
    "millijoules": Fraction(1, 1000),
}
_MILLILITRES: Final = {"litres": 1000, "m3": 1_000_000}
_WATTS: Final = {"w": 1, "kw": 1000}


def joules(value: Decimal | Fraction | int, *, unit: str) -> int:
    """Return an energy register in joules; raises ValueError if it cannot be one."""
    return _register(value, factor=_JOULES[unit])


def millilitres(value: Decimal | Fraction | int, *, unit: str) -> int:
    """Return a water register in millilitres; raises ValueError if it cannot be one."""
    return _register(value, factor=_MILLILITRES[unit])


def watts(value: Decimal | Fraction | float, *, unit: str = "w") -> float:
    """Return a power in watts; raises ValueError if it is no finite number, or none of a meter."""
    result = float(value) * _WATTS[unit]
    if not math.isfinite(result) or abs(result) > LARGEST_WATTS:
        raise ValueError(f"{value} is no power that a meter measures")
    return result


def _register(value: Decimal | Fraction | int, *, factor: int | Fraction) -> int:
    if isinstance(value, Decimal):
        if not value.is_finite() or (value and value.adjusted() > _LARGEST_EXPONENT):
            raise ValueError(f"{value} is no register")
        if value.adjusted() < _SMALLEST_EXPONENT:
            # As a fraction, an exponent of thousands would cost memory.
            value = Decimal(0)
    result = round(Fraction(value) * factor)
    if not 0 <= result <= LARGEST_REGISTER:
        raise ValueError(f"{value} is less than 0 or more than a register can hold")
    return result
