from __future__ import annotations

import random
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.security import points
from agent.security.points import GENERATOR, ORDER, Point


def test_multiplying_is_adding_again_and_again() -> None:
    total: Point | None = None
    for factor in range(1, 20):
        total = points.add(total, GENERATOR)
        assert points.multiply(factor, GENERATOR) == total


def test_the_last_factor_gives_the_opposite_point() -> None:
    assert points.multiply(ORDER - 1, GENERATOR) == points.negate(GENERATOR)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, ORDER - 1), st.integers(1, ORDER - 1))
def test_multiplication_and_addition_obey_the_group_law(one: int, other: int) -> None:
    left, right = points.multiply(one, GENERATOR), points.multiply(other, GENERATOR)
    total = (one + other) % ORDER
    expected = points.multiply(total, GENERATOR) if total else None

    assert points.add(left, right) == expected
    assert left is not None
    assert left.is_on_curve


def test_opposite_points_add_up_to_infinity_and_infinity_adds_nothing() -> None:
    assert points.add(GENERATOR, points.negate(GENERATOR)) is None
    assert points.add(GENERATOR, None) == GENERATOR
    assert points.add(None, GENERATOR) == GENERATOR
    assert points.negate(None) is None
    assert points.multiply(5, None) is None


@pytest.mark.parametrize("factor", [0, -1, ORDER, ORDER + 2, 2**256 - 1])
def test_a_factor_that_gmssl_multiplies_wrongly_is_refused(factor: int) -> None:
    with pytest.raises(ValueError, match="factor"):
        points.multiply(factor, GENERATOR)


@pytest.mark.parametrize(
    "point",
    [
        Point(GENERATOR.x, GENERATOR.y + 1),
        Point(GENERATOR.x + points.FIELD_PRIME, GENERATOR.y),
        Point(GENERATOR.x, -GENERATOR.y),
        Point(0, 0),
    ],
)
def test_a_point_off_the_curve_is_seen_and_not_multiplied(point: Point) -> None:
    assert not point.is_on_curve
    with pytest.raises(ValueError, match="not on the SM2 curve"):
        points.multiply(2, point)


def test_the_parameters_are_our_own(monkeypatch: pytest.MonkeyPatch) -> None:
    points.multiply(2, GENERATOR)
    gmssl_table = sys.modules["gmssl.sm2"].default_ecc_table
    for name in gmssl_table:
        monkeypatch.setitem(gmssl_table, name, f"{random.getrandbits(256):064x}")

    assert points.multiply(2, GENERATOR) == points.add(GENERATOR, GENERATOR)
