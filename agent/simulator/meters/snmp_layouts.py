"""Which objects an SNMP meter has: two makers' tables, and a pulse counter for water.

APC: PowerNet-MIB, rPDU2Ident and rPDU2DeviceStatus. Raritan: PDU2-MIB, the sensors of an inlet.
The pulse counter is nobody's; it stands under the number that RFC 5612 keeps for examples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from agent.simulator.meters import ber
from agent.simulator.meters.ber import Oid
from agent.simulator.meters.layouts import Layout
from agent.simulator.meters.meter import Shown
from agent.simulator.meters.snmp_messages import Objects

_SYSTEM = (1, 3, 6, 1, 2, 1, 1)
_APC_IDENT = (1, 3, 6, 1, 4, 1, 318, 1, 1, 26, 2, 1)
_APC_STATUS = (1, 3, 6, 1, 4, 1, 318, 1, 1, 26, 4, 3, 1)
_RARITAN = (1, 3, 6, 1, 4, 1, 13742, 6)
_EXAMPLE = (1, 3, 6, 1, 4, 1, 32473, 1)
_POWER, _ENERGY = 5, 8
_WATT, _WATT_HOUR = 3, 5
_READABLE = 1


def apc(shown: Shown, *, serial: str, midnight: datetime) -> Objects:
    """Return unit 1 of a rack PDU 2G: energy in 0.1 kWh, power in 0.01 kW."""
    begun = midnight + timedelta(seconds=shown.begun_second or 0)
    if shown.begun_second is None:
        begun = midnight - timedelta(days=700)
    return {
        **_system("APC Rack PDU 2G, simulated"),
        (*_APC_IDENT, 3, 1): _text("RackPDU"),
        (*_APC_IDENT, 8, 1): _text("AP8000-SIMULATED"),
        (*_APC_IDENT, 9, 1): _text(serial),
        (*_APC_STATUS, 1, 1): ber.encode_integer(1),
        (*_APC_STATUS, 5, 1): ber.encode_integer(round(shown.rate / 10)),
        (*_APC_STATUS, 9, 1): ber.encode_integer(shown.count),
        (*_APC_STATUS, 10, 1): _text(f"{begun:%m/%d/%Y %H:%M:%S}"),
    }


def raritan(shown: Shown, *, serial: str, midnight: datetime) -> Objects:
    """Return inlet 1 of unit 1 of a PX2: energy in Wh, power in W."""
    del midnight
    objects = {
        **_system("Raritan PX2, simulated"),
        (*_RARITAN, 3, 2, 1, 1, 4, 1): _text(serial),
    }
    for sensor, unit, value in (
        (_POWER, _WATT, round(shown.rate)),
        (_ENERGY, _WATT_HOUR, shown.count),
    ):
        objects |= {
            (*_RARITAN, 3, 3, 4, 1, 6, 1, 1, sensor): ber.encode_integer(unit),
            (*_RARITAN, 3, 3, 4, 1, 7, 1, 1, sensor): _unsigned(0),
            (*_RARITAN, 5, 2, 3, 1, 2, 1, 1, sensor): ber.encode_integer(_READABLE),
            (*_RARITAN, 5, 2, 3, 1, 4, 1, 1, sensor): _unsigned(value),
        }
    return objects


def water(shown: Shown, *, serial: str, midnight: datetime) -> Objects:
    """Return a pulse counter of whole litres."""
    del midnight
    return {
        **_system("Pulse counter for water, simulated"),
        (*_EXAMPLE, 1, 0): ber.encode_integer(shown.count, tag=ber.COUNTER32),
        (*_EXAMPLE, 2, 0): _text(serial),
    }


TABLES: Mapping[Layout, Callable[..., Objects]] = {
    Layout.APC: apc,
    Layout.RARITAN: raritan,
    Layout.WATER: water,
}


def _system(description: str) -> dict[Oid, bytes]:
    return {
        (*_SYSTEM, 1, 0): _text(description),
        (*_SYSTEM, 3, 0): ber.encode_integer(0, tag=ber.TIME_TICKS),
        (*_SYSTEM, 5, 0): _text("meter"),
    }


def _unsigned(number: int) -> bytes:
    return ber.encode_integer(number, tag=ber.GAUGE32)


def _text(text: str) -> bytes:
    return ber.encode(ber.OCTET_STRING, text.encode("ascii"))
