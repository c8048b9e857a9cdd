"""Many hours from readings that are each looked at once."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.metering.hours import HOUR, MARGIN, register_hour
from agent.metering.readings import RegisterReading
from agent.metering.stretches import RegisterStretch, Row
from agent.model.metering import Figure, RegisterTraits
from agent.store.ledger import microseconds_of, moment_of

START = datetime(2026, 3, 1, tzinfo=timezone.utc)
HOURS = 6
TRAITS = st.builds(
    RegisterTraits,
    modulus=st.sampled_from([None, 100, 1000]),
    rate_maximum=st.sampled_from([None, 0.01, 1.0]),
    resolution=st.sampled_from([None, 1, 10]),
    starts_at_zero=st.booleans(),
)


def row(seconds: float, value: int | None, marker: int | None = None) -> Row:
    return microseconds_of(START + timedelta(seconds=seconds)), value, marker


def in_full(rows: list[Row], start_at: datetime, *, traits: RegisterTraits) -> Figure:
    """Return the figure that the readings of an hour alone give, as a ledger gives them."""
    first, last = start_at - MARGIN, start_at + HOUR + MARGIN
    before = [each for each in rows if moment_of(each[0]) < first][-1:]
    inside = [each for each in rows if first <= moment_of(each[0]) <= last]
    after = [each for each in rows if moment_of(each[0]) > last][:1]
    readings = [
        RegisterReading(
            taken_at=moment_of(at), value=value, marker=None if marker is None else str(marker)
        )
        for at, value, marker in (*before, *inside, *after)
        if value is not None
    ]
    return register_hour(readings, traits=traits, start_at=start_at)[0]


@st.composite
def _rows(draw: st.DrawFn) -> list[Row]:
    spacing = draw(st.sampled_from([300, 600, 1200, 3600]))
    value, marker, rows = draw(st.integers(0, 90)), None, []
    for place in range(-4 * 3600 // spacing, (HOURS + 4) * 3600 // spacing):
        happens = draw(st.integers(0, 24))
        if happens == 0:
            continue
        if happens == 1:
            marker = draw(st.sampled_from([None, 1, 2]))
        value += draw(st.integers(0, 3)) if happens > 3 else draw(st.integers(-60, 300))
        value = max(0, value)
        shown = None if happens == 2 else value % 100 if happens == 3 else value
        rows.append(row(place * spacing + draw(st.sampled_from([0, 0, 7])), shown, marker))
    return rows


@settings(max_examples=300)
@given(_rows(), TRAITS)
def test_a_plain_hour_is_the_hour_that_its_own_readings_give(
    rows: list[Row], traits: RegisterTraits
) -> None:
    stretch = RegisterStretch(rows, traits=traits)
    for index in range(HOURS):
        start_at = START + index * HOUR
        plain = stretch.hour(microseconds_of(start_at), edge_gap_seconds=900)
        if plain is not None:
            assert plain == in_full(rows, start_at, traits=traits)


def test_every_hour_of_an_undisturbed_register_is_plain() -> None:
    rows = [row(15 * n + 3, 7 * n + 5000, 1) for n in range(-240, 240 * (HOURS + 1))]
    stretch = RegisterStretch(rows, traits=RegisterTraits(modulus=10**6, rate_maximum=1.0))
    values = [
        stretch.hour(microseconds_of(START + n * HOUR), edge_gap_seconds=900) for n in range(HOURS)
    ]
    assert [each and each.value for each in values] == [1680] * HOURS


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [row(0, 5)],
        [row(0, 5), row(3600, 4)],
        [row(0, 5), row(3600, 150)],
        [row(0, 5, 1), row(3600, 6, 2)],
        [row(0, 5), row(1800, None), row(3600, 6)],
        [row(-1800, 5), row(3600, 6)],
        [row(0, 5), row(3599, 6)],
        [row(-3600, 50), row(0, 3), row(3600, 51)],
        [row(0, 50), row(3600, 91), row(7200, 52)],
    ],
    ids=[
        "none",
        "one",
        "fall",
        "wrap",
        "swap",
        "untold",
        "no-start",
        "no-end",
        "wrong-start",
        "wrong-end",
    ],
)
def test_what_is_not_plain_is_left_to_be_judged(rows: list[Row]) -> None:
    stretch = RegisterStretch(rows, traits=RegisterTraits(modulus=100))
    assert stretch.hour(microseconds_of(START), edge_gap_seconds=900) is None
