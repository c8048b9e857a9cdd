from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.security import der, points
from agent.security.cipher import Ciphertext
from agent.security.errors import Sm2CiphertextError
from agent.security.layouts import EVERY_LAYOUT, MAXIMUM_TEXT_LENGTH, Layout

CIPHERTEXT = Ciphertext(c1=points.GENERATOR, c3=bytes(range(200, 232)), c2=b"\x01\x02\x03")


def test_there_are_fifteen_layouts() -> None:
    assert len(set(EVERY_LAYOUT)) == len({str(layout) for layout in EVERY_LAYOUT}) == 15


@pytest.mark.parametrize("layout", EVERY_LAYOUT, ids=str)
@given(c3=st.binary(min_size=32, max_size=32), c2=st.binary(min_size=1, max_size=200))
def test_the_parts_come_back(layout: Layout, c3: bytes, c2: bytes) -> None:
    ciphertext = Ciphertext(c1=points.GENERATOR, c3=c3, c2=c2)

    assert layout.read(layout.write(ciphertext)) == ciphertext


def test_order_prefix_and_encoding_do_what_they_say() -> None:
    c1, c3, c2 = points.GENERATOR.to_bytes(), CIPHERTEXT.c3, CIPHERTEXT.c2

    assert Layout().write(CIPHERTEXT) == "04" + (c1 + c3 + c2).hex()
    assert Layout(order="c1c2c3").write(CIPHERTEXT) == "04" + (c1 + c2 + c3).hex()
    assert Layout(point_prefix=False).write(CIPHERTEXT) == (c1 + c3 + c2).hex()
    assert Layout(encoding="HEX").write(CIPHERTEXT) == "04" + (c1 + c3 + c2).hex().upper()
    assert (
        Layout(encoding="base64").write(CIPHERTEXT)
        == base64.b64encode(b"\4" + c1 + c3 + c2).decode()
    )


def test_der_knows_neither_order_nor_prefix() -> None:
    texts = {
        Layout(der=True, order=order, point_prefix=prefix).write(CIPHERTEXT)
        for order in ("c1c3c2", "c1c2c3")
        for prefix in (True, False)
    }

    assert len(texts) == 1


def _der(x: bytes, c3: bytes, *more: bytes) -> str:
    y = der.write_integer(points.GENERATOR.y)
    c2 = der.write(der.OCTET_STRING, b"text")
    return der.write(der.SEQUENCE, x, y, der.write(der.OCTET_STRING, c3), c2, *more).hex()


X = der.write_integer(points.GENERATOR.x)
GOOD = Layout().write(CIPHERTEXT)


@pytest.mark.parametrize(
    ("layout", "text", "reason"),
    [
        (Layout(), "", "not hex"),
        (Layout(), GOOD[:-1], "not hex"),
        (Layout(), GOOD.upper(), "not hex"),
        (Layout(), GOOD + "\n", "not hex"),
        (Layout(), "०४" + GOOD, "not hex"),
        (Layout(encoding="HEX"), GOOD, "not HEX"),
        (Layout(), GOOD[2:], "not begin with 04"),
        (Layout(), GOOD[:160], "too short"),
        (Layout(), GOOD[: 2 * 97], "holds no text"),
        (Layout(), "0" * (MAXIMUM_TEXT_LENGTH + 1), "longer than"),
        (Layout(point_prefix=False), GOOD, "not a point"),
        (Layout(encoding="base64"), "AAA", "not base64"),
        (Layout(encoding="base64"), "AB==", "by rule"),
        (Layout(encoding="base64"), "QUJD\nQUJD", "not base64"),
        (Layout(der=True), GOOD, "not DER"),
        (Layout(der=True), _der(X, bytes(32), b"\x05\x00"), "not DER"),
        (Layout(der=True), _der(X, bytes(32)) + "00", "not DER"),
        (Layout(der=True), _der(X, bytes(31)), "32 bytes"),
        (Layout(der=True), _der(X[:1] + b"\x21\x00" + X[2:], bytes(32)), "not DER"),
        (Layout(der=True), _der(der.write_integer(2**2000), bytes(32)), "not a point"),
    ],
)
def test_a_text_of_no_or_another_layout_is_refused(layout: Layout, text: str, reason: str) -> None:
    with pytest.raises(Sm2CiphertextError, match=reason):
        layout.read(text)


@given(st.text() | st.binary().map(lambda data: data.hex()))
def test_any_text_is_refused_by_our_error(text: str) -> None:
    for layout in EVERY_LAYOUT:
        with pytest.raises(Sm2CiphertextError):
            layout.read(text)
