"""One simulated meter: what it ought to count, and what it shows."""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from agent.simulator.meters.flows import Flow
from agent.simulator.meters.layouts import Layout

_SPIKE_FACTOR = 7


class Mishap(str, enum.Enum):
    """Says what happens to a meter.

    WRAP: its register passes its end. RESET: it begins anew at 0, and says so where its layout can.
    SWAP: another meter takes its place, with a serial number and a count of its own. SILENCE: it is
    asked and does not answer. UNPLUGGED: connections to it are closed at once. SPIKE: the register
    shows far too much.
    """

    WRAP = "wrap"
    RESET = "reset"
    SWAP = "swap"
    SILENCE = "silence"
    UNPLUGGED = "unplugged"
    SPIKE = "spike"


LASTING = (Mishap.SILENCE, Mishap.UNPLUGGED, Mishap.SPIKE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Is what happens to a meter from `at` on, until `until` where it lasts.

    Times are seconds since midnight of the first day; `until` is `at` for what happens at once.
    """

    kind: Mishap
    at: int
    until: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """Is what a meter shows at one moment.

    `count` is in steps of the register; `rate` in watts, or millilitres a second. `begun_second` is
    when the register began anew, None where it never did. `serial` counts the meters at this place.
    """

    count: int
    rate: Fraction
    serial: int
    begun_second: int | None
    is_silent: bool
    is_unplugged: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterScript:
    """Describes one meter.

    `flows` are what it measures, each with its sign. `step` is the smallest step of its register in
    joules or millilitres, `modulus` the first count that it cannot show. `start` is what it shows
    at midnight of the first day, in joules or millilitres. `roles` and `options` are for the
    configuration of who reads it.
    """

    name: str
    layout: Layout
    roles: tuple[str, ...]
    flows: tuple[tuple[int, Flow], ...]
    step: int
    modulus: int
    start: Fraction
    rated_kw: str | None
    options: tuple[tuple[str, object], ...]
    port: int
    events: tuple[Event, ...]

    def amount(self, second: Fraction) -> Fraction:
        """Return what it ought to have counted since midnight of the first day."""
        return sum((sign * flow.amount(second) for sign, flow in self.flows), Fraction(0))

    def rate(self, second: Fraction) -> Fraction:
        """Return what flows through it at a time."""
        return sum((sign * flow.rate(second) for sign, flow in self.flows), Fraction(0))

    def spread(self, first: Fraction, last: Fraction) -> Fraction:
        """Return by how much its rate differs at most between two times, or more than that."""
        return sum((flow.spread(first, last) for _, flow in self.flows), Fraction(0))

    def shown(self, second: Fraction) -> Shown:
        """Return what it shows at a time."""
        begun, serial = None, 1
        total = self.start + self.amount(second)
        for event in self._past(second, (Mishap.RESET, Mishap.SWAP)):
            begun = event.at
            total = self.amount(second) - self.amount(Fraction(event.at))
            if event.kind is Mishap.SWAP:
                serial += 1
                # Another meter has lived elsewhere before.
                total += self.start / 2
        lasting = {event.kind for event in self.events if event.at <= second < event.until}
        count = math.floor(total / self.step)
        if Mishap.SPIKE in lasting:
            count *= _SPIKE_FACTOR
        return Shown(
            count=count % self.modulus,
            rate=self.rate(second),
            serial=serial,
            begun_second=begun,
            is_silent=Mishap.SILENCE in lasting,
            is_unplugged=Mishap.UNPLUGGED in lasting,
        )

    def _past(self, second: Fraction, kinds: Sequence[Mishap]) -> list[Event]:
        return sorted(
            (event for event in self.events if event.kind in kinds and event.at <= second),
            key=lambda event: event.at,
        )
