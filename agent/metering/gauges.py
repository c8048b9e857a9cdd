"""What a power gauge comes to in one hour.

Power is joined by straight lines between samples at most `gap_seconds` apart, and what lies in
longer gaps is not covered. Such a figure says what was used in the time that it covers and is never
stretched to the hour.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from agent.metering.explain import Step, time_text
from agent.metering.hours import HOUR, THRESHOLD_RATIO
from agent.metering.pairs import RATE_TOLERANCE_RATIO
from agent.metering.readings import PowerReading
from agent.model.metering import Figure, Quality

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)
_MICROSECONDS = 1_000_000
_HOUR = HOUR // _MICROSECOND
_METHOD = "power over time, straight lines between samples"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Covered:
    """Holds the areas under the lines in joules, and how many microseconds they cover.

    `on_edges` is on how many edges of the hour a sample lies that takes part.
    """

    areas: Sequence[float]
    microseconds: int
    on_edges: int

    @property
    def joules(self) -> int:
        return round(math.fsum(self.areas))


class GaugeStretch:
    """Holds the samples of one gauge over a stretch of time, to make many hours of them."""

    def __init__(
        self,
        samples: Iterable[tuple[int, float]],
        *,
        gap_seconds: float,
        threshold_ratio: float = THRESHOLD_RATIO,
        rate_maximum: float | None = None,
    ) -> None:
        """Take in samples by time, as microseconds since 1970 and watts, no two of one moment.

        Those are left out that are below 0, no number, or above `rate_maximum` watts by more than a
        fifth. They have to reach `gap_seconds` beyond the hours that are asked for.
        """
        most = math.inf
        if rate_maximum is not None and math.isfinite(rate_maximum) and rate_maximum > 0:
            most = rate_maximum * RATE_TOLERANCE_RATIO
        self.times = array("q")
        self.watts = array("d")
        for at, watts in samples:
            if math.isfinite(watts) and 0 <= watts <= most:
                self.times.append(at)
                self.watts.append(watts)
        self._gap = gap_seconds * _MICROSECONDS
        self._threshold_ratio = threshold_ratio

    def hour(self, start_us: int) -> Figure:
        """Return what the gauge comes to in an hour."""
        covered = self.covered(start_us)
        coverage = covered.microseconds / _HOUR
        if not covered.areas or coverage < self._threshold_ratio:
            return Figure(
                value=None,
                coverage_ratio=coverage,
                quality=Quality.PARTIAL if covered.areas else Quality.UNKNOWN,
                method=_METHOD,
                reason=f"samples cover {coverage:.1%} of the hour",
            )
        whole = covered.microseconds == _HOUR and covered.on_edges == 2
        return Figure(
            value=covered.joules,
            coverage_ratio=coverage,
            quality=Quality.MEASURED if whole else Quality.INTERPOLATED,
            method=_METHOD,
        )

    def covered(self, start_us: int) -> _Covered:
        """Return what lies under the lines of an hour."""
        end_us = start_us + _HOUR
        areas: list[float] = []
        microseconds = on_edges = 0
        for first_us, first_watts, second_us, second_watts in self._pairs(start_us):
            gap = second_us - first_us
            if gap > self._gap:
                continue
            begin, finish = max(first_us, start_us), min(second_us, end_us)
            slope = (second_watts - first_watts) / (gap / _MICROSECONDS)
            middle = ((begin - first_us) + (finish - first_us)) / _MICROSECONDS / 2
            areas.append((first_watts + slope * middle) * ((finish - begin) / _MICROSECONDS))
            microseconds += finish - begin
            on_edges += (begin == first_us == start_us) + (finish == second_us == end_us)
        return _Covered(areas=areas, microseconds=microseconds, on_edges=on_edges)

    def gaps(self, start_us: int) -> Iterator[tuple[int, float, int, float]]:
        """Yield the neighbours of an hour that are too far apart: time and watts of both."""
        for pair in self._pairs(start_us):
            if pair[2] - pair[0] > self._gap:
                yield pair

    def _pairs(self, start_us: int) -> Iterator[tuple[int, float, int, float]]:
        """Yield the neighbours between which a part of the hour lies."""
        times, watts = self.times, self.watts
        first = max(0, bisect_right(times, start_us) - 1)
        last = min(len(times) - 1, bisect_left(times, start_us + _HOUR))
        for place in range(first, last):
            yield times[place], watts[place], times[place + 1], watts[place + 1]


def power_hour(
    readings: Sequence[PowerReading],
    *,
    start_at: datetime,
    gap_seconds: float,
    threshold_ratio: float = THRESHOLD_RATIO,
    rate_maximum: float | None = None,
) -> tuple[Figure, tuple[Step, ...]]:
    """Return what a power gauge comes to in the hour from `start_at` on, in joules, and how.

    Below `threshold_ratio` of the hour the value is None. Samples are left out that are below 0, no
    number, or above `rate_maximum` watts by more than a fifth, and those of one moment that differ.
    """
    stretch = GaugeStretch(
        _one_of_each_moment(readings),
        gap_seconds=gap_seconds,
        threshold_ratio=threshold_ratio,
        rate_maximum=rate_maximum,
    )
    start_us = _microseconds(start_at)
    figure, covered = stretch.hour(start_us), stretch.covered(start_us)
    steps = [_gap_step(*gap, gap_seconds=gap_seconds) for gap in stretch.gaps(start_us)]
    seconds, joules = covered.microseconds / _MICROSECONDS, covered.joules
    inside = range(
        bisect_left(stretch.times, start_us), bisect_right(stretch.times, start_us + _HOUR)
    )
    steps.append(
        Step(
            text=(
                f"{len(covered.areas)} trapezoids between samples cover {seconds:g} s of "
                f"3600 s: {joules} J."
            ),
            fields={
                "trapezoids": len(covered.areas),
                "covered_seconds": seconds,
                "joules": joules,
                "samples": [
                    [time_text(_moment(stretch.times[place])), stretch.watts[place]]
                    for place in inside
                ],
            },
        )
    )
    if figure.value is None:
        fields = {"coverage_ratio": figure.coverage_ratio}
        steps.append(Step(text=f"Not known: {figure.reason}.", fields=fields))
    return figure, tuple(steps)


def _one_of_each_moment(readings: Sequence[PowerReading]) -> list[tuple[int, float]]:
    """Return the samples by time; where two of one moment differ, neither is taken."""
    by_time: dict[datetime, set[float]] = {}
    for reading in readings:
        by_time.setdefault(reading.taken_at, set()).add(reading.watts)
    return [
        (_microseconds(moment), next(iter(values)))
        for moment, values in sorted(by_time.items())
        if len(values) == 1
    ]


def _gap_step(
    first_us: int, first_watts: float, second_us: int, second_watts: float, *, gap_seconds: float
) -> Step:
    start, end = time_text(_moment(first_us)), time_text(_moment(second_us))
    return Step(
        text=f"From {start} to {end} no sample came, longer than {gap_seconds:g} s: not covered.",
        fields={"before": [start, first_watts], "after": [end, second_watts]},
    )


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


def _moment(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)
