"""Words of registers → joules and watts, with exact arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from agent.errors import ReadingUnavailable
from collectors.meters.modbus.registers import (
    BASE_UNITS,
    Decoded,
    Register,
    RegisterType,
    UnbelievableError,
    decode,
    decode_exponent,
    register_limit,
)

# Beyond these no meter on earth is right: 2.5 billion kWh and 10 GW.
_MOST_JOULES = (1 << 63) - 1
_MOST_WATTS = 10_000_000_000

# Returns words by the address in the register.
Fetch = Callable[[int, int], tuple[int, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratios:
    """Holds the transformer ratios, exact; 1 where there is no transformer."""

    pt: Fraction
    ct: Fraction

    def of(self, register: Register) -> Fraction:
        """Return what this register's values have to be multiplied with."""
        return (self.pt if register.pt else Fraction(1)) * (self.ct if register.ct else Fraction(1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Is the first amount that a register cannot show, None if not known, and its step; joules."""

    modulus: int | None
    resolution: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Energy:
    """Is an energy register's value in joules, with the span that came with it."""

    joules: int
    span: Span


def span(register: Register, *, ratios: Ratios) -> Span | None:
    """Return the span that a profile alone tells; None where the meter has to be asked."""
    if register.type is RegisterType.F32 or register.exponent_address is not None:
        return None
    limit = register_limit(register)
    return _span(Fraction(1), limit, _factor(register, ratios=ratios))


def energy(register: Register, fetch: Fetch, *, ratios: Ratios) -> Energy:
    """Return an energy register in joules, rounded down to a whole one.

    Raises:
        ReadingUnavailable: what it holds cannot be believed.
    """
    decoded, factor = _decoded(register, fetch, ratios=ratios)
    joules = math.floor(decoded.count * factor)
    if not 0 <= joules <= _MOST_JOULES:
        raise _unbelievable(register, f"holds {float(decoded.count):.6g}, no counter of energy")
    return Energy(joules=joules, span=_span(decoded.step, decoded.limit, factor))


def power(register: Register, fetch: Fetch, *, ratios: Ratios) -> float:
    """Return a power register in watts, negative where energy flows back.

    Raises:
        ReadingUnavailable: what it holds cannot be believed.
    """
    decoded, factor = _decoded(register, fetch, ratios=ratios)
    watts = decoded.count * factor
    if abs(watts) > _MOST_WATTS:
        raise _unbelievable(register, f"holds {float(decoded.count):.6g}, no power of a meter")
    return float(watts)


def _decoded(register: Register, fetch: Fetch, *, ratios: Ratios) -> tuple[Decoded, Fraction]:
    words = fetch(register.address, register.words)
    try:
        decoded = decode(register, words)
        factor = _factor(register, ratios=ratios)
        if register.exponent_address is not None:
            factor *= decode_exponent(fetch(register.exponent_address, 1)[0])
    except UnbelievableError as error:
        raise _unbelievable(register, str(error)) from error
    return decoded, factor


def _factor(register: Register, *, ratios: Ratios) -> Fraction:
    unit = 1 if register.unit is None else BASE_UNITS[register.unit]
    return register.scale * ratios.of(register) * unit


def _span(step: Fraction, limit: int | None, factor: Fraction) -> Span:
    return Span(
        modulus=None if limit is None else math.ceil(limit * factor),
        resolution=max(1, math.ceil(step * factor)),
    )


def _unbelievable(register: Register, words: str) -> ReadingUnavailable:
    return ReadingUnavailable(
        f"register {register.address} ({register.type.value}) {words}",
        hint="check that the profile is of this very model, and its word order",
    )
