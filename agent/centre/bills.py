"""What was bought for a time and not measured in it: spread over its hours by their consumption.

Two readings of such a meter tell what was bought for how long: certificates, or power by bill.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone

from agent.centre.ledger import Ledger
from agent.config.meter_settings import MeterSettings
from agent.metering import certificates
from agent.metering.certificates import CertificatePeriod
from agent.metering.explain import Step, time_text
from agent.metering.hours import HOUR
from agent.model.metering import Figure, MeterReading, MeterRole, Quality

BY_HAND = "csv"


def spread_meters(meters: Sequence[MeterSettings]) -> frozenset[str]:
    """Return the meters whose readings are bills: spread over the hours between them."""
    return frozenset(
        meter.name
        for meter in meters
        if any(
            role.removeprefix("-") == MeterRole.GREEN_CERTIFICATE.value
            or (meter.kind == BY_HAND and role.removeprefix("-") == MeterRole.GREEN_PURCHASED.value)
            for role in meter.roles
        )
    )


class Consumed:
    """Remembers what was used in the hours of some times, while many hours are closed.

    It is right as long as nobody else closes hours.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._sums: dict[tuple[datetime, datetime], int] = {}
        self._known: dict[tuple[datetime, datetime], dict[datetime, int]] = {}

    def total(self, first: datetime, end: datetime, *, start_at: datetime, facility: Figure) -> int:
        """Return what the known hours from one time to another used, in joules.

        The hour from `start_at` on counts with `facility`, with which it is about to be closed.
        """
        span = (first, end)
        if span not in self._known:
            self._known[span] = {
                hour.start_at: hour.facility.value
                for hour in self._ledger.hours_between(first, end)
                if hour.facility.value is not None
            }
            self._sums[span] = sum(self._known[span].values())
        for each, known in self._known.items():
            if each[0] <= start_at < each[1]:
                after = facility.value or 0
                self._sums[each] += after - known.get(start_at, 0)
                known[start_at] = after
        return self._sums[span]


class Bills:
    """Finds the share of an hour in what was bought; safe in every thread."""

    def __init__(self, ledger: Ledger, *, names: frozenset[str]) -> None:
        self._ledger = ledger
        self._names = names

    def periods(self, start_at: datetime) -> tuple[tuple[datetime, datetime], ...]:
        """Return the times between two bills in which an hour lies."""
        spans = (self._ledger.pair(name, start_at) for name in sorted(self._names))
        return tuple((a.taken_at, b.taken_at) for a, b in spans if a is not None and b is not None)

    def is_settled(self, name: str, start_at: datetime) -> bool:
        """Tell whether it is known what was bought for the time in which an hour lies."""
        return _difference(*self._ledger.pair(name, start_at)) is not None

    def share(
        self,
        name: str,
        *,
        start_at: datetime,
        consumption: Figure | None,
        consumed: Consumed | None = None,
    ) -> tuple[Figure, tuple[Step, ...]]:
        """Return an hour's share in what was bought between two readings of a meter."""
        if consumption is None:
            return _unknown("no meter has the role facility_total, by which it is spread")
        before, after = self._ledger.pair(name, start_at)
        amount = _difference(before, after)
        if before is None or after is None or amount is None:
            return _unknown(_why_not_told(before, after))
        first, end = _full_hour(before.taken_at), _full_hour(after.taken_at)
        consumed = consumed or Consumed(self._ledger)
        period = CertificatePeriod(
            start_at=first,
            end_at=end,
            amount_joules=amount,
            consumption_joules=consumed.total(first, end, start_at=start_at, facility=consumption),
        )
        return certificates.certificate_hour(period, start_at=start_at, consumption=consumption)


def _difference(before: MeterReading | None, after: MeterReading | None) -> int | None:
    """Return what a register of what was bought rose by; None where it fell or is not known."""
    if before is None or after is None:
        return None
    first, second = before.energy_joules, after.energy_joules
    if first is None or second is None or second < first:
        return None
    return second - first


def _why_not_told(before: MeterReading | None, after: MeterReading | None) -> str:
    if before is None:
        return "no reading says from when on it was bought"
    since = time_text(before.taken_at)
    if after is None:
        return f"what was bought for the time since {since} has not been entered yet"
    until = time_text(after.taken_at)
    return f"the readings of {since} and {until} do not rise: enter the sum of all bought so far"


def _full_hour(moment: datetime) -> datetime:
    """Return the full hour next to a time, so that each hour belongs to one period."""
    moment = moment.astimezone(timezone.utc)
    whole = moment.replace(minute=0, second=0, microsecond=0)
    return whole if whole == moment else whole + HOUR


def _unknown(reason: str) -> tuple[Figure, tuple[Step, ...]]:
    figure = Figure(value=None, coverage_ratio=0.0, quality=Quality.UNKNOWN, reason=reason)
    return figure, (Step(text=f"Not known: {reason}.", fields={}),)
