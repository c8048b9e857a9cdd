"""What the hours of a month come to together (TC609, table A.8-1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone, tzinfo

from agent.metering.figures import PUE_SCALE, WUE_SCALE
from agent.metering.hours import HOUR, THRESHOLD_RATIO
from agent.model.metering import CentreHour, Figure, Quality


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthTotals:
    """Holds the sums of a month's known hours; nothing is added for those that are not known.

    `coverage_ratio` of a figure is the share of the month that its known hours cover. `pue` and
    `wue_litres_per_kwh` are made of the hours in which they are known, whose share of the month is
    `pue_coverage_ratio` and `wue_coverage_ratio`. `hours` is how many the month has. What is None
    has its reason in `unknown`.
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
    threshold_ratio: float = THRESHOLD_RATIO,
) -> MonthTotals:
    """Return the totals of the hours that start within a span, each in its latest version.

    A figure whose known hours cover less than `threshold_ratio` of the span has no value.

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

    def total(figures: Sequence[Figure]) -> Figure:
        return _total(figures, hours=count, threshold_ratio=threshold_ratio)

    def ratio(pairs: Sequence[tuple[Figure, Figure]], *, scale: int) -> _MonthRatio:
        return _ratio(pairs, scale=scale, hours=count, threshold_ratio=threshold_ratio)

    facility, it = total([hour.facility for hour in kept]), total([hour.it for hour in kept])
    green, water = total([hour.green for hour in kept]), total([hour.water for hour in kept])
    pue = ratio(
        [(hour.facility, hour.it) for hour in kept if hour.pue is not None], scale=PUE_SCALE
    )
    wue = ratio(
        [(hour.water, hour.it) for hour in kept if hour.wue_litres_per_kwh is not None],
        scale=WUE_SCALE,
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


def _total(figures: Sequence[Figure], *, hours: int, threshold_ratio: float) -> Figure:
    known = [figure for figure in figures if figure.value is not None]
    coverage = min(1.0, sum(figure.coverage_ratio for figure in known) / hours)
    value = sum(figure.value or 0 for figure in known)
    method = f"sum of {len(known)} known hours of {hours}"
    if not known or coverage < threshold_ratio:
        return Figure(
            value=None,
            coverage_ratio=coverage,
            quality=Quality.PARTIAL if known else Quality.UNKNOWN,
            method=method,
            reason=f"{len(known)} of {hours} hours are known; together they come to {value}",
        )
    exact = len(known) == hours and all(figure.quality is Quality.MEASURED for figure in known)
    quality = Quality.MEASURED if exact else Quality.INTERPOLATED
    return Figure(value=value, coverage_ratio=coverage, quality=quality, method=method)


def _ratio(
    pairs: Sequence[tuple[Figure, Figure]], *, scale: int, hours: int, threshold_ratio: float
) -> _MonthRatio:
    coverage = len(pairs) / hours
    above = sum(first.value or 0 for first, _ in pairs)
    below = sum(second.value or 0 for _, second in pairs)
    if below <= 0 or coverage < threshold_ratio:
        reason = f"it is known in {len(pairs)} of {hours} hours"
        return _MonthRatio(value=None, coverage_ratio=coverage, reason=reason)
    return _MonthRatio(value=above * scale / below, coverage_ratio=coverage, reason=None)
