"""Hours are closed from what is in the ledger, however it came there."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.centre.bills import spread_meters
from agent.centre.closing import Closer
from agent.centre.figuring import HourMaker
from agent.centre.ledger import Ledger
from agent.config.meter_settings import LedgerSettings, MeterSettings
from agent.model.metering import CentreHour, Figure, MeterReading, Quality, RegisterTraits
from agent.store.ledger import start_of
from agent.store.readings import Source
from tests.agent.centre.conftest import KWH, START, SetClock, at

HOUR = timedelta(hours=1)


def an_hour(hour: int) -> CentreHour:
    nothing = Figure(value=None, coverage_ratio=0.0, quality=Quality.UNKNOWN, reason="a test")
    return CentreHour(
        start_at=start_of(hour),
        version=1,
        closed_at=START,
        facility=nothing,
        it=nothing,
        green=nothing,
        water=nothing,
    )


def meter(name: str, *roles: str, **values: object) -> MeterSettings:
    return MeterSettings(name=name, kind="modbus", role=roles, **values)  # type: ignore[arg-type]


class Book:
    """Is a ledger with its closer."""

    def __init__(self, folder: Path, *meters: MeterSettings, clock: SetClock | None = None) -> None:
        self.clock = clock or SetClock()
        options = LedgerSettings()
        self.ledger = Ledger(folder, spread=spread_meters(meters))
        self.maker = HourMaker(self.ledger, meters=meters, settings=options)
        self.closer = Closer(self.ledger, maker=self.maker, settings=options, clock=self.clock)

    def keep(self, name: str, *readings: MeterReading, source: Source = Source.IMPORT) -> None:
        kept = self.ledger.keep(
            [(name, each) for each in readings],
            source=source,
            now=self.clock.now(),
            not_before=START - timedelta(days=400),
        )
        assert kept.refused == ()

    def hours(self) -> tuple[CentreHour, ...]:
        return self.ledger.last_hours(count=1000)


@pytest.fixture
def book(tmp_path: Path):
    made = Book(
        tmp_path,
        meter("incomer", "facility_total"),
        meter("pdu", "it"),
        meter("cold", "water"),
    )
    made.closer.close_due()
    yield made
    made.ledger.close()


def minutes(hours: float, *, kwh_per_hour: float, first: float = 0.0) -> list[MeterReading]:
    return [
        at(60 * minute, kwh=first + kwh_per_hour * minute / 60)
        for minute in range(round(hours * 60) + 1)
    ]


def test_an_hour_is_closed_after_its_grace(book: Book) -> None:
    book.clock.pass_time(3600)
    book.keep("incomer", *minutes(1, kwh_per_hour=12))
    book.keep("pdu", *minutes(1, kwh_per_hour=10))
    book.clock.pass_time(119)
    book.closer.close_due()
    assert book.ledger.hour(START) is None
    book.clock.pass_time(1)
    assert book.closer.close_due() == 1
    (hour,) = [each for each in book.hours() if each.start_at == START]
    assert (hour.facility.value, hour.it.value) == (12 * KWH, 10 * KWH)
    assert (hour.pue, hour.version) == (1.2, 1)
    assert hour.water.value is None
    assert hour.facility.quality is Quality.MEASURED


def test_an_outage_closes_its_hours_as_unknown(book: Book) -> None:
    book.clock.pass_time(5 * 3600 + 120)
    book.closer.close_due()
    hours = [each for each in book.hours() if each.start_at >= START]
    assert [each.start_at for each in hours] == [START + n * HOUR for n in range(5)]
    assert all(each.facility.value is None and each.facility.reason for each in hours)


def test_late_readings_close_an_hour_again_with_a_version(book: Book) -> None:
    book.clock.pass_time(2 * 3600 + 120)
    readings = minutes(2, kwh_per_hour=6)
    book.keep("incomer", *readings[:55])
    book.closer.close_due()
    assert book.ledger.hour(START).facility.value is None
    book.keep("incomer", *readings)
    book.closer.close_due()
    hour = book.ledger.hour(START)
    assert (hour.version, hour.facility.value) == (2, 6 * KWH)
    assert [each.version for each in book.ledger.versions(START)] == [1, 2]


def test_readings_that_change_nothing_make_no_version(book: Book) -> None:
    book.clock.pass_time(2 * 3600 + 120)
    readings = minutes(2, kwh_per_hour=6)
    book.keep("incomer", *readings[::2])
    book.closer.close_due()
    book.keep("incomer", *readings)
    assert book.closer.close_due() == 0
    assert book.ledger.hour(START).version == 1


def test_meters_of_one_role_add_up_and_a_minus_takes_away(tmp_path: Path) -> None:
    book = Book(
        tmp_path,
        meter("incomer", "facility_total", "it"),
        meter("office", "-it"),
        meter("generator", "facility_total"),
    )
    book.clock.pass_time(2 * 3600)
    book.keep("incomer", *minutes(1, kwh_per_hour=10))
    book.keep("generator", *minutes(1, kwh_per_hour=2))
    book.keep("office", *minutes(1, kwh_per_hour=4))
    book.closer.close_due()
    hour = book.ledger.hour(START)
    assert (hour.facility.value, hour.it.value) == (12 * KWH, 6 * KWH)
    assert hour.pue == 2.0
    book.ledger.close()


def test_a_meter_that_is_silent_costs_its_own_role_only(book: Book) -> None:
    book.clock.pass_time(2 * 3600)
    book.keep("pdu", *minutes(1, kwh_per_hour=10))
    book.closer.close_due()
    hour = book.ledger.hour(START)
    assert hour.facility.value is None
    assert hour.it.value == 10 * KWH
    assert hour.pue is None
    assert "pue" in hour.unknown


def test_power_counts_where_no_register_tells(book: Book) -> None:
    book.clock.pass_time(2 * 3600)
    book.keep("pdu", *(at(15 * n, power_watts=1000.0) for n in range(241)))
    book.closer.close_due()
    assert book.ledger.hour(START).it.value == 3_600_000


def test_the_settings_tell_where_a_register_wraps(tmp_path: Path) -> None:
    book = Book(tmp_path, meter("incomer", "facility_total", rollover_kwh=100.0))
    book.clock.pass_time(2 * 3600)
    book.keep("incomer", *(at(600 * n, kwh=(97 + n) % 100) for n in range(7)))
    book.closer.close_due()
    assert book.ledger.hour(START).facility.value == 6 * KWH
    book.ledger.close()


def test_the_most_that_a_meter_tells_of_itself_unmasks_a_wrong_reading(tmp_path: Path) -> None:
    book = Book(
        tmp_path,
        meter("told", "facility_total"),
        meter("set", "it", rated_power_kw=1000),
        meter("cold", "water"),
    )
    for name in ("told", "set", "cold"):
        book.ledger.keep_traits(name, RegisterTraits(rate_maximum=10_000))
    book.clock.pass_time(2 * 3600)
    # 60 kW, where the meter itself can count 10 kW.
    book.keep("told", *minutes(1, kwh_per_hour=60))
    book.keep("set", *minutes(1, kwh_per_hour=60))
    book.keep("cold", *(at(60 * n, water_millilitres=60 * 30_000 * n) for n in range(61)))
    book.closer.close_due()
    hour = book.ledger.hour(START)
    assert hour.facility.value is None
    assert "no more than" in str(hour.facility.reason)
    # What the operator says goes before it.
    assert hour.it.value == 60 * KWH
    assert hour.water.value is None
    book.ledger.close()


@pytest.mark.parametrize("rated_kw", [None, 2])
def test_power_above_what_the_meter_can_tell_is_left_out(
    tmp_path: Path, rated_kw: float | None
) -> None:
    book = Book(tmp_path, meter("pdu", "it", rated_power_kw=rated_kw))
    if rated_kw is None:
        book.ledger.keep_traits("pdu", RegisterTraits(rate_maximum=2000))
    book.clock.pass_time(2 * 3600)
    book.keep("pdu", *(at(15 * n, power_watts=9e9 if n == 99 else 1000.0) for n in range(241)))
    book.closer.close_due()
    assert book.ledger.hour(START).it.value == 3_600_000
    book.ledger.close()


def test_hours_around_a_clock_that_was_set_are_unknown_but_not_by_hand(tmp_path: Path) -> None:
    by_hand = MeterSettings(name="hand", kind="csv", role="it")
    book = Book(tmp_path, meter("incomer", "facility_total"), by_hand)
    book.clock.pass_time(4 * 3600)
    book.keep("incomer", *minutes(3, kwh_per_hour=6))
    book.keep("hand", *minutes(3, kwh_per_hour=6))
    book.closer.close_due()
    assert book.ledger.hour(START + HOUR).facility.value == 6 * KWH
    book.ledger.note_clock_step(before=START + 1.4 * HOUR, after=START + 1.6 * HOUR)
    book.closer.close_due()
    known = [book.ledger.hour(START + n * HOUR) for n in range(3)]
    assert [each.facility.value for each in known] == [6 * KWH, None, 6 * KWH]
    assert "the clock was set" in str(known[1].facility.reason)
    assert known[1].it.value == 6 * KWH
    book.ledger.close()


def test_certificates_are_spread_by_consumption_once_their_time_has_ended(tmp_path: Path) -> None:
    book = Book(
        tmp_path, meter("incomer", "facility_total"), meter("certificates", "green_certificate")
    )
    book.clock.pass_time(6 * 3600)
    book.keep("certificates", at(0, kwh=0))
    book.keep("incomer", *minutes(1, kwh_per_hour=10))
    book.keep("incomer", *(at(3600 + 60 * n, kwh=10 + 30 * n / 60) for n in range(61)))
    book.closer.close_due()
    assert book.ledger.hour(START).green.value is None
    book.keep("certificates", at(2 * 3600, kwh=20))
    book.closer.close_due()
    shares = [book.ledger.hour(START + n * HOUR).green.value for n in range(2)]
    assert shares == [5 * KWH, 15 * KWH]
    assert book.closer.close_due() == 0
    book.ledger.close()


def test_every_share_in_a_bill_changes_with_the_consumption_of_one_hour(tmp_path: Path) -> None:
    book = Book(tmp_path, meter("incomer", "facility_total"), meter("bill", "green_certificate"))
    book.clock.pass_time(6 * 3600)
    book.keep("bill", at(0, kwh=0), at(2 * 3600, kwh=20))
    book.keep("incomer", *minutes(1, kwh_per_hour=10))
    book.closer.close_due()
    assert book.ledger.hour(START).green.value == 10 * KWH  # all of it, and no more than was used
    book.keep("incomer", *(at(3600 + 60 * n, kwh=10 + 30 * n / 60) for n in range(61)))
    book.closer.close_due()
    shares = [book.ledger.hour(START + n * HOUR).green.value for n in range(2)]
    assert shares == [5 * KWH, 15 * KWH]
    book.ledger.close()


def test_what_was_pruned_is_not_closed_again(book: Book) -> None:
    book.clock.pass_time(3 * 3600)
    book.keep("incomer", *minutes(2, kwh_per_hour=6))
    book.closer.close_due()
    before = book.ledger.hour(START)
    book.ledger.delete_before(START + timedelta(minutes=30), START - timedelta(days=9))
    book.ledger.reopen(START, START)
    assert book.closer.close_due() == 0
    assert book.ledger.hour(START) == before


# The same readings give the same hours, in whatever order and batches they came and whenever hours
# were closed in between.
_values = st.lists(st.integers(0, 40), min_size=2, max_size=40)


@st.composite
def _histories(draw: st.DrawFn) -> tuple[list[MeterReading], list[int], list[int]]:
    steps = draw(_values)
    spacing = draw(st.sampled_from([60, 240, 600, 900, 1800, 3600]))
    readings, total = [], draw(st.integers(0, 95))
    for place, step in enumerate(steps):
        if draw(st.integers(0, 9)) == 0:
            continue
        total = (total + step) % 100 if draw(st.booleans()) else total + step // 10
        marker = "swapped" if place > len(steps) * 0.7 and steps[0] % 3 == 0 else None
        readings.append(at(place * spacing, kwh=total, reset_marker=marker))
    order = draw(st.permutations(range(len(readings))))
    cuts = draw(st.lists(st.integers(0, max(0, len(readings))), max_size=4))
    return readings, list(order), sorted(cuts)


def closed(folder: str, batches: Sequence[Sequence[MeterReading]], source: Source):
    clock = SetClock(START + timedelta(days=3))
    book = Book(Path(folder), meter("a", "facility_total", rollover_kwh=100.0), clock=clock)
    for batch in batches:
        book.keep("a", *batch, source=source)
        book.closer.close_due()
    # The words why an hour without readings is unknown name what was around it when it was closed.
    found = {
        each.start_at: (each.facility.value, each.facility.coverage_ratio, each.facility.quality)
        for each in book.hours()
    }
    book.ledger.close()
    return found


@settings(max_examples=25)
@given(_histories())
def test_hours_do_not_depend_on_how_their_readings_came(history) -> None:
    readings, order, cuts = history
    shuffled = [readings[place] for place in order]
    batches = [shuffled[a:b] for a, b in zip([0, *cuts], [*cuts, len(shuffled)], strict=True)]
    one_by_one = [[each] for each in shuffled[: len(shuffled) // 2]]
    rest = shuffled[len(shuffled) // 2 :]
    with tempfile.TemporaryDirectory() as folder:
        at_once = closed(f"{folder}/1", [readings], Source.IMPORT)
        assert closed(f"{folder}/2", batches, Source.IMPORT) == at_once
        assert closed(f"{folder}/3", [*one_by_one, rest], Source.LIVE) == at_once
