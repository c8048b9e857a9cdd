"""A meter's life with a known truth: what it really counted, and what was read of it.

Everything that happens to meters happens here, spread so that each can be seen by itself: wraps,
resets, swaps, gaps, wrong readings alone and in runs, clocks that were wrong for a while,
duplicates, two readings of one moment that differ, readings that come late.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

from agent.metering.readings import RegisterReading
from agent.model.metering import RegisterTraits

EPOCH = datetime(2025, 12, 31, 16, tzinfo=timezone.utc)
HOUR_SECONDS = 3600


def moment(milliseconds: int) -> datetime:
    return EPOCH + timedelta(milliseconds=milliseconds)


class Truth:
    """Counts joules of a load that stays the same for some minutes, in integers."""

    def __init__(self, *, seconds: int, least_watts: int, most_watts: int, seed: int) -> None:
        chance = random.Random(seed)
        self._starts = [0]
        self._joules = [0]
        self._watts = [chance.randint(least_watts, most_watts)]
        while self._starts[-1] < seconds * 1000:
            lasts_seconds = chance.randint(120, 2400)
            self._starts.append(self._starts[-1] + lasts_seconds * 1000)
            self._joules.append(self._joules[-1] + self._watts[-1] * lasts_seconds)
            self._watts.append(
                0 if chance.random() < 0.02 else chance.randint(least_watts, most_watts)
            )

    def joules(self, milliseconds: int) -> int:
        """Return what was used since the beginning."""
        index = bisect_right(self._starts, milliseconds) - 1
        since = milliseconds - self._starts[index]
        return self._joules[index] + self._watts[index] * since // 1000

    def deviation(self, begin: int, end: int) -> int:
        """Return how far a straight line between two moments may be from the truth."""
        first = bisect_right(self._starts, begin) - 1
        last = bisect_right(self._starts, end) - 1
        watts = self._watts[first : last + 1]
        return (max(watts) - min(watts)) * (end - begin) // 4000


@dataclass(frozen=True, kw_only=True)
class Kind:
    """Is a kind of meter, and what happens to it."""

    name: str
    traits: RegisterTraits
    resolution: int
    least_watts: int
    most_watts: int
    period_seconds: int = 60
    events: tuple[str, ...] = ()
    starts_at: int = 0
    marked: bool = False


@dataclass(kw_only=True)
class Year:
    """Holds the truth, all readings, and those of them that came late."""

    kind: Kind
    truth: Truth
    seconds: int
    readings: list[RegisterReading] = field(default_factory=list)
    late: list[RegisterReading] = field(default_factory=list)
    happened: dict[str, int] = field(default_factory=dict)
    wraps: int = 0


WEAR = ("gap", "short_gap", "spike", "spike_run", "clock_back", "clock_forward", "conflict", "late")

KINDS = (
    Kind(
        name="eight digits, rated",
        traits=RegisterTraits(modulus=3_600_000_000 * 10, rate_maximum=600_000, resolution=36_000),
        resolution=36_000,
        least_watts=150_000,
        most_watts=590_000,
        starts_at=3_600_000_000 * 9,
        events=(*WEAR, "swap_far", "reset"),
    ),
    Kind(
        name="eight digits, no rating",
        traits=RegisterTraits(modulus=3_600_000_000 * 20, resolution=36_000),
        resolution=36_000,
        least_watts=150_000,
        most_watts=590_000,
        starts_at=3_600_000_000 * 19,
        events=(*WEAR, "swap_lower"),
    ),
    Kind(
        name="processor, wraps in minutes",
        traits=RegisterTraits(modulus=262_144, rate_maximum=300, resolution=1),
        resolution=1,
        least_watts=60,
        most_watts=290,
        period_seconds=20,
        events=("gap", "short_gap", "conflict", "late"),
    ),
    Kind(
        name="accelerator, marked resets to 0",
        traits=RegisterTraits(rate_maximum=700, resolution=1, starts_at_zero=True),
        resolution=1,
        least_watts=80,
        most_watts=690,
        marked=True,
        events=(*WEAR, "marked_reset"),
    ),
    Kind(
        name="coarse, marked resets to 0",
        traits=RegisterTraits(rate_maximum=700, resolution=360_000, starts_at_zero=True),
        resolution=360_000,
        least_watts=80,
        most_watts=690,
        marked=True,
        events=("gap", "short_gap", "late", "marked_reset"),
    ),
    Kind(
        name="serial numbers, no rating, no modulus",
        traits=RegisterTraits(),
        resolution=1,
        least_watts=1000,
        most_watts=9000,
        marked=True,
        starts_at=777,
        events=(*WEAR, "marked_swap"),
    ),
)


def make_year(kind: Kind, *, days: int, seed: int) -> Year:
    """Return a meter's life of some days; the same for the same seed."""
    chance = random.Random(f"{kind.name}/{seed}")
    seconds = days * 24 * HOUR_SECONDS
    truth = Truth(
        seconds=seconds + HOUR_SECONDS,
        least_watts=kind.least_watts,
        most_watts=kind.most_watts,
        seed=chance.getrandbits(32),
    )
    return _Life(Year(kind=kind, truth=truth, seconds=seconds), chance).live()


class _Life:
    """Lives through a year: reads the meter period by period, with what happens on the way."""

    def __init__(self, year: Year, chance: random.Random) -> None:
        self._year = year
        self._kind = year.kind
        self._chance = chance
        # What the register shows is this much more than the truth, before it wraps.
        self._offset = year.kind.starts_at
        self._marker = 1
        self._clock_error = 0
        self._until: dict[str, int] = {}
        self._garbage = 0
        self._turns = 0

    def live(self) -> Year:
        chance, year, kind = self._chance, self._year, self._kind
        now = 0
        next_event = 3 * HOUR_SECONDS * 1000
        jitter_until = 0
        while now < year.seconds * 1000:
            if now >= next_event and kind.events:
                self._happen(chance.choice(kind.events), now)
                next_event = now + chance.randint(5 * HOUR_SECONDS, 9 * HOUR_SECONDS) * 1000
            self._read(now)
            # Some days the meter is read on the minute, on others whenever it answers.
            if now >= jitter_until:
                jitter_until = now + chance.randint(1, 30) * HOUR_SECONDS * 1000
                on_time = chance.random() < 0.5
            step = kind.period_seconds * 1000
            now = (now // step + 1) * step
            if not on_time:
                now += chance.randint(1, step - 1)
        chance.shuffle(year.readings)
        return year

    def _happen(self, event: str, now: int) -> None:
        chance, kind = self._chance, self._kind
        minute = 60_000
        self._year.happened[event] = self._year.happened.get(event, 0) + 1
        shown = self._shown(now)
        modulus = kind.traits.modulus
        if event == "gap":
            self._until["gap"] = now + chance.randint(16, 400) * minute
        elif event == "short_gap":
            self._until["gap"] = now + chance.randint(2, 13) * minute
        elif event in ("spike", "spike_run"):
            self._garbage = chance.choice(
                [0, chance.randrange(modulus or 10**13), (modulus or 2**63) - 1]
            )
            length = 1 if event == "spike" else chance.randint(2, 20)
            self._until["spike"] = now + (length * kind.period_seconds * 1000 * 2) // 3
        elif event == "clock_back":
            error = chance.randint(8, 55)
            self._clock_error = -error * minute
            self._until["clock"] = now + chance.randint(4, error - 2) * minute
        elif event == "clock_forward":
            error = chance.randint(8, 55)
            self._clock_error = error * minute
            self._until["clock"] = now + chance.randint(4, error - 2) * minute
        elif event == "conflict":
            self._until["conflict"] = now + 1
        elif event == "late":
            self._until["late"] = now + chance.randint(10, 200) * minute
        elif event == "reset":
            # A fall to the bottom of the scale from the middle of it; near the top it may be taken
            # for a wrap, which nothing but a marker could tell.
            if modulus is not None and modulus // 4 < shown < 3 * modulus // 4:
                self._offset = -self._year.truth.joules(now)
        elif event == "swap_far" and modulus is not None:
            self._offset += modulus // 2
        elif event == "swap_lower" and modulus is not None:
            if shown > modulus // 2:
                self._offset -= modulus // 3
        elif event == "marked_reset":
            # It began anew a while ago, and nobody was there to read it.
            before = now - chance.randint(0, kind.period_seconds * 900)
            self._offset = -self._year.truth.joules(max(0, before))
            self._marker += 1
        elif event == "marked_swap":
            self._offset += chance.randint(-shown, 10**9)
            self._marker += 1

    def _shown(self, now: int) -> int:
        value = self._offset + self._year.truth.joules(now)
        value -= value % self._kind.resolution
        modulus = self._kind.traits.modulus
        return value if modulus is None else value % modulus

    def _count_wraps(self, now: int) -> None:
        modulus = self._kind.traits.modulus
        if modulus is not None:
            turns = (self._offset + self._year.truth.joules(now)) // modulus
            self._year.wraps += turns == self._turns + 1
            self._turns = turns

    def _read(self, now: int) -> None:
        if now < self._until.get("gap", 0):
            return
        if now >= self._until.get("clock", 0):
            self._clock_error = 0
        value = self._shown(now)
        self._count_wraps(now)
        if now < self._until.get("spike", 0):
            value = self._garbage
        taken_at = moment(now + self._clock_error)
        marker = str(self._marker) if self._kind.marked else None
        reading = RegisterReading(taken_at=taken_at, value=value, marker=marker)
        chosen = self._year.late if now < self._until.get("late", 0) else self._year.readings
        chosen.append(reading)
        if self._chance.random() < 0.01:
            chosen.append(reading)
        if self._until.pop("conflict", None) is not None:
            other = self._chance.randrange(self._kind.traits.modulus or 10**10)
            chosen.append(RegisterReading(taken_at=taken_at, value=other, marker=marker))
