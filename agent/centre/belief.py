"""Which readings, and which times, can be believed at all."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime, timedelta

from agent.model.metering import MeterReading

# What a clock that lost its battery shows.
FIRST_BELIEVED_YEAR = 2020
_FUTURE = timedelta(minutes=10)
_MOST = 2**63
_LONGEST_CLOCK_STEP = timedelta(days=7)


def doubtful_spans(before: datetime, after: datetime) -> Iterable[tuple[datetime, datetime]]:
    """Return the times for which no reading can be trusted after the clock was set.

    Set forward: the moments at both of its ends; in between nothing was read. Set back: all that
    was passed twice.
    """
    if after > before or before - after > _LONGEST_CLOCK_STEP:
        return ((before, before), (after, after))
    return ((after, before),)


def trouble_of(
    reading: MeterReading, *, now: datetime, not_before: datetime, may_be_empty: bool
) -> str | None:
    """Return why a reading cannot be kept, None where it can."""
    taken_at = reading.taken_at
    if taken_at.tzinfo is None:
        return "its time has no zone"
    if taken_at.year < FIRST_BELIEVED_YEAR:
        return f"{taken_at.isoformat()} is before {FIRST_BELIEVED_YEAR}: the clock was wrong"
    if taken_at < not_before:
        return f"{taken_at.isoformat()} is longer ago than readings are kept"
    if taken_at > now + _FUTURE:
        return f"{taken_at.isoformat()} has not come yet"
    amounts = (reading.energy_joules, reading.water_millilitres)
    if any(amount is not None and not 0 <= amount < _MOST for amount in amounts):
        return "a register shows no number below 0, and none above 2^63"
    power = reading.power_watts
    if power is not None and not math.isfinite(power):
        return "its power is no number"
    if power is None and amounts == (None, None) and not may_be_empty:
        return "it has no value"
    return None
