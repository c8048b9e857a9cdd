"""A reading taken by hand that was wrong is corrected, and what it said before stays."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.centre import importing
from agent.centre.bills import spread_meters
from agent.centre.centre import Centre
from agent.centre.importing import Imported
from agent.centre.ledger import Ledger
from agent.config.meter_settings import LedgerSettings, MeterSettings
from agent.errors import RequestError
from agent.metering.hours import HOUR
from agent.store.readings import Source
from tests.agent.centre.conftest import KWH, START, FakeMeter, SetClock, at

METERS = (
    MeterSettings(name="incomer", kind="modbus", role="facility_total"),
    MeterSettings(name="hand", kind="csv", role="it"),
    MeterSettings(name="bill", kind="csv", role="green_certificate"),
)
NOON = START + 12 * HOUR


def opened(folder: Path) -> Centre:
    return Centre(
        Ledger(folder, spread=spread_meters(METERS)),
        meters=METERS,
        settings=LedgerSettings(),
        clock=SetClock(NOON),
        open_meter=lambda _: FakeMeter(),  # type: ignore[arg-type,return-value]
    )


@pytest.fixture
def centre(tmp_path: Path) -> Iterator[Centre]:
    made = opened(tmp_path)
    yield made
    made.stop(timeout_seconds=1)


def take_in(centre: Centre, *rows: str, correct: bool = False) -> Imported:
    content = "\n".join(("meter,time,energy_kwh,water_litres,power_kw", *rows))
    imported = centre.import_file(io.BytesIO(content.encode()), correct=correct)
    centre.close_due()
    return imported


def row(name: str, hours: float, kwh: float | None, *, power_kw: float | None = None) -> str:
    moment = START + timedelta(hours=hours)
    cells = ("" if each is None else str(each) for each in (kwh, None, power_kw))
    return f"{name},{moment.isoformat()},{','.join(cells)}"


def counts(imported: Imported) -> tuple[int, int, int, int]:
    return imported.accepted, imported.repeated, imported.corrected, imported.refused_count


def it_of(centre: Centre, hour: int) -> tuple[int | None, int]:
    closed = centre._ledger.hour(START + hour * HOUR)
    assert closed is not None
    return closed.it.value, closed.version


def explained(centre: Centre, hour: int) -> list[str]:
    return [step.text for step in centre.explain(START + hour * HOUR)]


def test_a_correction_takes_the_place_of_a_reading_and_closes_its_hours_again(
    centre: Centre,
) -> None:
    take_in(centre, row("hand", 0, 100), row("hand", 1, 115), row("hand", 2, 120))
    assert it_of(centre, 0) == (15 * KWH, 1)
    refused = take_in(centre, row("hand", 1, 110))
    assert counts(refused) == (0, 0, 0, 1)
    assert "meters import --correct" in refused.refused[0][1]
    assert it_of(centre, 0) == (15 * KWH, 1)

    done = take_in(centre, row("hand", 1, 110), row("hand", 2, 120), correct=True)
    assert counts(done) == (0, 1, 1, 0)
    assert it_of(centre, 0) == (10 * KWH, 2)
    assert it_of(centre, 1) == (10 * KWH, 2)
    told = explained(centre, 0)
    assert told[0].startswith("Version 1 was closed")
    assert told[2] == (
        "The reading of hand at 2026-03-01T01:00:00Z was corrected at 2026-03-01T12:00:00Z: "
        "it was 414000000 J, now it is 396000000 J."
    )
    again = take_in(centre, row("hand", 1, 110), row("hand", 2, 120), correct=True)
    assert counts(again) == (0, 2, 0, 0)
    assert it_of(centre, 0) == (10 * KWH, 2)


def test_the_whole_history_of_a_reading_is_told_in_its_order(centre: Centre) -> None:
    take_in(centre, row("hand", 1, 1))
    for kwh in (2, 3):
        take_in(centre, row("hand", 1, kwh, power_kw=1), correct=True)
    take_in(centre, row("hand", 1, None), correct=True)
    told = [text.partition(": ")[2] for text in explained(centre, 1) if "corrected" in text]
    assert told == [
        "it was 3600000 J, now it is 7200000 J, 1000.0 W.",
        "it was 7200000 J, 1000.0 W, now it is 10800000 J, 1000.0 W.",
        "it was 10800000 J, 1000.0 W, it was withdrawn.",
    ]


def test_a_reading_of_another_time_is_withdrawn_by_a_row_without_values(centre: Centre) -> None:
    take_in(centre, row("hand", 0, 100), row("hand", 0.5, 500), row("hand", 1, 110))
    assert it_of(centre, 0)[0] is None
    assert counts(take_in(centre, row("hand", 0.5, None))) == (0, 0, 0, 1)
    assert counts(take_in(centre, row("hand", 0.5, None), correct=True)) == (0, 0, 1, 0)
    assert it_of(centre, 0) == (10 * KWH, 2)
    assert counts(take_in(centre, row("hand", 0.5, None), correct=True)) == (0, 1, 0, 0)


def test_what_the_meter_itself_told_is_not_corrected_by_hand(centre: Centre) -> None:
    keep = centre._ledger.keep
    live = [("incomer", at(3600, kwh=5)), ("hand", at(3600, kwh=5))]
    keep(live, source=Source.LIVE, now=NOON, not_before=START)
    take_in(centre, row("incomer", 2, 6))
    done = take_in(
        centre,
        row("incomer", 1, 4),
        row("incomer", 1.5, None),
        row("incomer", 2, 7),
        row("hand", 1, 4),
        correct=True,
    )
    # A file that is followed is by hand, too, however its rows came.
    assert counts(done) == (0, 1, 2, 1)
    assert done.refused[0][0] == 2
    assert "the meter itself told them" in done.refused[0][1]


def test_a_file_of_corrections_does_not_correct_itself(centre: Centre) -> None:
    take_in(centre, row("hand", 1, 1))
    rows = (row("hand", 1, 2), row("hand", 1, 3), row("hand", 2, 4), row("hand", 2, None))
    for expected in ((1, 0, 1, 2), (0, 2, 0, 2)):
        done = take_in(centre, *rows, correct=True)
        assert counts(done) == expected
        assert [line for line, _ in done.refused] == [3, 5]
    assert "line 2 has other values" in done.refused[0][1]


def test_a_file_of_too_many_corrections_says_so(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "MOST_CORRECTIONS", 3)
    with pytest.raises(RequestError, match="3 rows at most"):
        take_in(centre, *(row("hand", n, n) for n in range(4)), correct=True)


def test_a_bill_that_was_wrong_changes_every_share_of_its_time(centre: Centre) -> None:
    take_in(centre, *(row("incomer", n, 10 * n) for n in range(5)))
    take_in(centre, row("bill", 0, 0), row("bill", 4, 400))
    hours = centre._ledger.hours_between(START, START + 4 * HOUR)
    assert [each.green.value for each in hours] == [10 * KWH] * 4
    take_in(centre, row("bill", 4, 8), correct=True)
    hours = centre._ledger.hours_between(START, START + 4 * HOUR)
    assert [each.green.value for each in hours] == [2 * KWH] * 4
    assert any("The reading of bill" in text for text in explained(centre, 0))


def test_what_was_superseded_is_deleted_with_its_readings(centre: Centre) -> None:
    take_in(centre, row("hand", 1, 1))
    take_in(centre, row("hand", 1, 2), correct=True)
    ledger = centre._ledger
    assert len(ledger.superseded("hand", START)) == 1
    ledger.delete_before(START + 2 * HOUR, START)
    assert ledger.superseded("hand", START) == ()


_ROWS = st.lists(
    st.tuples(st.integers(0, 3), st.one_of(st.none(), st.integers(0, 3))), min_size=1, max_size=12
)


@settings(max_examples=40)
@given(first=_ROWS, second=_ROWS)
def test_the_same_corrections_twice_change_nothing(
    tmp_path_factory: pytest.TempPathFactory,
    first: list[tuple[int, int | None]],
    second: list[tuple[int, int | None]],
) -> None:
    centre = opened(tmp_path_factory.mktemp("ledger"))
    take_in(centre, *(row("hand", *each) for each in first))
    rows = [row("hand", *each) for each in second]
    once = take_in(centre, *rows, correct=True)
    kept = centre._ledger.around("hand", START), centre._ledger.superseded("hand", START)
    twice = take_in(centre, *rows, correct=True)
    assert (twice.accepted, twice.corrected) == (0, 0)
    assert twice.refused == once.refused
    assert kept == (
        centre._ledger.around("hand", START),
        centre._ledger.superseded("hand", START),
    )
    centre.stop(timeout_seconds=1)
