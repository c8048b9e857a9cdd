"""Profiles: the registers of one model of meter, as a YAML file.

The operator's own files are read with limits, like everything that comes from outside: size, depth,
number of values, no aliases, no unknown keys.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

from agent.errors import PermanentError
from collectors.meters.modbus import yaml_text
from collectors.meters.modbus.registers import WORDS, Register, RegisterType, Unit, WordOrder

FOLDER = Path(__file__).parent / "profiles"
QUANTITIES = ("energy_import", "energy_export", "power")
_SERIAL = "serial"
_LARGEST_BYTES = 64 * 1024
_MOST_ADDRESS = 0xFFFF
_MOST_WORDS = 125
_MOST_MODELS = 32
_ENERGY_UNITS = (Unit.WH, Unit.KWH, Unit.MWH, Unit.JOULE)
_POWER_UNITS = (Unit.WATT, Unit.KILOWATT)
_INTEGER = re.compile(r"0x[0-9A-Fa-f]{1,16}|[0-9]{1,20}")
_DECIMAL = re.compile(r"[0-9]{1,9}(\.[0-9]{1,12})?")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_Enum = TypeVar("_Enum", RegisterType, WordOrder, Unit)


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """Is a SunSpec model: its numbers, and its registers by quantity, counted from its ID."""

    ids: tuple[int, ...]
    registers: Mapping[str, Register]


@dataclass(frozen=True, slots=True, kw_only=True)
class SunSpec:
    """Says where a SunSpec map may begin, and which of its models are meters.

    `serial` counts from the ID of the common model, 1.
    """

    starts: tuple[int, ...]
    serial: Register
    models: tuple[Model, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Is what is known of one model of meter.

    `registers` is by quantity (`energy_import`, `energy_export`, `power`, `serial`), and empty
    where `sunspec` finds them. `unconfirmed` says what nobody has checked on a meter, "" for none.
    """

    name: str
    title: str
    unconfirmed: str = ""
    registers: Mapping[str, Register] = field(default_factory=dict)
    sunspec: SunSpec | None = None

    @property
    def every_register(self) -> tuple[Register, ...]:
        """Is each register, those of SunSpec models too."""
        of_models = self.sunspec.models if self.sunspec else ()
        return (
            *self.registers.values(),
            *(register for model in of_models for register in model.registers.values()),
        )


def shipped() -> tuple[str, ...]:
    """Return the names of the profiles that come with the agent."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.yaml")))


def load(name: str) -> Profile:
    """Return the profile of a name, or of a file where `name` is a path (it has a / in it).

    Raises:
        PermanentError: there is none, or something in it is wrong, with the place in it.
    """
    if "/" in name:
        path = Path(name)
    elif _NAME.fullmatch(name) and (FOLDER / f"{name}.yaml").is_file():
        path = FOLDER / f"{name}.yaml"
    else:
        raise PermanentError(
            f"there is no profile {name!r}; there are {', '.join(shipped())}, "
            "and a path with a / in it names a file of your own"
        )
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_BYTES + 1)
    except OSError as error:
        raise PermanentError(
            f"the profile {path} cannot be read: {error.strerror or error}"
        ) from error
    return parse(content, name=path.stem)


def parse(content: bytes, *, name: str) -> Profile:
    """Return the profile that a file holds.

    Raises:
        PermanentError: something in it is wrong, with the place in it.
    """
    reader = _Reader(name)
    if len(content) > _LARGEST_BYTES:
        raise reader.wrong("", f"is longer than {_LARGEST_BYTES} bytes")
    try:
        plain = yaml_text.parse(content)
    except yaml_text.UnreadableError as error:
        raise reader.wrong("", str(error)) from error
    root = reader.mapping(
        plain,
        "",
        required=("title",),
        optional=("source", "unconfirmed", "registers", "sunspec"),
    )
    reader.text(root.get("source", ""), "source")
    if ("registers" in root) == ("sunspec" in root):
        raise reader.wrong("", "needs either registers or sunspec")
    registers: Mapping[str, Register] = {}
    sunspec = None
    if "registers" in root:
        registers = reader.registers(root["registers"], "registers", others=(_SERIAL,))
    else:
        sunspec = reader.sunspec(root["sunspec"], "sunspec")
    return Profile(
        name=name,
        title=reader.text(root["title"], "title"),
        unconfirmed=reader.text(root.get("unconfirmed", ""), "unconfirmed"),
        registers=registers,
        sunspec=sunspec,
    )


class _Reader:
    """Turns plain values into registers, and says where one is wrong."""

    def __init__(self, name: str) -> None:
        self._name = name

    def wrong(self, place: str, words: str) -> PermanentError:
        return PermanentError(f"profile {self._name}: {place}{': ' if place else ''}{words}")

    def mapping(
        self, value: Any, place: str, *, required: Sequence[str], optional: Sequence[str] = ()
    ) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self.wrong(place, "expected keys and values")
        known = (*required, *optional)
        for key in value:
            if key not in known:
                raise self.wrong(place, f"unknown key {key!r}; known are {', '.join(known)}")
        for key in required:
            if key not in value:
                raise self.wrong(place, f"{key} is missing")
        return value

    def items(self, value: Any, place: str) -> list[Any]:
        if not isinstance(value, list):
            raise self.wrong(place, "expected a list")
        return value

    def text(self, value: Any, place: str) -> str:
        if not isinstance(value, str):
            raise self.wrong(place, "expected a text")
        return value

    def integer(self, value: Any, place: str, *, least: int = 0, most: int) -> int:
        text = self.text(value, place)
        number = int(text, 16 if text.startswith("0x") else 10) if _is_integer(text) else -1
        if not least <= number <= most:
            raise self.wrong(place, f"expected a whole number from {least} to {most}, as 10 or 0xA")
        return number

    def choice(self, value: Any, place: str, *, kinds: Callable[[str], _Enum]) -> _Enum:
        text = self.text(value, place)
        try:
            return kinds(text)
        except ValueError as error:
            known = ", ".join(each.value for each in kinds)  # type: ignore[attr-defined]
            raise self.wrong(place, f"expected one of {known}") from error

    def scale(self, value: Any, place: str) -> Fraction:
        text = self.text(value, place)
        if _DECIMAL.fullmatch(text) is None or Fraction(text) == 0:
            raise self.wrong(place, "expected a number above 0, such as 0.01")
        return Fraction(text)

    def registers(
        self, value: Any, place: str, *, others: Sequence[str] = ()
    ) -> dict[str, Register]:
        found = self.mapping(value, place, required=(), optional=(*QUANTITIES, *others))
        if not any(quantity in found for quantity in QUANTITIES):
            raise self.wrong(place, f"needs one of {', '.join(QUANTITIES)}")
        return {
            key: self.serial(entry, f"{place}.{key}")
            if key == _SERIAL
            else self.register(entry, f"{place}.{key}", is_power=key == "power")
            for key, entry in found.items()
        }

    def register(self, value: Any, place: str, *, is_power: bool) -> Register:
        keys = self.mapping(
            value,
            place,
            required=("address", "type", "unit"),
            optional=(
                *("function", "words", "scale", "ratios", "invalid"),
                *("exponent_address", "rollover_counts"),
            ),
        )
        kind = self.choice(keys["type"], f"{place}.type", kinds=RegisterType)
        if kind is RegisterType.TEXT:
            raise self.wrong(f"{place}.type", "a text is no number")
        unit = self.choice(keys["unit"], f"{place}.unit", kinds=Unit)
        units = _POWER_UNITS if is_power else _ENERGY_UNITS
        if unit not in units:
            expected = ", ".join(each.value for each in units)
            raise self.wrong(f"{place}.unit", f"expected one of {expected}")
        ratios = self.items(keys.get("ratios", []), f"{place}.ratios")
        if any(ratio not in ("pt", "ct") for ratio in ratios):
            raise self.wrong(f"{place}.ratios", "expected a list of pt and ct")
        width = WORDS[kind]
        exponent = keys.get("exponent_address")
        rollover = keys.get("rollover_counts")
        if rollover is not None and kind is RegisterType.F32:
            raise self.wrong(f"{place}.rollover_counts", "a float has no roll-over that is known")
        return Register(
            address=self.integer(
                keys["address"], f"{place}.address", most=_MOST_ADDRESS + 1 - width
            ),
            function=self.integer(keys.get("function", "3"), f"{place}.function", least=3, most=4),
            type=kind,
            words=width,
            order=self.choice(
                keys.get("words", WordOrder.HIGH_FIRST.value), f"{place}.words", kinds=WordOrder
            ),
            scale=self.scale(keys.get("scale", "1"), f"{place}.scale"),
            unit=unit,
            pt="pt" in ratios,
            ct="ct" in ratios,
            invalid=frozenset(
                self.integer(pattern, f"{place}.invalid", most=(1 << 16 * width) - 1)
                for pattern in self.items(keys.get("invalid", []), f"{place}.invalid")
            ),
            exponent_address=None
            if exponent is None
            else self.integer(exponent, f"{place}.exponent_address", most=_MOST_ADDRESS),
            rollover_counts=None
            if rollover is None
            else self.integer(rollover, f"{place}.rollover_counts", least=2, most=1 << 16 * width),
        )

    def serial(self, value: Any, place: str) -> Register:
        keys = self.mapping(
            value, place, required=("address", "type"), optional=("function", "words", "count")
        )
        kind = self.choice(keys["type"], f"{place}.type", kinds=RegisterType)
        if kind not in (RegisterType.U16, RegisterType.U32, RegisterType.U64, RegisterType.TEXT):
            raise self.wrong(f"{place}.type", "expected u16, u32, u64 or text")
        if (kind is RegisterType.TEXT) != ("count" in keys):
            raise self.wrong(f"{place}.count", "a text has a count of registers, a number has none")
        width = WORDS.get(kind) or self.integer(
            keys["count"], f"{place}.count", least=1, most=_MOST_WORDS
        )
        return Register(
            address=self.integer(
                keys["address"], f"{place}.address", most=_MOST_ADDRESS + 1 - width
            ),
            function=self.integer(keys.get("function", "3"), f"{place}.function", least=3, most=4),
            type=kind,
            words=width,
            order=self.choice(
                keys.get("words", WordOrder.HIGH_FIRST.value), f"{place}.words", kinds=WordOrder
            ),
        )

    def sunspec(self, value: Any, place: str) -> SunSpec:
        keys = self.mapping(value, place, required=("starts", "serial", "models"))
        models = self.items(keys["models"], f"{place}.models")
        if not 0 < len(models) <= _MOST_MODELS:
            raise self.wrong(f"{place}.models", f"expected 1 to {_MOST_MODELS} of them")
        return SunSpec(
            starts=tuple(
                self.integer(start, f"{place}.starts", most=_MOST_ADDRESS - 2)
                for start in self.items(keys["starts"], f"{place}.starts")[:_MOST_MODELS]
            ),
            serial=self.serial(keys["serial"], f"{place}.serial"),
            models=tuple(
                self._model(model, f"{place}.models[{index}]") for index, model in enumerate(models)
            ),
        )

    def _model(self, value: Any, place: str) -> Model:
        keys = self.mapping(value, place, required=("ids", "registers"))
        registers = self.registers(keys["registers"], f"{place}.registers")
        for register in registers.values():
            # The whole model is read in one question.
            if max(register.address + register.words, (register.exponent_address or 0) + 1) > (
                _MOST_WORDS
            ):
                raise self.wrong(place, f"has a register beyond its first {_MOST_WORDS}")
        return Model(
            ids=tuple(
                self.integer(number, f"{place}.ids", least=1, most=_MOST_ADDRESS - 1)
                for number in self.items(keys["ids"], f"{place}.ids")[:_MOST_MODELS]
            ),
            registers=registers,
        )


def _is_integer(text: str) -> bool:
    return _INTEGER.fullmatch(text) is not None
