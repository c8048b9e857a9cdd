"""Green electricity, PUE and WUE of an hour."""

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.metering.certificates import CertificatePeriod, certificate_hour
from agent.metering.explain import Step
from agent.metering.figures import GREEN_CAPPED, PUE_BELOW_1, centre_hour
from agent.model.metering import CentreHour, Figure, Quality

START = datetime(2026, 1, 31, 16, tzinfo=timezone.utc)
KWH = 3_600_000


def known(value: int, *, coverage: float = 1.0) -> Figure:
    return Figure(value=value, coverage_ratio=coverage, quality=Quality.MEASURED)


UNKNOWN = Figure(value=None, coverage_ratio=0.5, quality=Quality.PARTIAL, reason="a gap")


def explained(
    *,
    facility: Figure | None = None,
    it: Figure | None = None,
    direct: Figure | None = None,
    purchased: Figure | None = None,
    certificate: Figure | None = None,
    water: Figure | None = None,
) -> tuple[CentreHour, tuple[Step, ...]]:
    return centre_hour(
        START,
        version=3,
        closed_at=START + timedelta(hours=2),
        facility=facility,
        it=it,
        green_direct=direct,
        green_purchased=purchased,
        green_certificate=certificate,
        water=water,
    )


def hour(**roles: Figure | None) -> CentreHour:
    return explained(**roles)[0]


def test_a_centre_without_meters_knows_nothing_and_says_why() -> None:
    nothing = hour()

    assert nothing.version == 3
    assert (nothing.pue, nothing.wue_litres_per_kwh, nothing.flags) == (None, None, ())
    for figure in (nothing.facility, nothing.it, nothing.green, nothing.water):
        assert (figure.value, figure.quality) == (None, Quality.UNKNOWN)
    assert nothing.unknown["facility"] == "no meter has the role facility_total"
    assert nothing.unknown["green"] == "no meter has a green role"
    assert set(nothing.unknown) == {"facility", "it", "green", "water", "pue", "wue"}


def test_pue_is_facility_over_it_and_wue_is_litres_per_kwh_of_it() -> None:
    closed, steps = explained(
        facility=known(150 * KWH), it=known(100 * KWH), water=known(180_000), direct=known(0)
    )

    assert closed.pue == pytest.approx(1.5)
    assert closed.wue_litres_per_kwh == pytest.approx(1.8)
    assert (closed.flags, closed.unknown) == ((), {})
    assert [step.text for step in steps] == [
        "The hour from 2026-01-31T16:00:00Z on, version 3.",
        "Green: 0 (direct) = 0.",
        "PUE (interim): 540000000 ÷ 360000000 = 1.5000.",
        "WUE (interim): 180000 × 3600 ÷ 360000000 = 1.8000 L/kWh.",
    ]


def test_a_pue_below_1_is_shown_and_flagged() -> None:
    low = hour(facility=known(90), it=known(100))
    one = hour(facility=known(100), it=known(100))

    assert (low.pue, low.flags) == (0.9, (PUE_BELOW_1,))
    assert (one.pue, one.flags) == (1.0, ())


@pytest.mark.parametrize("it", [None, UNKNOWN, known(0), known(-1), known(100, coverage=0.98)])
def test_without_a_whole_it_figure_above_0_there_is_no_ratio(it: Figure | None) -> None:
    closed = hour(facility=known(100), it=it, water=known(5))

    assert (closed.pue, closed.wue_litres_per_kwh) == (None, None)
    assert closed.unknown["pue"]
    assert closed.unknown["wue"]


@pytest.mark.parametrize("other", [None, UNKNOWN, known(100, coverage=0.98)])
def test_without_a_whole_figure_above_the_line_there_is_no_ratio(other: Figure | None) -> None:
    closed = hour(facility=other, it=known(10), water=other)

    assert (closed.pue, closed.wue_litres_per_kwh) == (None, None)


def test_green_parts_are_added_and_a_role_without_a_meter_adds_nothing() -> None:
    facility = known(1000)

    assert hour(facility=facility, direct=known(100)).green.value == 100
    all_three = hour(
        facility=facility, direct=known(100), purchased=known(20), certificate=known(3)
    ).green
    assert all_three.value == 123
    assert all_three.method == "direct + purchased + certificates, at most the consumption"


def test_green_never_exceeds_the_consumption() -> None:
    capped = hour(facility=known(100), direct=known(80), certificate=known(30))

    assert (capped.green.value, capped.flags) == (100, (GREEN_CAPPED,))
    exact = hour(facility=known(110), direct=known(80), certificate=known(30))
    assert (exact.green.value, exact.flags) == (110, ())


@pytest.mark.parametrize(
    ("facility", "direct", "purchased"),
    [(None, known(1), None), (UNKNOWN, known(1), None), (known(9), known(1), UNKNOWN)],
)
def test_green_is_unknown_where_a_part_or_the_consumption_is(
    facility: Figure | None, direct: Figure, purchased: Figure | None
) -> None:
    closed = hour(facility=facility, direct=direct, purchased=purchased)

    assert closed.green.value is None
    assert closed.unknown["green"]


PERIOD = CertificatePeriod(
    start_at=START,
    end_at=START + timedelta(hours=10),
    amount_joules=1000,
    consumption_joules=4000,
)


def share(period: CertificatePeriod, *, hours: int, consumption: Figure) -> Figure:
    start_at = START + timedelta(hours=hours)
    figure, steps = certificate_hour(period, start_at=start_at, consumption=consumption)
    assert (figure.value is None) == (figure.reason is not None)
    assert steps
    return figure


def test_certificates_are_spread_by_consumption_and_rounded_down() -> None:
    assert share(PERIOD, hours=0, consumption=known(1001)).value == 1000 * 1001 // 4000


@pytest.mark.parametrize(("hours", "value"), [(-1, 0), (0, 250), (9, 250), (10, 0)])
def test_certificates_count_for_the_hours_of_their_period(hours: int, value: int) -> None:
    assert share(PERIOD, hours=hours, consumption=known(1000)).value == value


def test_a_share_is_unknown_before_the_period_is_over_or_without_the_consumption() -> None:
    running = CertificatePeriod(start_at=START, end_at=PERIOD.end_at, amount_joules=1000)

    assert share(running, hours=0, consumption=known(10)).value is None
    assert share(PERIOD, hours=0, consumption=UNKNOWN).value is None
    assert share(PERIOD, hours=0, consumption=known(4001)).value is None


def test_a_period_in_which_nothing_was_used_has_no_shares() -> None:
    idle = CertificatePeriod(
        start_at=START, end_at=PERIOD.end_at, amount_joules=9, consumption_joules=0
    )

    assert share(idle, hours=0, consumption=known(0)).value == 0


@given(
    used=st.lists(st.integers(0, 10**12), min_size=10, max_size=10),
    amount=st.integers(0, 10**13),
)
def test_all_shares_together_never_exceed_what_was_bought(used: list[int], amount: int) -> None:
    period = CertificatePeriod(
        start_at=START,
        end_at=START + timedelta(hours=10),
        amount_joules=amount,
        consumption_joules=sum(used),
    )
    values = [
        share(period, hours=index, consumption=known(value)).value or 0
        for index, value in enumerate(used)
    ]

    assert sum(values) <= amount
    assert sum(values) > amount - 10 or sum(used) == 0


FIGURES = st.one_of(
    st.none(),
    st.just(UNKNOWN),
    st.builds(known, st.integers(0, 10**12), coverage=st.sampled_from([0.9, 0.995, 1.0])),
)


@given(
    facility=FIGURES,
    it=FIGURES,
    direct=FIGURES,
    purchased=FIGURES,
    certificate=FIGURES,
    water=FIGURES,
)
def test_a_figure_is_known_or_has_its_reason(**roles: Figure | None) -> None:
    closed = hour(**roles)

    assert (closed.pue is None) == ("pue" in closed.unknown)
    assert (closed.wue_litres_per_kwh is None) == ("wue" in closed.unknown)
    for name in ("facility", "it", "green", "water"):
        assert (getattr(closed, name).value is None) == (name in closed.unknown)
    if closed.green.value is not None:
        assert closed.facility.value is not None
        assert 0 <= closed.green.value <= closed.facility.value
