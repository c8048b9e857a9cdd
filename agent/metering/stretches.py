"""A register's readings over many hours, each looked at once.

Most hours are plain: the register rises from reading to reading, and nothing casts doubt on it. Of
such an hour only the edges matter. Whatever is not plain is left to `agent/metering/hours.py`,
which gives the same figure for a plain hour, and takes three hours of readings for each.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from datetime import timedelta
from typing import TypeAlias

from agent.metering.hours import HOUR, MARGIN, register_figure
from agent.metering.pairs import PairRule
from agent.model.metering import Figure, RegisterTraits

_MICROSECOND = timedelta(microseconds=1)
_HOUR = HOUR // _MICROSECOND
_MARGIN = MARGIN // _MICROSECOND

# Microseconds since 1970, what the register showed, and whatever names its marker.
Row: TypeAlias = "tuple[int, int | None, int | None]"


class RegisterStretch:
    """Holds the readings of one register over a stretch of time."""

    def __init__(self, rows: Iterable[Row], *, traits: RegisterTraits) -> None:
        """Take in readings in the order of time, no two of one moment.

        They reach `MARGIN` beyond the hours that are asked for, and to the nearest beyond that. A
        value of None is a reading that does not tell the register.
        """
        rule = PairRule(traits)
        self._times = array("q")
        self._values = array("q")
        # Places of which the step to the next reading is not plain, in their order.
        self._doubts = array("q")
        self._is_told = False
        last_at = 0
        last_value: int | None = None
        last_marker: int | None = None
        for place, (at, shown, marker) in enumerate(rows):
            self._is_told = self._is_told or shown is not None
            value = None if shown is None or not rule.shows(shown) else shown
            if place and not (
                value is not None
                and last_value is not None
                and marker == last_marker
                and rule.is_plain(value - last_value, at - last_at)
            ):
                self._doubts.append(place - 1)
            self._times.append(at)
            self._values.append(-1 if value is None else value)
            last_at, last_value, last_marker = at, value, marker

    @property
    def is_empty(self) -> bool:
        """Tell whether no reading tells the register at all."""
        return not self._is_told

    def hour(self, start_us: int, *, edge_gap_seconds: float) -> Figure | None:
        """Return what the register counted in an hour; None where it is not plain."""
        times = self._times
        end_us = start_us + _HOUR
        # As the ledger gives the readings of an hour: the nearest beyond its margins have a say.
        first = max(0, bisect_left(times, start_us - _MARGIN) - 1)
        last = min(len(times) - 1, bisect_right(times, end_us + _MARGIN))
        doubt = bisect_left(self._doubts, first)
        if last <= first or (doubt < len(self._doubts) and self._doubts[doubt] < last):
            return None
        start = self._shown(start_us, edge_gap_seconds=edge_gap_seconds)
        end = self._shown(end_us, edge_gap_seconds=edge_gap_seconds)
        if start is None or end is None:
            return None
        return register_figure(end[0] - start[0], measured=start[1] and end[1])

    def _shown(self, at_us: int, *, edge_gap_seconds: float) -> tuple[int, bool] | None:
        """Return what the register showed at an edge, and whether a reading tells it."""
        times, values = self._times, self._values
        place = bisect_right(times, at_us) - 1
        if place < 0:
            return None
        if times[place] == at_us:
            return values[place], True
        if place + 1 == len(times):
            return None
        gap = times[place + 1] - times[place]
        if gap > edge_gap_seconds * 1_000_000:
            return None
        step = values[place + 1] - values[place]
        return values[place] + step * (at_us - times[place]) // gap, False
