"""A simulated centre: its meters, and what is true of it in every hour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction

from agent.simulator.meters.meter import MeterScript

HOUR_SECONDS = 3600
_MICROSECOND = timedelta(microseconds=1)

FACILITY, IT, WATER = "facility_total", "it", "water"
GREEN = ("green_direct", "green_purchased")


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """Is what really was used in some time, in joules and millilitres; exact.

    None where no meter has such a role.
    """

    facility: Fraction | None
    it: Fraction | None
    green: Fraction | None
    water: Fraction | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CentreScript:
    """Describes a centre from `start_at` on; its days begin at midnight of that time's zone."""

    start_at: datetime
    meters: tuple[MeterScript, ...]

    @property
    def midnight(self) -> datetime:
        """Midnight of the first day, from which everything is counted."""
        return self.start_at.replace(hour=0, minute=0, second=0, microsecond=0)

    def second_of(self, moment: datetime) -> Fraction:
        """Return a time in seconds since midnight of the first day."""
        return Fraction((moment - self.midnight) // _MICROSECOND, 1_000_000)

    def time_of(self, second: int) -> datetime:
        """Return the time that is so many seconds after midnight of the first day."""
        return self.midnight + timedelta(seconds=second)

    def truth(self, start_at: datetime, end_at: datetime) -> Truth:
        """Return what was really used between two times; a reset changes nothing of it."""
        used = self._used(self.second_of(start_at), self.second_of(end_at))
        facility = used.get(FACILITY)
        green = [used[role] for role in GREEN if role in used]
        total = sum(green, Fraction(0)) if green and facility is not None else None
        return Truth(
            facility=facility,
            it=used.get(IT),
            green=None if total is None or facility is None else min(total, facility),
            water=used.get(WATER),
        )

    def _used(self, first: Fraction, last: Fraction) -> Mapping[str, Fraction]:
        used: dict[str, Fraction] = {}
        for meter in self.meters:
            amount = meter.amount(last) - meter.amount(first)
            for role in meter.roles:
                name = role.removeprefix("-")
                sign = -1 if role.startswith("-") else 1
                used[name] = used.get(name, Fraction(0)) + sign * amount
        return used
