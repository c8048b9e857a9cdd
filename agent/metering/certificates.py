"""Green certificates, spread over the hours of the period that they were bought for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from agent.metering.explain import Step, time_text
from agent.metering.hours import HOUR
from agent.model.metering import Figure, Quality

_METHOD = "what was bought for the period, spread by consumption"


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificatePeriod:
    """Is what certificates cover: an amount for the time from `start_at` to before `end_at`.

    One certificate stands for 1000 kWh. Those that came with power which is counted as purchased
    do not belong in it, since they would count that power again. `consumption_joules` is what the
    centre used in the known hours of the period, None until the period has ended: before that no
    share is right.
    """

    start_at: datetime
    end_at: datetime
    amount_joules: int
    consumption_joules: int | None = None


def certificate_hour(
    period: CertificatePeriod, *, start_at: datetime, consumption: Figure
) -> tuple[Figure, tuple[Step, ...]]:
    """Return the share of an hour in a period's certificates, rounded down.

    The share is as great as the hour's part in the consumption of the period's known hours, so
    that all shares together never exceed what was bought. An hour outside the period has none.
    """
    if start_at < period.start_at or start_at + HOUR > period.end_at:
        return _figure(0, coverage=1.0, text="nothing was bought for this hour")
    if consumption.value is None:
        reason = f"the hour's consumption is not known: {consumption.reason}"
        return _unknown(reason, coverage=consumption.coverage_ratio)
    whole = period.consumption_joules
    if whole is None:
        end = time_text(period.end_at)
        reason = f"the share is known when the period has ended ({end}) and its hours are closed"
        return _unknown(reason, coverage=0.0)
    if whole < consumption.value:
        return _unknown("the hour's consumption exceeds the period's", coverage=0.0)
    value = period.amount_joules * consumption.value // whole if whole else 0
    text = f"{period.amount_joules} × {consumption.value} ÷ {whole} = {value}"
    return _figure(value, coverage=consumption.coverage_ratio, text=text)


def _figure(value: int, *, coverage: float, text: str) -> tuple[Figure, tuple[Step, ...]]:
    figure = Figure(
        value=value, coverage_ratio=coverage, quality=Quality.INTERPOLATED, method=_METHOD
    )
    return figure, (Step(text=f"Bought: {text}.", fields={"value": value}),)


def _unknown(reason: str, *, coverage: float) -> tuple[Figure, tuple[Step, ...]]:
    figure = Figure(
        value=None,
        coverage_ratio=coverage,
        quality=Quality.PARTIAL if coverage > 0 else Quality.UNKNOWN,
        method=_METHOD,
        reason=reason,
    )
    return figure, (Step(text=f"Bought: not known; {reason}."),)
