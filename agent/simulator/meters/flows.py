"""What flows in a centre: curves over the day, and exactly what they come to.

Rates are joules or millilitres a second; times are seconds since midnight of the script's first
day. All of it is fractions: the truth is compared with what was metered, to the last joule.
"""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """Is the rate at one second of the day."""

    second: int
    rate: Fraction


class Flow:
    """Is a rate that repeats each day, with straight lines between its points."""

    def __init__(self, points: Sequence[Point]) -> None:
        """Take points of different seconds of the day, one at least.

        Raises:
            ValueError: there is none, or two are of one second.
        """
        ordered = sorted(points, key=lambda point: point.second)
        if not ordered or any(a.second == b.second for a, b in itertools.pairwise(ordered)):
            raise ValueError("a flow has points of different times, one at least")
        first, last = ordered[0], ordered[-1]
        # Midnight lies on the line from the last point to the first one of the next day.
        span = DAY_SECONDS - last.second + first.second
        share = Fraction(DAY_SECONDS - last.second, span)
        midnight = last.rate + (first.rate - last.rate) * share
        whole = [] if first.second == 0 else [Point(second=0, rate=midnight)]
        whole += [*ordered, Point(second=DAY_SECONDS, rate=midnight)]
        self._points = tuple(whole)
        self._seconds = tuple(point.second for point in whole)
        areas = (
            (a.rate + b.rate) / 2 * (b.second - a.second) for a, b in itertools.pairwise(whole)
        )
        self._sums = tuple(itertools.accumulate(areas, initial=Fraction(0)))

    @property
    def corners(self) -> tuple[int, ...]:
        """The seconds of the day at which the rate begins to change in another way."""
        return self._seconds

    def rate(self, second: Fraction) -> Fraction:
        """Return the rate at a time."""
        return self._within(second % DAY_SECONDS)[1]

    def amount(self, second: Fraction) -> Fraction:
        """Return what has flowed since midnight of the first day; below 0 before it."""
        days, rest = divmod(second, DAY_SECONDS)
        return days * self._sums[-1] + self._within(rest)[0]

    def spread(self, first: Fraction, last: Fraction) -> Fraction:
        """Return by how much the rate differs at most between two times."""
        day = first // DAY_SECONDS
        corners = [
            (day + turn) * DAY_SECONDS + point.second
            for turn in range(int((last - first) // DAY_SECONDS) + 2)
            for point in self._points
        ]
        rates = [self.rate(first), self.rate(last)]
        rates += [self.rate(Fraction(each)) for each in corners if first < each < last]
        return max(rates) - min(rates)

    def _within(self, rest: Fraction) -> tuple[Fraction, Fraction]:
        """Return amount and rate at a time of the first day."""
        index = min(bisect_right(self._seconds, rest) - 1, len(self._points) - 2)
        first, second = self._points[index], self._points[index + 1]
        into = rest - first.second
        slope = (second.rate - first.rate) / (second.second - first.second)
        rate = first.rate + slope * into
        return self._sums[index] + (first.rate + rate) / 2 * into, rate
