"""What simulated meters counted before a demonstration begins."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta, timezone

from agent.app.demo import history as demo_history
from agent.model import meter_rows
from agent.model.meter_rows import MeterRow
from agent.simulator.meters import script_file

CHINA = timezone(timedelta(hours=8))
START = datetime(2026, 3, 3, 5, 30, tzinfo=CHINA)


def centre(start_at=START, **meter):
    return script_file.parse(
        {
            "start": start_at.isoformat(),
            "flows": {
                "hall": {"unit": "kw", "day": {"00:00": "36"}},
                "water": {"unit": "litres_per_hour", "day": {"00:00": "90"}},
            },
            "meters": [
                {"name": "a", "layout": "sunspec", "measures": ["hall"], **meter},
                {"name": "w", "layout": "water-counter", "measures": ["water"], "start": "9000"},
            ],
        }
    )


def rows(script):
    found = list(meter_rows.read_rows([demo_history.readings(script)]))
    assert all(isinstance(each, MeterRow) for each in found)
    return found


def test_each_full_hour_since_the_first_of_the_month_has_a_reading_of_each_meter():
    found = rows(centre(start="20000"))
    assert [each.meter for each in found[:2]] == ["a", "w"]
    assert len(found) == 2 * (2 * 24 + 6)
    assert found[0].reading.taken_at == datetime(2026, 3, 1, tzinfo=CHINA)
    assert found[-1].reading.taken_at == datetime(2026, 3, 3, 5, tzinfo=CHINA)


def test_a_reading_is_what_the_register_showed():
    found = rows(centre(start="20000"))
    energy = [each.reading.energy_joules for each in found if each.meter == "a"]
    water = [each.reading.water_millilitres for each in found if each.meter == "w"]
    assert energy[48] == 20_000 * 3_600_000
    assert energy[0] == (20_000 - 48 * 36) * 3_600_000
    assert {b - a for a, b in itertools.pairwise(water)} == {90_000}


def test_before_a_register_began_there_is_nothing():
    found = [each for each in rows(centre(start="360")) if each.meter == "a"]
    assert found[0].reading.energy_joules == 0
    assert found[0].reading.taken_at == datetime(2026, 3, 2, 14, tzinfo=CHINA)


def test_a_script_that_begins_with_the_month_has_no_history():
    assert rows(centre(start_at=datetime(2026, 3, 1, tzinfo=CHINA))) == []


def test_a_month_ends_where_the_next_one_begins():
    first, following = demo_history.month_of(START)
    assert (first, following) == (
        datetime(2026, 3, 1, tzinfo=CHINA),
        datetime(2026, 4, 1, tzinfo=CHINA),
    )
