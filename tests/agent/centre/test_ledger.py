"""Readings are kept once, and open the hours that they may change."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest

from agent.centre.belief import doubtful_spans
from agent.centre.ledger import Ledger
from agent.errors import TransientError
from agent.model.metering import MeterReading, RegisterTraits
from agent.store.ledger import LEDGER, hour_at, microseconds_of, moment_of, start_of
from agent.store.readings import Source
from tests.agent.centre.conftest import START, at

NOW = START + timedelta(days=1)
FIRST = hour_at(START)


def keep(ledger: Ledger, *readings: MeterReading, name: str = "a", source: Source = Source.IMPORT):
    return ledger.keep(
        [(name, each) for each in readings],
        source=source,
        now=NOW,
        not_before=START - timedelta(days=10),
    )


def opened(ledger: Ledger) -> list[int]:
    return [hour - FIRST for hour, _ in ledger.opened(until=FIRST + 1000, most=1000)]


def settle_all(ledger: Ledger) -> None:
    from tests.agent.centre.test_closing import an_hour

    for hour, mark in ledger.opened(until=FIRST + 1000, most=1000):
        is_new = ledger.hour(start_of(hour)) is None
        ledger.settle(hour, mark=mark, closed=an_hour(hour) if is_new else None)


def test_a_reading_is_kept_once(ledger: Ledger) -> None:
    first = keep(ledger, at(0, kwh=1), at(60, kwh=2))
    again = keep(ledger, at(0, kwh=1), at(60, kwh=2), at(120, kwh=3))
    assert (first.accepted, first.repeated, first.refused) == (2, 0, ())
    assert (again.accepted, again.repeated, again.refused) == (1, 2, ())
    assert len(ledger.around("a", START)) == 3


def test_another_value_of_the_same_moment_is_refused(ledger: Ledger) -> None:
    keep(ledger, at(0, kwh=1))
    kept = keep(ledger, at(0, kwh=2), at(60, kwh=2))
    assert (kept.accepted, kept.repeated) == (1, 0)
    ((place, reason),) = kept.refused
    assert place == 0
    assert "other values" in reason
    assert [each.energy_joules for each in ledger.around("a", START)] == [3_600_000, 7_200_000]


def test_a_reading_that_says_less_repeats_and_one_that_says_more_is_refused(
    ledger: Ledger,
) -> None:
    keep(ledger, at(0, kwh=1, power_watts=5.0), at(60, kwh=1))
    kept = keep(ledger, at(0, kwh=1), at(60, kwh=1, power_watts=5.0))
    assert (kept.accepted, kept.repeated) == (0, 1)
    assert [place for place, _ in kept.refused] == [1]


def test_two_of_one_moment_in_one_batch_are_told_apart(ledger: Ledger) -> None:
    kept = keep(ledger, at(0, kwh=1), at(0, kwh=1), at(0, kwh=2))
    assert (kept.accepted, kept.repeated, len(kept.refused)) == (1, 1, 1)


@pytest.mark.parametrize(
    ("reading", "reason"),
    [
        (at(-86400 * 365 * 10, kwh=1), "the clock was wrong"),
        (at(-86400 * 11, kwh=1), "longer ago than readings are kept"),
        (at(86400 * 2, kwh=1), "has not come yet"),
        (at(0), "no value"),
        (at(0, water_millilitres=-1), "below 0"),
        (at(0, kwh=1e13), "2^63"),
        (at(0, power_watts=float("nan")), "no number"),
    ],
)
def test_what_cannot_be_is_refused_and_the_rest_kept(
    ledger: Ledger, reading: MeterReading, reason: str
) -> None:
    kept = keep(ledger, reading, at(60, kwh=1))
    assert kept.accepted == 1
    ((place, told),) = kept.refused
    assert place == 0
    assert reason in told


def test_what_was_kept_is_there_after_the_next_start(tmp_path: Path) -> None:
    first = Ledger(tmp_path)
    reading = at(0.25, kwh=1.5, water_millilitres=7, power_watts=1.25, reset_marker="serial 7")
    keep(first, reading)
    traits = RegisterTraits(modulus=2**70, rate_maximum=0.75, resolution=3, starts_at_zero=True)
    first.keep_traits("a", traits)
    first.close()
    again = Ledger(tmp_path)
    assert again.around("a", START) == (reading,)
    assert again.traits("a") == traits
    again.close()


def test_a_ledger_of_the_first_schema_is_taken_over(tmp_path: Path) -> None:
    old = sqlite3.connect(tmp_path / "ledger.db")
    old.executescript(LEDGER.migrations[0] + "PRAGMA user_version = 1;")
    old.execute("INSERT INTO meters VALUES (1, 'a', '100', NULL, 0)")
    taken_us = microseconds_of(START)
    old.execute("INSERT INTO readings VALUES (1, ?, 7, NULL, NULL, NULL, 1)", (taken_us,))
    old.commit()
    old.close()
    ledger = Ledger(tmp_path)
    assert ledger.traits("a") == RegisterTraits(modulus=100)
    assert [each.energy_joules for each in ledger.around("a", START)] == [7]
    ledger.close()


def test_a_ledger_belongs_to_one_at_a_time(tmp_path: Path) -> None:
    first = Ledger(tmp_path)
    with pytest.raises(TransientError, match="another process"):
        Ledger(tmp_path)
    first.close()
    first.close()
    Ledger(tmp_path).close()


def test_the_nearest_readings_beyond_have_a_say(ledger: Ledger) -> None:
    keep(ledger, at(-9 * 3600, kwh=1), at(-8 * 3600, kwh=2), at(5 * 3600, kwh=3), at(0, kwh=2))
    assert [each.taken_at for each in ledger.around("a", START)] == [
        START + timedelta(hours=hours) for hours in (-8, 0, 5)
    ]


def test_a_live_reading_opens_its_hour_and_those_of_the_readings_before(ledger: Ledger) -> None:
    keep(ledger, at(3590, kwh=1), source=Source.LIVE)
    assert opened(ledger) == [0]
    settle_all(ledger)
    keep(ledger, at(3605, kwh=1), source=Source.LIVE)
    assert opened(ledger) == [0, 1]
    settle_all(ledger)
    for seconds in (3620, 3635):
        keep(ledger, at(seconds, kwh=1), source=Source.LIVE)
    settle_all(ledger)
    keep(ledger, at(3650, kwh=1), source=Source.LIVE)
    # Three readings lie between it and the full hour; the hour before is one of its neighbours.
    assert opened(ledger) == [0, 1]


def test_a_live_reading_after_a_silence_opens_the_hour_before_it(ledger: Ledger) -> None:
    keep(ledger, at(0, kwh=1), source=Source.LIVE)
    settle_all(ledger)
    keep(ledger, at(5 * 3600, kwh=1), source=Source.LIVE)
    assert opened(ledger) == [0, 5]


def test_an_imported_reading_opens_the_hours_of_its_neighbours(ledger: Ledger) -> None:
    keep(ledger, at(0, kwh=1), at(20 * 3600, kwh=5))
    settle_all(ledger)
    keep(ledger, at(10 * 3600, kwh=3))
    assert opened(ledger) == [0, 10, 20]


def test_a_bill_opens_every_hour_back_to_the_one_before(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, spread=frozenset({"bill"}))
    keep(ledger, *(at(hour * 3600, kwh=hour) for hour in range(6)))
    keep(ledger, at(0, kwh=0), name="bill")
    settle_all(ledger)
    keep(ledger, at(5 * 3600, kwh=100), name="bill")
    assert opened(ledger) == [0, 1, 2, 3, 4, 5]
    ledger.close()


def test_an_hour_that_changed_while_it_was_closed_stays_open(ledger: Ledger) -> None:
    keep(ledger, at(0, kwh=1))
    ((hour, mark),) = ledger.opened(until=FIRST, most=10)
    keep(ledger, at(60, kwh=1))
    ledger.settle(hour, mark=mark, closed=None)
    assert opened(ledger) == [0]


def test_the_calendar_opens_every_hour_since_the_last_and_that_one_again(ledger: Ledger) -> None:
    ledger.open_due(FIRST, most=100)
    assert opened(ledger) == []
    ledger.open_due(FIRST + 3, most=100)
    assert opened(ledger) == [0, 1, 2, 3]
    ledger.open_due(FIRST + 3, most=100)
    ledger.open_due(FIRST + 500, most=10)
    assert opened(ledger)[4:] == list(range(490, 501))


def test_hours_of_a_clock_that_was_ahead_are_forgotten(ledger: Ledger) -> None:
    ledger.open_due(FIRST, most=100)
    ledger.open_due(FIRST + 5, most=100)
    settle_all(ledger)
    ledger.open_due(FIRST + 2, most=100)
    assert [hour_at(each.start_at) - FIRST for each in ledger.last_hours(count=9)] == [0, 1, 2]


def test_old_readings_and_hours_are_deleted_and_no_hour_is_made_of_the_rest(
    ledger: Ledger,
) -> None:
    keep(ledger, *(at(60 * minute, kwh=minute) for minute in range(600)))
    settle_all(ledger)
    deleted = ledger.delete_before(START + timedelta(hours=5), START + timedelta(hours=3))
    assert deleted == 300 + 3
    assert ledger.around("a", START + timedelta(hours=6))[0].taken_at == START + timedelta(hours=5)
    assert not ledger.has_all_readings_of(FIRST + 5)
    assert ledger.has_all_readings_of(FIRST + 6)
    assert [hour_at(each.start_at) - FIRST for each in ledger.last_hours(count=2)] == [8, 9]


def test_times_survive_exactly() -> None:
    moment = START + timedelta(microseconds=1)
    assert moment_of(microseconds_of(moment)) == moment
    assert microseconds_of(moment) == 1_772_323_200_000_001


def test_a_clock_that_was_set_makes_the_times_that_it_passed_twice_doubtful() -> None:
    early, late = START, START + timedelta(hours=3)
    assert doubtful_spans(late, early) == ((early, late),)
    assert doubtful_spans(early, late) == ((early, early), (late, late))
