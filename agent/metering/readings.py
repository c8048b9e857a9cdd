"""What the arithmetic starts from: one register or one gauge, at one moment.

Times are aware; everything is counted in UTC, where no hour is missing or comes twice. A reading
carries no more than the wall time at which it was taken, so that a clock that was wrong shows only
where readings run against each other (`agent/metering/deltas.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterReading:
    """Is what a cumulative register showed, in joules or millilitres.

    `marker` changes when the register began anew; None where the meter did not tell it.
    """

    taken_at: datetime
    value: int
    marker: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerReading:
    """Is what a power gauge showed, in watts."""

    taken_at: datetime
    watts: float
