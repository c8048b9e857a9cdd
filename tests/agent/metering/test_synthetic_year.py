"""No hour of a synthetic year is wrong: each is within the resolution of the truth, or unknown.

`COMPUTILITY_SYNTHETIC_DAYS` makes it a whole year; a fortnight is enough for every change.
"""

import os
from dataclasses import replace

import pytest

from tests.agent.metering.judge import Verdict, judge_year, plain_hours
from tests.agent.metering.synthetic_year import KINDS, Kind, Year, make_year

DAYS = int(os.environ.get("COMPUTILITY_SYNTHETIC_DAYS", "14"))
SEED = int(os.environ.get("COMPUTILITY_SYNTHETIC_SEED", "1"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_no_hour_of_a_meters_life_is_wrong(kind: Kind) -> None:
    year = make_year(kind, days=DAYS, seed=SEED)

    early = judge_year(year, year.readings)
    closed = judge_year(year, [*year.readings, *year.late])

    _report(year, early, closed)
    assert early.wrong == []
    assert closed.wrong == []
    # Something happens every seven hours, and most of it costs an hour or two, a gap up to seven.
    assert closed.known > 0.6 * (closed.known + closed.unknown)
    assert closed.measured > 0.1 * closed.known
    assert closed.known > early.known
    assert set(year.happened) == set(kind.events) or DAYS < 10
    assert year.wraps > 0 or kind.traits.modulus is None


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_hours_that_are_found_at_once_are_those_of_their_own_readings(kind: Kind) -> None:
    year = make_year(kind, days=DAYS, seed=SEED)

    found, wrong = plain_hours(year, [*year.readings, *year.late])

    assert wrong == []
    # A register that wraps in minutes is never plain.
    wraps = kind.traits.modulus is not None and kind.traits.modulus < 10**9
    assert found == 0 if wraps else found > 0.3 * DAYS * 24
    print(f"\n{kind.name}: {found} of {DAYS * 24} hours are plain")


def _report(year: Year, early: Verdict, closed: Verdict) -> None:
    hours = closed.known + closed.unknown
    print(
        f"\n{year.kind.name}: {hours} hours, {closed.known} known "
        f"({closed.measured} measured at both edges), {closed.unknown} unknown "
        f"({early.unknown} before the late readings), {len(closed.wrong)} wrong; "
        f"{len(year.readings) + len(year.late)} readings, {year.wraps} wraps, {year.happened}"
    )


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_hour_of_an_undisturbed_meter_is_known(kind: Kind) -> None:
    year = make_year(replace(kind, events=()), days=2, seed=SEED)

    verdict = judge_year(year, year.readings)

    assert verdict.wrong == []
    # The last hour has no reading after its end.
    assert verdict.unknown <= 1
