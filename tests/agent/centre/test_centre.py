"""What the rest of the agent asks of a centre."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from agent.app.centre import metrics as centre_metrics
from agent.centre.bills import spread_meters
from agent.centre.centre import Centre
from agent.centre.importing import MOST_REFUSED
from agent.centre.ledger import Ledger
from agent.config.meter_settings import LedgerSettings, MeterSettings
from agent.errors import NotFoundError, RequestError
from agent.metering.hours import HOUR
from tests.agent.centre.conftest import KWH, START, FakeMeter, SetClock

METERS = (
    MeterSettings(name="incomer", kind="csv", role="facility_total", site="hall"),
    MeterSettings(name="pdu", kind="csv", role="it"),
)
NOON = START + 12 * HOUR


def opened(folder: Path, clock: SetClock, meters=METERS) -> Centre:
    return Centre(
        Ledger(folder, spread=spread_meters(meters)),
        meters=meters,
        settings=LedgerSettings(),
        clock=clock,
        open_meter=lambda _: FakeMeter(),  # type: ignore[arg-type,return-value]
    )


@pytest.fixture
def centre(tmp_path: Path, clock: SetClock) -> Iterator[Centre]:
    clock.set(NOON)
    made = opened(tmp_path, clock)
    yield made
    made.stop(timeout_seconds=1)


def rows(first: datetime, last: datetime, *, pue: float = 1.25) -> bytes:
    lines = ["meter,time,energy_kwh"]
    moment = first
    while moment <= last:
        hours = (moment - START) / HOUR
        lines.append(f"incomer,{moment.isoformat()},{1000 + hours * 10 * pue:.4f}")
        lines.append(f"pdu,{moment.isoformat()},{500 + hours * 10:.4f}")
        moment += timedelta(minutes=5)
    return "\n".join(lines).encode()


def take_in(centre: Centre, content: bytes):
    imported = centre.import_file(io.BytesIO(content))
    centre.close_due()
    return imported


def test_the_last_full_hour_and_the_rolling_one(centre: Centre, clock: SetClock) -> None:
    assert centre.latest_hour(rolling=False) is None
    assert centre.latest_hour(rolling=True) is None
    clock.set(NOON + timedelta(minutes=31))
    take_in(centre, rows(NOON - 3 * HOUR, NOON + timedelta(minutes=30)))
    full, rolling = (centre.latest_hour(rolling=each) for each in (False, True))
    assert full is not None
    assert rolling is not None
    assert (full.start_at, full.version, full.pue) == (NOON - HOUR, 1, 1.25)
    assert (rolling.start_at, rolling.version) == (NOON - timedelta(minutes=30), 0)
    assert (rolling.facility.value, rolling.it.value) == (round(12.5 * KWH), 10 * KWH)


def test_before_its_grace_the_hour_before_is_the_last(centre: Centre, clock: SetClock) -> None:
    take_in(centre, rows(NOON - 3 * HOUR, NOON))
    clock.set(NOON + timedelta(seconds=60))
    hour = centre.latest_hour(rolling=False)
    assert hour is not None
    assert hour.start_at == NOON - 2 * HOUR


def test_a_rolling_hour_leaves_a_meter_out_that_is_silent(centre: Centre, clock: SetClock) -> None:
    take_in(centre, rows(NOON - 3 * HOUR, NOON))
    more = "meter,time,energy_kwh\n" + "\n".join(
        f"pdu,{(NOON + timedelta(minutes=5 * n)).isoformat()},{620 + n * 10 / 12:.4f}"
        for n in range(1, 13)
    )
    clock.set(NOON + HOUR)
    take_in(centre, more.encode())
    rolling = centre.latest_hour(rolling=True)
    assert rolling is not None
    assert rolling.start_at == NOON
    assert rolling.it.value == pytest.approx(10 * KWH, abs=400)
    assert rolling.facility.value is None


def test_a_month_is_one_of_the_zone(centre: Centre, clock: SetClock) -> None:
    clock.set(datetime(2026, 3, 3, tzinfo=timezone.utc))
    take_in(centre, rows(START - 10 * HOUR, START + 10 * HOUR))
    month = centre.month(2026, 3)
    assert month.start_at == datetime(2026, 2, 28, 16, tzinfo=timezone.utc)
    assert month.hours == 744
    assert month.facility.value is None
    assert month.facility.coverage_ratio == pytest.approx(18 / 744)


def test_an_hour_is_explained_and_changed_settings_are_told(
    tmp_path: Path, centre: Centre, clock: SetClock
) -> None:
    take_in(centre, rows(NOON - 3 * HOUR, NOON))
    with pytest.raises(NotFoundError):
        centre.explain(START - 300 * HOUR)
    way = [step.text for step in centre.explain(NOON - 2 * HOUR)]
    assert way[0].startswith("Version 1 was closed")
    assert not any("give another result" in text for text in way)
    centre.stop(timeout_seconds=1)
    other = opened(tmp_path, clock, meters=METERS[:1])
    assert "give another result" in other.explain(NOON - 2 * HOUR)[-1].text
    other.stop(timeout_seconds=1)


def test_many_refused_rows_are_counted(centre: Centre) -> None:
    content = "meter,time,energy_kwh\n" + "nobody,2026-03-01T00:00:00Z,1\n" * 7000
    imported = centre.import_file(io.BytesIO(content.encode()))
    assert (imported.refused_count, len(imported.refused)) == (7000, MOST_REFUSED)
    with pytest.raises(RequestError, match="line 1"):
        centre.import_file(io.BytesIO(b"nothing of this kind"))


def test_metrics_tell_what_is_known_and_nothing_else(centre: Centre) -> None:
    def scraped() -> str:
        class Collector:
            def collect(self):
                return centre_metrics.families(centre, now=centre.now())

        registry = CollectorRegistry()
        registry.register(Collector())
        return generate_latest(registry).decode()

    empty = scraped()
    assert "\ncomputility_centre_hour_pue " not in empty
    assert 'computility_meter_info{kind="csv",meter="pdu",roles="it",site="",state=' in empty
    take_in(centre, rows(NOON - 3 * HOUR, NOON))
    full = scraped()
    assert "computility_centre_hour_pue 1.25" in full
    assert 'computility_centre_hour_coverage_ratio{figure="it"} 1.0' in full
    assert 'computility_centre_hour_coverage_ratio{figure="water"} 0.0' in full
    assert "\ncomputility_centre_hour_water_litres " not in full
    age = 'computility_meter_reading_age_seconds{kind="csv",meter="incomer",site="hall"} 0.0'
    assert age in full
