"""Profiles: which objects of a device hold its energy and power, and how they are counted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from pathlib import Path
from typing import Any

from agent.errors import ReadingUnavailable

FOLDER = Path(__file__).parent / "profiles"
_MAXIMUM_BYTES = 64 * 1024
_OID = re.compile(r"\.?[0-9]{1,10}(\.[0-9]{1,10}){1,127}")
_ENERGY_UNITS = ("wh", "kwh", "joules")
_POWER_UNITS = ("w", "kw")
_WATER_UNITS = ("litres", "m3")


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """Is one number of a device: value × `scale` × 10^−digits, in `unit`.

    `digits_oid` is the object that tells the digits, None where there is none. A value in
    `unsupported` is none. `requires` tells which objects must have which value for it to be one.
    `modulus` is the first raw value that the object cannot show.
    """

    oid: str
    unit: str
    scale: Fraction = Fraction(1)
    digits_oid: str | None = None
    unsupported: tuple[int, ...] = ()
    requires: Mapping[str, int] = field(default_factory=dict)
    modulus: int | None = None

    @property
    def oids(self) -> tuple[str, ...]:
        """Are the objects that it takes to read it."""
        return tuple(filter(None, (self.oid, self.digits_oid, *self.requires)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Is what is read of one kind of device; `markers` change when a register begins anew."""

    energy: Quantity | None = None
    power: Quantity | None = None
    water: Quantity | None = None
    markers: tuple[str, ...] = ()

    @property
    def oids(self) -> tuple[str, ...]:
        """Are all objects, each once."""
        quantities = filter(None, (self.energy, self.power, self.water))
        asked = [oid for quantity in quantities for oid in quantity.oids]
        return tuple(dict.fromkeys((*asked, *self.markers)))


def known() -> list[str]:
    """Return the names of the profiles that come with the program."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load(name: str, *, places: Mapping[str, int]) -> Profile:
    """Return a profile that comes with the program, or, where `name` is a path, that of a file.

    Raises:
        ReadingUnavailable: there is none of this name, or it cannot be read; with what is wrong.
    """
    import yaml

    is_path = "/" in name or name.endswith((".yaml", ".yml"))
    if not is_path and name not in known():
        raise ReadingUnavailable(
            f'no profile "{name}"',
            hint=f"known are {', '.join(known())}; or write the path of a file of your own",
        )
    path = Path(name) if is_path else FOLDER / f"{name}.yaml"
    try:
        with path.open("rb") as opened:
            content = opened.read(_MAXIMUM_BYTES + 1)
    except (OSError, ValueError) as error:
        raise ReadingUnavailable(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    try:
        if len(content) > _MAXIMUM_BYTES:
            raise ValueError(f"longer than {_MAXIMUM_BYTES} bytes")
        return parse(yaml.load(content, Loader=yaml.BaseLoader), places=places)  # noqa: S506 - texts
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        words = " ".join(str(error).split())
        raise ReadingUnavailable(f"{path}: {words}", hint="mend the profile") from error


def parse(document: Any, *, places: Mapping[str, int]) -> Profile:
    """Return the profile of a YAML document whose values are texts; raises ValueError."""
    keys = ("energy", "power", "water", "markers")
    top = _section(document, known_keys=keys, where="the profile")
    markers = top.get("markers", [])
    if not isinstance(markers, list):
        raise ValueError("markers: expected a list of objects")  # noqa: TRY004
    profile = Profile(
        energy=_quantity(top, "energy", units=_ENERGY_UNITS, places=places),
        power=_quantity(top, "power", units=_POWER_UNITS, places=places),
        water=_quantity(top, "water", units=_WATER_UNITS, places=places),
        markers=tuple(_oid(one, where="markers", places=places) for one in markers),
    )
    if profile.energy is None and profile.power is None and profile.water is None:
        raise ValueError("expected energy, power or water")
    return profile


def _quantity(
    top: Mapping[str, Any], name: str, *, units: tuple[str, ...], places: Mapping[str, int]
) -> Quantity | None:
    if name not in top:
        return None
    keys = ("oid", "unit", "scale", "digits_oid", "unsupported", "requires", "modulus")
    found = _section(top[name], known_keys=keys, where=name)
    if found.get("unit") not in units:
        raise ValueError(f"{name}.unit: expected one of {', '.join(units)}")
    digits = found.get("digits_oid")
    unsupported = found.get("unsupported", [])
    requires = found.get("requires", {})
    if not isinstance(unsupported, list) or not isinstance(requires, dict):
        raise ValueError(f"{name}: unsupported is a list, requires a mapping")  # noqa: TRY004
    return Quantity(
        oid=_oid(found.get("oid"), where=f"{name}.oid", places=places),
        unit=found["unit"],
        scale=_scale(found.get("scale", "1"), where=f"{name}.scale"),
        digits_oid=None
        if digits is None
        else _oid(digits, where=f"{name}.digits_oid", places=places),
        unsupported=tuple(_integer(one, where=f"{name}.unsupported") for one in unsupported),
        requires={
            _oid(oid, where=f"{name}.requires", places=places): _integer(
                value, where=f"{name}.requires"
            )
            for oid, value in requires.items()
        },
        modulus=_integer(found["modulus"], where=f"{name}.modulus") if "modulus" in found else None,
    )


def _section(value: Any, *, known_keys: tuple[str, ...], where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{where}: expected {', '.join(known_keys)}")  # noqa: TRY004
    for key in value:
        if key not in known_keys:
            raise ValueError(f"{where}: unknown key {key!s}; known are {', '.join(known_keys)}")
    return value


def _oid(text: Any, *, where: str, places: Mapping[str, int]) -> str:
    if not isinstance(text, str):
        raise ValueError(f"{where}: expected an object such as 1.3.6.1.4.1.318.1")  # noqa: TRY004
    filled = text
    for name, number in places.items():
        filled = filled.replace(f"{{{name}}}", str(number))
    if _OID.fullmatch(filled) is None:
        wanted = " or ".join(f"{{{name}}}" for name in places)
        raise ValueError(f"{where}: {text} is no object of numbers, points and {wanted}")
    return filled.removeprefix(".")


def _integer(text: Any, *, where: str) -> int:
    if not isinstance(text, str) or re.fullmatch(r"-?[0-9]{1,20}", text) is None:
        raise ValueError(f"{where}: expected whole numbers")
    return int(text)


def _scale(text: Any, *, where: str) -> Fraction:
    try:
        scale = Decimal(text)
    except (InvalidOperation, TypeError, ValueError) as error:
        raise ValueError(f"{where}: expected a number") from error
    if not scale.is_finite() or not Decimal("1e-9") <= scale <= Decimal("1e9"):
        raise ValueError(f"{where}: expected a number from 0.000000001 to 1000000000")
    return Fraction(scale)
