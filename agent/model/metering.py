"""Readings of meters, and the hours of a computing centre that are made of them.

Energy is counted in whole joules and water in whole millilitres, so that nothing drifts however
long it is added up. Times are aware UTC; an hour is named by its start.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


class MeterRole(str, enum.Enum):
    """Says what a meter measures of a computing centre."""

    FACILITY_TOTAL = "facility_total"
    IT = "it"
    GREEN_DIRECT = "green_direct"
    GREEN_PURCHASED = "green_purchased"
    GREEN_CERTIFICATE = "green_certificate"
    WATER = "water"


class Quality(str, enum.Enum):
    """Grades a figure: MEASURED at both edges, INTERPOLATED between readings, PARTIAL, UNKNOWN.

    `PARTIAL` figures carry a coverage below the threshold and are never shown as values.
    """

    MEASURED = "measured"
    INTERPOLATED = "interpolated"
    PARTIAL = "partial"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterReading:
    """Is what a meter said at one moment.

    `energy_joules` and `water_millilitres` are cumulative registers; `power_watts` is a gauge.
    `reset_marker` changes when the register began anew or another meter took its place (a serial
    number, a start time, a boot id, a transformer ratio); None where the meter tells nothing of
    the kind. None is unknown, with its reason in `unknown`.
    """

    taken_at: datetime
    energy_joules: int | None = None
    water_millilitres: int | None = None
    power_watts: float | None = None
    reset_marker: str | None = None
    unknown: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterTraits:
    """Is what has to be known of a register to tell a wrap from a reset.

    `modulus` is the first count that the register cannot show, in joules or millilitres;
    `rate_maximum` the most it can count in a second (watts, or millilitres a second); `resolution`
    its smallest step. `starts_at_zero` says that a reset begins at 0: what was counted since is
    known then, and what was counted just before it is not. None is not known.
    """

    modulus: int | None = None
    rate_maximum: float | None = None
    resolution: int | None = None
    starts_at_zero: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """Is one quantity of one hour.

    `value` is in joules or millilitres, None where it is not known, with `reason`. `coverage_ratio`
    is the share of the hour that readings cover, 0 to 1. `method` says in words how it was made.
    """

    value: int | None
    coverage_ratio: float
    quality: Quality
    method: str = ""
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CentreHour:
    """Is one closed hour of a computing centre (TC609, table B.2-3).

    `version` grows each time that late readings closed it again. `pue` and `wue_litres_per_kwh`
    are None where a part of them is not known, with the reason in `unknown`; a `pue` below 1 is
    kept and named in `flags`.
    """

    start_at: datetime
    version: int
    closed_at: datetime
    facility: Figure
    it: Figure
    green: Figure
    water: Figure
    pue: float | None = None
    wue_litres_per_kwh: float | None = None
    flags: tuple[str, ...] = ()
    unknown: Mapping[str, str] = field(default_factory=dict)
