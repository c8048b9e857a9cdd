"""The settings of meters, and of the ledger that keeps their readings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from msgspec import Meta

from agent.config.findings import nearest
from agent.config.kinds import RawSection, TextKind, TimeZone
from agent.model.metering import MeterRole

_ROLES = tuple(role.value for role in MeterRole)


def _accept_role(text: str) -> str:
    if text.removeprefix("-") not in _ROLES:
        near = nearest(text.removeprefix("-"), _ROLES)
        raise ValueError(f"did you mean {near}?" if near else "")
    return text


Role = Annotated[
    str,
    TextKind(
        words=f"{', '.join(_ROLES[:-1])} or {_ROLES[-1]}, with - before it where it is taken away",
        example="facility_total",
        accept=_accept_role,
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterSettings:
    """One meter; what finds it are settings of its kind."""

    name: Annotated[
        str,
        Meta(
            pattern=r"^\w(?:[\w.:/() -]{0,62}[\w)])?$",
            description="Name of the meter in commands, files and metrics; unique.",
            examples=["incomer"],
            extra={"words": "1 to 64 letters, digits, dots, hyphens or underscores"},
        ),
    ]
    kind: Annotated[
        str,
        Meta(
            pattern=r"^[a-z][a-z0-9_-]{0,31}$",
            description="What reads it: modbus, dlt645, snmp, redfish, ipmi, rapl, "
            "accelerator_energy, prometheus, csv, or an installed plugin. Its own settings stand "
            "beside this one; docs/metering.md lists them.",
            examples=["modbus"],
            extra={"words": "the name of a kind of meter"},
        ),
    ]
    role: Annotated[
        Role | tuple[Role, ...],
        Meta(
            description="What it measures; or a list. Meters of one role add up; one with `-` "
            "before its role is taken away. Without a role its readings are kept, and count "
            "nowhere.",
            examples=["facility_total"],
        ),
    ] = ()
    site: Annotated[
        str | None,
        Meta(
            min_length=1,
            max_length=64,
            description="Where it stands, as shown by `meters list` and in metrics.",
            examples=["hall-1"],
        ),
    ] = None
    interval_seconds: Annotated[
        float, Meta(ge=1, le=3600, description="Time between two readings.")
    ] = 15.0
    rollover_kwh: Annotated[
        float | None,
        Meta(
            gt=0,
            le=1e12,
            description="At what count the register begins anew, where its kind does not tell.",
            examples=["1000000"],
        ),
    ] = None
    rollover_litres: Annotated[
        float | None,
        Meta(gt=0, le=1e12, description="The same of a water meter.", examples=["99999000"]),
    ] = None
    rated_power_kw: Annotated[
        float | None,
        Meta(
            gt=0,
            le=1e9,
            description="The most that can flow through it: more than 1.2 times as much is taken "
            "for a fault of the reading.",
            examples=["400"],
        ),
    ] = None
    gauge_gap_seconds: Annotated[
        float | None,
        Meta(
            gt=0,
            le=3600,
            description="Of a meter that tells power only: how far apart two readings may be "
            "and still be joined; five intervals if absent.",
            examples=["75"],
        ),
    ] = None
    options: RawSection = field(default_factory=RawSection)

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles as a list."""
        return (self.role,) if isinstance(self.role, str) else self.role

    @property
    def longest_gap_seconds(self) -> float:
        """How far apart two readings of power may be and still be joined."""
        return self.gauge_gap_seconds or 5 * self.interval_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerSettings:
    """How readings become hours, and how long both are kept."""

    readings_days: Annotated[
        int, Meta(ge=3, le=36600, description="How long raw readings are kept.")
    ] = 400
    hours_days: Annotated[
        int, Meta(ge=3, le=36600, description="How long closed hours are kept.")
    ] = 3660
    close_after_seconds: Annotated[
        float,
        Meta(
            ge=1, le=3600, description="How long after its end an hour waits for its last readings."
        ),
    ] = 120.0
    edge_gap_seconds: Annotated[
        float,
        Meta(
            ge=0,
            le=3600,
            description="How far apart the readings on both sides of the full hour may be for the "
            "register to be known there.",
        ),
    ] = 900.0
    coverage_threshold_ratio: Annotated[
        float,
        Meta(
            gt=0,
            le=1,
            description="The share of an hour that readings of power have to cover; below it the "
            "hour is unknown.",
        ),
    ] = 0.9
    time_zone: Annotated[
        TimeZone, Meta(description="Zone of months, and of the times that `meters` prints.")
    ] = "Asia/Shanghai"
