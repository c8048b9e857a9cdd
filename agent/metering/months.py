"""What a month comes to (TC609, table A.8-1): the sum of its hours, if it is that of the month.

A register needs nothing between two readings. So hours of which none is known by itself, because
no reading came near their edges, are known together where the register is known before the first
and after the last of them. A month of which an hour is still missing then has no value: what its
known hours come to is less than was used, and nothing on the wire could say so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone, tzinfo
from typing import TypeAlias

from agent.metering.explain import time_text
from agent.metering.figures import JOULES_PER_KWH, MILLILITRES_PER_LITRE, PUE_SCALE, WUE_SCALE
from agent.metering.hours import HOUR, THRESHOLD_RATIO
from agent.metering.roles import WHOLE_RATIO
from agent.model.metering import CentreHour, Figure, Quality

# Of "facility", "it", "green" or "water", what registers counted from one time to another.
Across: TypeAlias = "Callable[[str, datetime, datetime], Figure]"


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthTotals:
    """Holds what a month comes to.

    A figure has a value only if every hour counts in it, by itself or among others between two
    register readings; its `coverage_ratio` is the share of the month that they cover. `pue` and
    `wue_litres_per_kwh` are made of those sums, or, where one of them is not known, of the hours in
    which they are known themselves: at least nine tenths, unless another threshold was given.
    `pue_coverage_ratio` and `wue_coverage_ratio` are the share of the month that stands behind
    them. `hours` is how many the month has. What is None has its reason in `unknown`.
    """

    start_at: datetime
    end_at: datetime
    hours: int
    facility: Figure
    it: Figure
    green: Figure
    water: Figure
    pue: float | None
    pue_coverage_ratio: float
    wue_litres_per_kwh: float | None
    wue_coverage_ratio: float
    unknown: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _MonthRatio:
    """Holds a ratio of sums over the hours in which both are known."""

    value: float | None
    coverage_ratio: float
    reason: str | None


def month_span(year: int, month: int, *, zone: tzinfo) -> tuple[datetime, datetime]:
    """Return the first moment of a month in a zone, and of the month after it, in UTC."""
    following = (year + 1, 1) if month == 12 else (year, month + 1)
    start = datetime(year, month, 1, tzinfo=zone)
    end = datetime(*following, 1, tzinfo=zone)
    return start.astimezone(timezone.utc), end.astimezone(timezone.utc)


def month_totals(
    hours: Sequence[CentreHour],
    *,
    start_at: datetime,
    end_at: datetime,
    across: Across | None = None,
    threshold_ratio: float = THRESHOLD_RATIO,
) -> MonthTotals:
    """Return the totals of the hours that start within a span, each in its latest version.

    `across` is asked for each run of hours that are not known; None where nobody can tell. PUE and
    WUE of less than `threshold_ratio` of the span have no value.

    Raises:
        ValueError: the span is shorter than an hour.
    """
    count = (end_at - start_at) // HOUR
    if count < 1:
        raise ValueError(f"{start_at} to {end_at} is less than an hour")
    latest: dict[datetime, CentreHour] = {}
    for hour in hours:
        other = latest.get(hour.start_at)
        if start_at <= hour.start_at < end_at and (other is None or hour.version > other.version):
            latest[hour.start_at] = hour
    kept = [latest[moment] for moment in sorted(latest)]
    first = _full_hour(start_at)
    moments = [first + index * HOUR for index in range(count)]

    def total(name: str) -> Figure:
        found = {hour.start_at: getattr(hour, name) for hour in kept}
        return _total([(moment, found.get(moment)) for moment in moments], name, across=across)

    facility, it, green, water = (total(name) for name in ("facility", "it", "green", "water"))
    pue = _ratio(
        (facility, it),
        [(hour.facility, hour.it) for hour in kept if hour.pue is not None],
        scale=PUE_SCALE,
        hours=count,
        threshold_ratio=threshold_ratio,
    )
    wue = _ratio(
        (water, it),
        [(hour.water, hour.it) for hour in kept if hour.wue_litres_per_kwh is not None],
        scale=WUE_SCALE,
        hours=count,
        threshold_ratio=threshold_ratio,
    )
    reasons = {
        "facility": facility.reason,
        "it": it.reason,
        "green": green.reason,
        "water": water.reason,
        "pue": pue.reason,
        "wue": wue.reason,
    }
    return MonthTotals(
        start_at=start_at,
        end_at=end_at,
        hours=count,
        facility=facility,
        it=it,
        green=green,
        water=water,
        pue=pue.value,
        pue_coverage_ratio=pue.coverage_ratio,
        wue_litres_per_kwh=wue.value,
        wue_coverage_ratio=wue.coverage_ratio,
        unknown={name: reason for name, reason in reasons.items() if reason is not None},
    )


def _full_hour(moment: datetime) -> datetime:
    """Return the first full hour of UTC that is not before a time."""
    whole = moment.replace(minute=0, second=0, microsecond=0)
    return whole if whole == moment else whole + HOUR


def _total(
    hours: Sequence[tuple[datetime, Figure | None]], name: str, *, across: Across | None
) -> Figure:
    known = [figure for _, figure in hours if figure is not None and figure.value is not None]
    value = sum(figure.value or 0 for figure in known)
    covered = sum(figure.coverage_ratio for figure in known)
    bridged = 0
    reason: str | None = None
    for start_at, length, own in _unknown_runs(hours):
        end_at = start_at + length * HOUR
        found = None if across is None else across(name, start_at, end_at)
        if found is None or found.value is None:
            why = own if found is None else found.reason
            reason = reason or f"from {time_text(start_at)} to {time_text(end_at)}: {why}"
            continue
        value += found.value
        covered += found.coverage_ratio * length
        bridged += length
    coverage = min(1.0, covered / len(hours))
    method = f"sum of {len(known)} known hours of {len(hours)}"
    if bridged:
        method += f", and of {bridged} that are known together, between register readings"
    if reason is None and coverage < WHOLE_RATIO:
        reason = f"readings cover {coverage:.1%} of it"
    if reason is not None:
        part = f"{len(known) + bridged} of {len(hours)} hours are known"
        return Figure(
            value=None,
            coverage_ratio=coverage,
            quality=Quality.PARTIAL if known or bridged else Quality.UNKNOWN,
            method=method,
            reason=f"{part}, which come to {_amount(value, name)}; {reason}",
        )
    exact = not bridged and all(figure.quality is Quality.MEASURED for figure in known)
    quality = Quality.MEASURED if exact else Quality.INTERPOLATED
    return Figure(value=value, coverage_ratio=coverage, quality=quality, method=method)


def _amount(value: int, name: str) -> str:
    if name == "water":
        return f"{value / MILLILITRES_PER_LITRE:.1f} litres"
    return f"{value / JOULES_PER_KWH:.1f} kWh"


def _unknown_runs(
    hours: Sequence[tuple[datetime, Figure | None]],
) -> Iterator[tuple[datetime, int, str]]:
    """Yield when each run of hours that are not known begins, how many it has, and why."""
    run: list[tuple[datetime, str]] = []
    for moment, figure in hours:
        if figure is None or figure.value is None:
            run.append((moment, "not closed" if figure is None else figure.reason or "not known"))
        elif run:
            yield run[0][0], len(run), run[0][1]
            run = []
    if run:
        yield run[0][0], len(run), run[0][1]


def _ratio(
    totals: tuple[Figure, Figure],
    pairs: Sequence[tuple[Figure, Figure]],
    *,
    scale: int,
    hours: int,
    threshold_ratio: float,
) -> _MonthRatio:
    above, below = (total.value for total in totals)
    coverage = min(total.coverage_ratio for total in totals)
    if above is None or below is None:
        coverage = len(pairs) / hours
        above = sum(first.value or 0 for first, _ in pairs)
        below = sum(second.value or 0 for _, second in pairs)
        if coverage < threshold_ratio or not pairs:
            reason = f"it is known in {len(pairs)} of {hours} hours"
            return _MonthRatio(value=None, coverage_ratio=coverage, reason=reason)
    if below <= 0:
        return _MonthRatio(value=None, coverage_ratio=coverage, reason="no IT energy was used")
    return _MonthRatio(value=above * scale / below, coverage_ratio=coverage, reason=None)
