"""A month is known where its registers are, though hours in between are not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from agent.centre.across import Across
from agent.config.meter_settings import MeterSettings
from agent.metering.months import MonthTotals, month_totals
from agent.model.metering import MeterReading
from tests.agent.centre.conftest import KWH, START, at
from tests.agent.centre.test_closing import Book, meter

HOUR = timedelta(hours=1)
HOURS = 48
MINUTE = 60.0


@pytest.fixture
def books(tmp_path: Path) -> Iterator[list[Book]]:
    made: list[Book] = []
    yield made
    for book in made:
        book.ledger.close()


def opened(books: list[Book], folder: Path, *meters: MeterSettings) -> Book:
    book = Book(folder, *meters)
    book.clock.pass_time((HOURS + 2) * 3600)
    books.append(book)
    return book


def month(book: Book) -> MonthTotals:
    book.closer.close_due()
    first, end = START, START + HOURS * HOUR
    return month_totals(
        book.ledger.hours_between(first, end),
        start_at=first,
        end_at=end,
        across=Across(book.ledger, maker=book.maker).figure,
    )


def line(
    *, kwh_per_hour: float, silent: tuple[float, float] = (0, 0), modulus: float = 1e9
) -> list[MeterReading]:
    """Return a reading each five minutes, none between two hours."""
    return [
        at(300 * n, kwh=(900 + kwh_per_hour * n / 12) % modulus)
        for n in range(HOURS * 12 + 1)
        if not silent[0] < n / 12 < silent[1]
    ]


def test_hours_of_silence_are_counted_by_the_register(books: list[Book], tmp_path: Path) -> None:
    book = opened(
        books,
        tmp_path,
        meter("incomer", "facility_total", rollover_kwh=1000.0, rated_power_kw=20),
        meter("a", "it"),
        meter("b", "it"),
        meter("cooling", "-it"),
        meter("solar", "green_direct"),
    )
    book.keep("incomer", *line(kwh_per_hour=12, silent=(5.2, 30.7), modulus=1000))
    book.keep("a", *line(kwh_per_hour=12))
    book.keep("b", *line(kwh_per_hour=6, silent=(7.5, 8.5)))
    book.keep("cooling", *line(kwh_per_hour=3, silent=(7.9, 9.2)))
    book.keep("solar", *line(kwh_per_hour=1))
    found = month(book)
    assert book.ledger.hour(START + 7 * HOUR).facility.value is None
    assert book.ledger.hour(START + 8 * HOUR).it.value is None
    assert found.facility.value == 12 * HOURS * KWH
    assert "26 that are known together" in found.facility.method
    assert found.it.value == (12 + 6 - 3) * HOURS * KWH
    assert found.green.value == HOURS * KWH
    assert found.pue == 12 / 15
    assert set(found.unknown) == {"water", "wue"}


def test_a_gauge_is_not_known_across_a_silence_but_in_each_of_its_own_hours(
    books: list[Book], tmp_path: Path
) -> None:
    book = opened(books, tmp_path, meter("pdu", "it"), meter("gauge", "it"), meter("g", "water"))
    book.keep("pdu", *line(kwh_per_hour=2, silent=(5.5, 9.5)))
    powers = [at(60 * n, power_watts=1000.0) for n in range(HOURS * 60 + 1)]
    book.keep("gauge", *powers)
    assert month(book).it.value == 3 * HOURS * KWH
    folder = tmp_path / "silent"
    book = opened(books, folder, meter("pdu", "it"), meter("gauge", "it"))
    book.keep("pdu", *line(kwh_per_hour=2, silent=(5.5, 9.5)))
    book.keep("gauge", *powers[: 60 * 20], *powers[60 * 21 :])
    found = month(book)
    assert found.it.value is None
    assert "47 of 48 hours are known" in found.unknown["it"]


@pytest.mark.parametrize("trouble", ["reset", "no start", "swap", "no end"])
def test_what_no_register_tells_leaves_the_month_unknown(
    books: list[Book], tmp_path: Path, trouble: str
) -> None:
    book = opened(books, tmp_path, meter("incomer", "facility_total"))
    readings = line(kwh_per_hour=12)
    if trouble == "reset":
        readings[200:] = [at(300 * n, kwh=n - 200) for n in range(200, HOURS * 12 + 1)]
    elif trouble == "swap":
        readings[200:] = [
            at(300 * n, kwh=9000 + n, reset_marker="new") for n in range(200, HOURS * 12 + 1)
        ]
        readings[:200] = [at(300 * n, kwh=900 + n, reset_marker="old") for n in range(200)]
    else:
        readings = readings[20:] if trouble == "no start" else readings[:-20]
    book.keep("incomer", *readings)
    found = month(book)
    assert found.facility.value is None
    assert found.facility.coverage_ratio > 0.9


def test_a_clock_that_was_set_is_bridged_from_hours_that_it_does_not_concern(
    books: list[Book], tmp_path: Path
) -> None:
    book = opened(books, tmp_path, meter("incomer", "facility_total"))
    book.keep("incomer", *line(kwh_per_hour=12, silent=(6.4, 6.8)))
    book.ledger.note_clock_step(before=START + 6.4 * HOUR, after=START + 6.8 * HOUR)
    found = month(book)
    assert book.ledger.hour(START + 6 * HOUR).facility.value is None
    assert found.facility.value == 12 * HOURS * KWH
    book.ledger.note_clock_step(before=START - 0.1 * HOUR, after=START + 0.1 * HOUR)
    assert month(book).facility.value is None


def test_what_was_bought_is_in_the_hours_whose_consumption_is_known(
    books: list[Book], tmp_path: Path
) -> None:
    book = opened(
        books,
        tmp_path,
        meter("incomer", "facility_total"),
        meter("solar", "green_direct"),
        meter("certificates", "green_certificate"),
    )
    book.keep("incomer", *line(kwh_per_hour=12, silent=(5.5, 9.5)))
    book.keep("solar", *line(kwh_per_hour=1, silent=(20.5, 21.5)))
    book.keep("certificates", at(0, kwh=0))
    assert month(book).green.value is None
    book.keep("certificates", at(HOURS * 3600, kwh=100))
    found = month(book)
    assert found.facility.value == 12 * HOURS * KWH
    bought = found.green.value - HOURS * KWH
    # Each hour's share is rounded down.
    assert 100 * KWH - HOURS <= bought <= 100 * KWH
