"""Green electricity as a site enters it: meters, bills and certificates, in one file."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from agent.centre.bills import spread_meters
from agent.centre.centre import Centre
from agent.centre.ledger import Ledger
from agent.config.meter_settings import LedgerSettings, MeterSettings
from agent.model.metering import CentreHour, Quality
from tests.agent.centre.conftest import KWH, START, FakeMeter, SetClock

HOUR = timedelta(hours=1)
DAY = 24


def by_hand(name: str, role: str) -> MeterSettings:
    return MeterSettings(name=name, kind="csv", role=role)


INCOMER = by_hand("incomer", "facility_total")
SOLAR = by_hand("solar", "green_direct")
MARKET = by_hand("market", "green_purchased")
CERTIFICATES = by_hand("certificates", "green_certificate")


class Site:
    """Is a centre of some meters, and two days of readings."""

    def __init__(self, folder: Path, *meters: MeterSettings) -> None:
        self.centre = Centre(
            Ledger(folder, spread=spread_meters(meters)),
            meters=meters,
            settings=LedgerSettings(),
            clock=SetClock(START + 3 * DAY * HOUR),
            open_meter=lambda _: FakeMeter(),  # type: ignore[arg-type,return-value]
        )

    def enter(self, name: str, *values: tuple[float, float]) -> None:
        """Enter what a register shows so many hours after the start."""
        rows = [f"{name},{(START + hours * HOUR).isoformat()},{kwh}" for hours, kwh in values]
        content = "\n".join(("meter,time,energy_kwh", *rows))
        done = self.centre.import_file(io.BytesIO(content.encode()))
        assert done.refused == ()
        self.centre.close_due()

    def hourly(self, name: str, *, kwh: float) -> None:
        self.enter(name, *((hours, hours * kwh) for hours in range(2 * DAY + 1)))

    def hours(self) -> tuple[CentreHour, ...]:
        return self.centre._ledger.hours_between(START, START + 2 * DAY * HOUR)

    def green_kwh(self, hours: int) -> float | None:
        value = self.hours()[hours].green.value
        return None if value is None else value / KWH


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path, INCOMER, SOLAR, MARKET, CERTIFICATES)
    made.hourly("incomer", kwh=1000)
    made.hourly("solar", kwh=100)
    yield made
    made.centre.stop(timeout_seconds=1)


def test_certificates_count_from_when_they_are_entered_on(site: Site) -> None:
    site.enter("market", (0, 0), (2 * DAY, 0))
    site.enter("certificates", (0, 0))
    assert site.green_kwh(5) is None
    reason = site.hours()[5].unknown["green"]
    assert "since 2026-03-01T00:00:00Z has not been entered yet" in reason
    # Twelve certificates for the first day.
    site.enter("certificates", (DAY, 12_000))
    assert [site.green_kwh(hour) for hour in (0, 5, 23)] == [600, 600, 600]
    assert site.green_kwh(DAY) is None
    # None for the second: the sum of all so far stays what it was.
    site.enter("certificates", (2 * DAY, 12_000))
    assert site.green_kwh(DAY) == 100
    green = site.hours()[5].green
    assert green.method == "direct + purchased + certificates, at most the consumption"
    assert green.quality is Quality.INTERPOLATED
    told = [step.text for step in site.centre.explain(START + 5 * HOUR)]
    assert "Bought: 43200000000 × 3600000000 ÷ 86400000000 = 1800000000." in told


def test_direct_bought_and_certificates_together_never_exceed_the_consumption(site: Site) -> None:
    site.enter("market", (0, 0), (DAY, 12_000), (2 * DAY, 12_000))
    site.enter("certificates", (0, 0), (DAY, 24_000), (2 * DAY, 26_000))
    capped, free = site.hours()[3], site.hours()[DAY + 3]
    assert capped.green.value == capped.facility.value == 1000 * KWH
    assert capped.flags == ("green_capped",)
    assert (free.green.value or 0) // KWH == 100 + 2000 // DAY
    assert free.flags == ()


def test_every_certificate_is_counted_once_and_none_more_than_was_bought(site: Site) -> None:
    site.enter("market", (0, 0), (2 * DAY, 1))
    site.enter("certificates", (0, 0), (5, 7), (2 * DAY, 1007))
    total = sum(hour.green.value or 0 for hour in site.hours())
    bought = (1007 + 1) * KWH
    assert bought - 4 * DAY <= total - 2 * DAY * 100 * KWH <= bought


def test_a_sum_that_falls_is_told_instead_of_counted(site: Site) -> None:
    site.enter("market", (0, 0), (2 * DAY, 0))
    site.enter("certificates", (0, 500), (2 * DAY, 20))
    assert site.green_kwh(3) is None
    assert "enter the sum of all bought so far" in site.hours()[3].unknown["green"]


def test_green_is_unknown_before_the_first_entry(site: Site) -> None:
    site.enter("market", (0, 0), (2 * DAY, 0))
    site.enter("certificates", (DAY, 0), (2 * DAY, 0))
    assert site.green_kwh(3) is None
    assert "from when on" in site.hours()[3].unknown["green"]
    assert site.green_kwh(DAY) == 100


@pytest.mark.parametrize(
    ("meters", "expected"),
    [
        ((INCOMER, SOLAR), 100),
        ((INCOMER, MARKET), 500),
        ((INCOMER, CERTIFICATES), 250),
        ((INCOMER, SOLAR, MARKET, CERTIFICATES), 850),
        ((INCOMER,), None),
        ((SOLAR,), None),
    ],
    ids=["direct", "bought", "certificates", "all", "none", "no consumption"],
)
def test_a_green_role_without_a_meter_adds_nothing_and_none_at_all_is_unknown(
    tmp_path: Path, meters: tuple[MeterSettings, ...], expected: float | None
) -> None:
    site = Site(tmp_path, *meters)
    if INCOMER in meters:
        site.hourly("incomer", kwh=1000)
    if SOLAR in meters:
        site.hourly("solar", kwh=100)
    if MARKET in meters:
        site.enter("market", (0, 0), (2 * DAY, 24_000))
    if CERTIFICATES in meters:
        site.enter("certificates", (0, 0), (2 * DAY, 12_000))
    assert site.green_kwh(7) == expected
    assert (expected is None) == ("green" in site.hours()[7].unknown)
    site.centre.stop(timeout_seconds=1)
