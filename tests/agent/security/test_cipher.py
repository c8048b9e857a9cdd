from __future__ import annotations

from types import SimpleNamespace

import pytest

from agent.security import cipher, points
from agent.security.errors import Sm2CiphertextError, Sm2KeyError, Sm2PlaintextError
from agent.security.layouts import Layout
from agent.security.points import ORDER, Point


@pytest.fixture
def public_point(vector: SimpleNamespace) -> Point:
    return Point(vector.x, vector.y)


def test_the_published_vector_comes_out(vector: SimpleNamespace, public_point: Point) -> None:
    sealed, shared = cipher.seal(
        public_point, vector.plaintext, draw_ephemeral=lambda: vector.ephemeral
    )

    assert Layout().write(sealed) == "04" + vector.c1 + vector.c3 + vector.c2
    old = Layout(order="c1c2c3", point_prefix=False, encoding="HEX")
    assert old.write(sealed) == (vector.c1 + vector.c2 + vector.c3).upper()
    # Y begins with a set bit, so its INTEGER has a zero in front; X begins with 04 and has none.
    assert Layout(der=True).write(sealed) == (
        f"307c0220{vector.c1[:64]}022100{vector.c1[64:]}0420{vector.c3}0413{vector.c2}"
    )
    assert shared == points.multiply(vector.private_number, sealed.c1)
    assert cipher.unseal(sealed, shared=shared) == vector.plaintext


def test_a_number_that_would_leave_the_text_as_it_is_gets_drawn_again(
    public_point: Point,
) -> None:
    useless = _first_number_with_zero_mask(public_point)
    draws = iter([useless, useless, 12345])

    sealed, _ = cipher.seal(public_point, b"x", draw_ephemeral=lambda: next(draws))

    assert sealed.c1 == points.multiply(12345, points.GENERATOR)
    assert sealed.c2 != b"x"
    assert list(draws) == []


def test_a_received_text_that_was_not_hidden_is_refused(public_point: Point) -> None:
    shared = points.multiply(_first_number_with_zero_mask(public_point), public_point)
    assert shared is not None
    bare = cipher.Ciphertext(c1=points.GENERATOR, c3=cipher._hash(shared, b"x"), c2=b"x")

    # C3 matches, and yet GM/T 0003.4, 7.1, step B4 demands an error.
    assert cipher.unseal(bare, shared=shared) is None


def _first_number_with_zero_mask(public_point: Point) -> int:
    number, shared = 1, public_point
    while cipher._derive_mask(shared, length_bytes=1) != b"\x00":
        following = points.add(shared, public_point)
        assert following is not None
        number, shared = number + 1, following
    return number


@pytest.mark.parametrize("useless", [0, ORDER, ORDER + 1, 2**256 - 1])
def test_a_number_outside_of_the_range_is_drawn_again(useless: int, public_point: Point) -> None:
    draws = iter([useless, 7])

    sealed, _ = cipher.seal(public_point, b"text", draw_ephemeral=lambda: next(draws))

    assert sealed.c1 == points.multiply(7, points.GENERATOR)


def test_broken_randomness_ends_with_an_error(public_point: Point) -> None:
    with pytest.raises(Sm2CiphertextError, match="randomness"):
        cipher.seal(public_point, b"text", draw_ephemeral=lambda: 0)


@pytest.mark.parametrize("wrong_call", [0, 1, 2])
def test_a_wrong_product_is_noticed_before_anything_is_sent(
    wrong_call: int, public_point: Point, monkeypatch: pytest.MonkeyPatch
) -> None:
    multiply = points.multiply
    calls = iter(range(3))

    def multiply_wrongly(factor: int, point: Point | None) -> Point | None:
        product = multiply(factor, point)
        # A point of the curve, as a wrong factor gives it.
        return points.add(product, points.GENERATOR) if next(calls) == wrong_call else product

    monkeypatch.setattr(points, "multiply", multiply_wrongly)

    with pytest.raises(Sm2CiphertextError, match="contradicts itself"):
        cipher.seal(public_point, b"text", draw_ephemeral=lambda: 99)


@pytest.mark.parametrize("number", [1, 2, ORDER - 2, ORDER - 1])
def test_keys_at_the_ends_of_the_range_work(number: int) -> None:
    public_point = points.multiply(number, points.GENERATOR)
    assert public_point is not None

    sealed, _ = cipher.seal(public_point, b"text", draw_ephemeral=lambda: 4711)
    shared = points.multiply(number, sealed.c1)

    assert shared is not None
    assert cipher.unseal(sealed, shared=shared) == b"text"


@pytest.mark.parametrize("length", [0, cipher.MAXIMUM_PLAINTEXT_BYTES + 1])
def test_nothing_and_too_much_are_refused(length: int, public_point: Point) -> None:
    with pytest.raises(Sm2PlaintextError, match=f"not {length}"):
        cipher.seal(public_point, b"x" * length, draw_ephemeral=lambda: 1)


def test_a_point_off_the_curve_is_no_key(public_point: Point) -> None:
    with pytest.raises(Sm2KeyError):
        cipher.seal(Point(public_point.y, public_point.x), b"x", draw_ephemeral=lambda: 1)
