"""Finds a meter in a SunSpec map by walking from its marker from model to model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from agent.errors import ReadingUnavailable
from collectors.meters.modbus.profile import Model, SunSpec
from collectors.meters.modbus.registers import decode_text
from collectors.meters.modbus.session import RefusedError

_MARKER = (0x5375, 0x6E53)  # "SunS"
_COMMON = 1
_END = 0xFFFF
_MOST_MODELS = 64
_LAST_ADDRESS = 0xFFFF
_HEADER_WORDS = 2
_FUNCTION = 3


class Reads(Protocol):
    """Is the part of a session that walking needs."""

    def read(self, address: int, *, count: int, function: int, deadline: float) -> tuple[int, ...]:
        """Return registers by wire address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundModel:
    """Is a meter model in a map: where its ID stands, and where the serial number does, if any."""

    model: Model
    number: int
    base: int
    serial_address: int | None


def find(session: Reads, sunspec: SunSpec, *, deadline: float) -> FoundModel:
    """Return the first meter model of the map.

    Raises:
        ReadingUnavailable: there is no map, or no meter in it.
    """
    address = _start(session, sunspec, deadline=deadline) + len(_MARKER)
    serial_address: int | None = None
    seen: list[int] = []
    while len(seen) < _MOST_MODELS and address + _HEADER_WORDS <= _LAST_ADDRESS + 1:
        number, length = session.read(
            address, count=_HEADER_WORDS, function=_FUNCTION, deadline=deadline
        )
        if number == _END:
            break
        seen.append(number)
        serial = sunspec.serial
        if number == _COMMON and serial.address + serial.words <= length + _HEADER_WORDS:
            serial_address = address + serial.address
        for model in sunspec.models:
            if number not in model.ids:
                continue
            if words_of(model) > length + _HEADER_WORDS:
                raise ReadingUnavailable(
                    f"SunSpec model {number} at register {address} is too short: {length}",
                    hint="ask the meter's maker for a newer firmware",
                )
            return FoundModel(
                model=model, number=number, base=address, serial_address=serial_address
            )
        address += _HEADER_WORDS + length
    shown = ", ".join(str(number) for number in seen) or "none"
    raise ReadingUnavailable(
        f"the SunSpec map has no meter in it; its models are {shown}",
        hint="the meter behind an inverter often has a unit of its own: check unit",
    )


def words_of(model: Model) -> int:
    """Return how many words of a model, from its ID on, hold every register that is read."""
    return max(
        max(register.address + register.words, (register.exponent_address or 0) + 1)
        for register in model.registers.values()
    )


def read_serial(
    session: Reads, sunspec: SunSpec, found: FoundModel, *, deadline: float
) -> str | None:
    """Return the serial number of the common model, None where it has none.

    Raises:
        ReadingUnavailable: it was not answered.
    """
    if found.serial_address is None:
        return None
    return decode_text(
        session.read(
            found.serial_address,
            count=sunspec.serial.words,
            function=_FUNCTION,
            deadline=deadline,
        )
    )


def _start(session: Reads, sunspec: SunSpec, *, deadline: float) -> int:
    for start in sunspec.starts:
        try:
            words = session.read(start, count=len(_MARKER), function=_FUNCTION, deadline=deadline)
        except RefusedError as error:
            if not error.is_absent:
                raise
            continue
        if words == _MARKER:
            return start
    starts = ", ".join(str(start) for start in sunspec.starts)
    raise ReadingUnavailable(
        f'no SunSpec map: "SunS" stands at none of the registers {starts}',
        hint="is SunSpec on at the meter? else choose a profile of its model",
    )
