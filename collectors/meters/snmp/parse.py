"""What a device answered → a reading."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from fractions import Fraction
from typing import TypeAlias

from agent.errors import ReadingUnavailable
from agent.model.metering import MeterReading, RegisterTraits
from collectors.meters import amounts
from collectors.meters.snmp.profile import Profile, Quantity

# None: the device has no such object.
Value: TypeAlias = "int | bytes | None"
_MOST_DIGITS = 9


def reading(profile: Profile, values: Mapping[str, Value], *, taken_at: datetime) -> MeterReading:
    """Return the reading that these values make.

    Raises:
        ReadingUnavailable: none of the quantities of the profile could be read.
    """
    unknown: dict[str, str] = {}
    energy = _number(profile.energy, values, name="energy_joules", unknown=unknown)
    water = _number(profile.water, values, name="water_millilitres", unknown=unknown)
    power = _number(profile.power, values, name="power_watts", unknown=unknown)
    if energy is None and water is None and power is None:
        reasons = "; ".join(dict.fromkeys(unknown.values()))
        raise ReadingUnavailable(
            f"the device tells nothing that the profile names: {reasons}",
            hint="check profile, pdu and inlet, and what the device shows on its own page",
        )
    return MeterReading(
        taken_at=taken_at,
        energy_joules=None if energy is None else int(energy),
        water_millilitres=None if water is None else int(water),
        power_watts=None if power is None else float(power),
        reset_marker=_marker(profile, values),
        unknown=unknown,
    )


def traits(profile: Profile, values: Mapping[str, Value]) -> RegisterTraits:
    """Return what is known of the register; `values` are those of the last reading."""
    quantity = profile.energy or profile.water
    if quantity is None:
        return RegisterTraits()
    try:
        step = quantity.scale * _digits_factor(quantity, values)
        one = _base(quantity, step)
        modulus = (
            None if quantity.modulus is None else int(_base(quantity, step * quantity.modulus))
        )
    except ValueError:
        return RegisterTraits()
    return RegisterTraits(modulus=modulus, resolution=max(1, int(one)))


def _number(
    quantity: Quantity | None,
    values: Mapping[str, Value],
    *,
    name: str,
    unknown: dict[str, str],
) -> int | float | None:
    if quantity is None:
        unknown[name] = "not in the profile"
        return None
    try:
        for oid, wanted in quantity.requires.items():
            if values.get(oid) != wanted:
                raise ValueError(f"{oid} is {_shown(values.get(oid))}, not {wanted}")
        raw = values.get(quantity.oid)
        if not isinstance(raw, int):
            raise ValueError(f"{quantity.oid} is {_shown(raw)}")  # noqa: TRY004 - a value
        if raw in quantity.unsupported:
            raise ValueError(f"{quantity.oid} is {raw}, which stands for not supported")
        return _base(quantity, raw * quantity.scale * _digits_factor(quantity, values))
    except ValueError as error:
        unknown[name] = str(error)
        return None


def _base(quantity: Quantity, value: Fraction) -> int | float:
    if quantity.unit in {"w", "kw"}:
        return amounts.watts(value, unit=quantity.unit)
    if quantity.unit in {"litres", "m3"}:
        return amounts.millilitres(value, unit=quantity.unit)
    return amounts.joules(value, unit=quantity.unit)


def _digits_factor(quantity: Quantity, values: Mapping[str, Value]) -> Fraction:
    if quantity.digits_oid is None:
        return Fraction(1)
    digits = values.get(quantity.digits_oid)
    if not isinstance(digits, int) or not 0 <= digits <= _MOST_DIGITS:
        raise ValueError(f"{quantity.digits_oid} is {_shown(digits)}, not a number of digits")
    return Fraction(1, 10**digits)


def _marker(profile: Profile, values: Mapping[str, Value]) -> str | None:
    """Return what the marking objects say; None where the device has none of them."""
    parts = [values.get(oid) for oid in profile.markers]
    if all(part is None for part in parts):
        return None
    return "/".join("-" if part is None else _text(part) for part in parts)


def _text(value: int | bytes) -> str:
    if isinstance(value, int):
        return str(value)
    text = value.decode("utf-8", errors="replace").strip(" \0")
    return "".join(one if one.isprintable() else "?" for one in text)[:100]


def _shown(value: Value) -> str:
    if value is None:
        return "not there"
    return str(value) if isinstance(value, int) else f'"{_text(value)}"'
