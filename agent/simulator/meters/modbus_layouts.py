"""Where a Modbus meter keeps its figures: the register maps of three makers, written from theirs.

SunSpec: information models 1 and 203, SunSpec Alliance. Schneider PM5000: register list FA234017,
which counts from 1. Acrel ADL3000-E: the maker's manual, page 14.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping

from agent.simulator.meters.layouts import Layout
from agent.simulator.meters.meter import Shown
from agent.simulator.meters.modbus import Registers

_SUNSPEC_START = 40000
_COMMON_WORDS, _METER_WORDS = 66, 105
_NO_INT16 = 0x8000
_INT16_MAXIMUM = 0x7FFF
_END_OF_MAP = (0xFFFF, 0)


def sunspec(shown: Shown, *, serial: str) -> Registers:
    """Return the map of a meter with the models 1 and 203: whole Wh, W with a scale factor."""
    common = [1, _COMMON_WORDS, *_text("Computility", words=16), *_text("Simulated", words=16)]
    common += [*_text("", words=8), *_text("1", words=8), *_text(serial, words=16), 1, _NO_INT16]
    watts, scale = round(shown.rate), 0
    while abs(watts) > _INT16_MAXIMUM:
        watts, scale = round(watts / 10), scale + 1
    meter = [203, _METER_WORDS, *(_NO_INT16 for _ in range(_METER_WORDS))]
    meter[18] = watts & 0xFFFF
    meter[22] = scale
    # Accumulators that are not there show 0.
    meter[38:54] = [0] * 16
    meter[46:48] = _words(shown.count, count=2)
    meter[54] = 0
    body = [*_words(int.from_bytes(b"SunS", "big"), count=2), *common, *meter, *_END_OF_MAP]
    return dict(enumerate(body, start=_SUNSPEC_START))


def schneider(shown: Shown, *, serial: str) -> Registers:
    """Return the registers 130, 3060, 3204 and 3208 of a PM5000, by wire address."""
    kilowatts = struct.unpack(">HH", struct.pack(">f", float(shown.rate / 1000)))
    return {
        **_at(129, _words(int(serial), count=2)),
        **_at(3059, kilowatts),
        **_at(3203, _words(shown.count, count=4)),
        **_at(3207, _words(0, count=4)),
    }


def acrel(shown: Shown, *, serial: str) -> Registers:
    """Return the energy registers of an ADL3000-E: total, forward and reverse; no serial number."""
    del serial
    count = _words(shown.count, count=2)
    return {**_at(0x0000, count), **_at(0x000A, count), **_at(0x0014, _words(0, count=2))}


MAPS: Mapping[Layout, Callable[..., Registers]] = {
    Layout.SUNSPEC: sunspec,
    Layout.SCHNEIDER: schneider,
    Layout.ACREL: acrel,
}


def _at(address: int, words: tuple[int, ...]) -> dict[int, int]:
    return dict(enumerate(words, start=address))


def _words(number: int, *, count: int) -> tuple[int, ...]:
    return tuple(number >> 16 * place & 0xFFFF for place in reversed(range(count)))


def _text(text: str, *, words: int) -> tuple[int, ...]:
    data = text.encode("ascii")[: words * 2].ljust(words * 2, b"\0")
    return struct.unpack(f">{words}H", data)
