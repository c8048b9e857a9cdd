"""Hours that are made together are those that each is by itself."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from agent.model.metering import RegisterTraits
from tests.agent.centre.conftest import START, at
from tests.agent.centre.test_closing import Book, meter

HOUR = timedelta(hours=1)


def test_hours_of_a_gauge_that_are_closed_together_are_those_that_are_explained(
    tmp_path: Path,
) -> None:
    book = Book(tmp_path, meter("a", "facility_total", interval_seconds=60), meter("b", "it"))
    book.ledger.keep_traits("a", RegisterTraits(rate_maximum=1000))
    book.clock.pass_time(40 * 3600)
    powers = [(60.0 * n + n % 7, 900.0 + n % 400) for n in range(40 * 60) if n % 400 < 370]
    book.keep("a", *(at(seconds, power_watts=watts) for seconds, watts in powers))
    # A register that tells itself now and then, and a power between.
    book.keep("b", *(at(t, kwh=t / 1e4 if t < 9e4 else None, power_watts=w) for t, w in powers))
    book.closer.close_due()
    closed = [each for each in book.hours() if START <= each.start_at < START + 39 * HOUR]
    assert 20 < sum(each.facility.value is not None for each in closed) < 39
    for each in closed:
        made, _ = book.maker.make(each.start_at, version=each.version, closed_at=each.closed_at)
        assert made == each
    book.ledger.close()


def test_hours_that_are_closed_together_are_those_that_are_explained(tmp_path: Path) -> None:
    book = Book(tmp_path, meter("a", "facility_total", rollover_kwh=100.0), meter("b", "-it", "it"))
    book.clock.pass_time(40 * 3600)
    kwh = [(97 + 0.01 * n) % 100 for n in range(40 * 60)]
    book.keep("a", *(at(60 * n + 5, kwh=kwh[n]) for n in range(40 * 60) if n % 700 > 40))
    book.keep("b", at(0, kwh=3), *(at(900 * n, kwh=3 + n % 50) for n in range(1, 140)))
    book.closer.close_due()
    closed = [each for each in book.hours() if START <= each.start_at < START + 39 * HOUR]
    assert len(closed) == 39
    assert 20 < sum(each.facility.value is not None for each in closed) < 39
    for each in closed:
        made, _ = book.maker.make(each.start_at, version=each.version, closed_at=each.closed_at)
        assert made == each
    book.ledger.close()
