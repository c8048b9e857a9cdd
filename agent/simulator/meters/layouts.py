"""The kinds of meters that are played: what each is called, speaks, and counts in."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

_WATT_HOUR = 3600
_KILOWATT_HOUR = 3_600_000


class Speech(str, enum.Enum):
    """Says what a meter speaks; the name of the kind in the agent's configuration."""

    MODBUS = "modbus"
    SNMP = "snmp"
    REDFISH = "redfish"


class Layout(str, enum.Enum):
    """Says where which figure stands; but for Redfish the name of a profile."""

    SUNSPEC = "sunspec"
    SCHNEIDER = "schneider-pm5000"
    ACREL = "acrel-adl3000e"
    APC = "apc-rpdu2"
    RARITAN = "raritan-px2"
    WATER = "water-counter"
    CHASSIS = "environment-metrics"


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """Says what is true of every meter of a layout.

    `step` is the smallest step of the register, in joules or millilitres, before the ratio of a
    current transformer where `has_ratio`. `modulus` is the first count that it cannot show.
    """

    speech: Speech
    step: int
    modulus: int
    is_water: bool = False
    has_ratio: bool = False


TRAITS: Mapping[Layout, Traits] = {
    # acc32 in Wh, with a scale factor of 0.
    Layout.SUNSPEC: Traits(speech=Speech.MODBUS, step=_WATT_HOUR, modulus=1 << 32),
    # INT64 in Wh.
    Layout.SCHNEIDER: Traits(speech=Speech.MODBUS, step=_WATT_HOUR, modulus=1 << 63),
    # 32 bits, in 0.01 kWh of the transformers' secondary side.
    Layout.ACREL: Traits(
        speech=Speech.MODBUS, step=_KILOWATT_HOUR // 100, modulus=1 << 32, has_ratio=True
    ),
    # INTEGER, in 0.1 kWh.
    Layout.APC: Traits(speech=Speech.SNMP, step=_KILOWATT_HOUR // 10, modulus=1 << 31),
    # Unsigned32, in Wh.
    Layout.RARITAN: Traits(speech=Speech.SNMP, step=_WATT_HOUR, modulus=1 << 32),
    # Counter32, in litres.
    Layout.WATER: Traits(speech=Speech.SNMP, step=1000, modulus=1 << 32, is_water=True),
    # A decimal number of kWh with three digits after the point.
    Layout.CHASSIS: Traits(speech=Speech.REDFISH, step=_WATT_HOUR, modulus=1 << 63),
}
