from __future__ import annotations

import random
import secrets
from collections import Counter
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import PermanentError
from agent.security import cipher, points, sm2
from agent.security.layouts import EVERY_LAYOUT, Layout

BYTE_LAYOUTS = [layout for layout in EVERY_LAYOUT if layout.encoding == "hex"]
PASSWORD = "口令-pässword".encode()


@pytest.mark.parametrize("layout", EVERY_LAYOUT, ids=str)
@pytest.mark.parametrize("digits", ["0", "4", "04"])
def test_a_password_comes_back_in_every_layout(
    layout: Layout,
    digits: str,
    key_with_x_beginning: Callable[[str], tuple[sm2.PrivateKey, sm2.PublicKey]],
) -> None:
    private_key, public_key = key_with_x_beginning(digits)

    text = sm2.encrypt(public_key, PASSWORD, layout=layout)
    opened = sm2.decrypt(private_key, f" {text}\n")

    assert opened == sm2.Decrypted(plaintext=PASSWORD, layout=layout)
    assert sm2.decrypt(private_key, text, layouts=[layout]) == opened


@settings(max_examples=40, deadline=None)
@given(plaintext=st.binary(min_size=1, max_size=70), layout=st.sampled_from(EVERY_LAYOUT))
def test_any_bytes_come_back(plaintext: bytes, layout: Layout) -> None:
    key = sm2.PrivateKey(number=0xC0FFEE)

    text = sm2.encrypt(key.public_key, plaintext, layout=layout)

    assert sm2.decrypt(key, text).plaintext == plaintext


def test_one_byte_never_fails(private_key: sm2.PrivateKey, public_key: sm2.PublicKey) -> None:
    # gmssl gives None for one of 256 of these.
    for _ in range(100):
        text = sm2.encrypt(public_key, b"\x00", layout=Layout())
        assert not text.endswith("00")
    assert sm2.decrypt(private_key, text).plaintext == b"\x00"


def test_the_published_ciphertext_opens(vector: SimpleNamespace) -> None:
    key = sm2.PrivateKey(number=vector.private_number)
    for text in (
        vector.c1 + vector.c3 + vector.c2,
        "04" + vector.c1 + vector.c2 + vector.c3,
        "04" + (vector.c1 + vector.c3 + vector.c2).upper(),
    ):
        assert sm2.decrypt(key, text).plaintext == vector.plaintext


def test_the_longest_plaintext_passes_and_one_more_byte_does_not(
    private_key: sm2.PrivateKey, public_key: sm2.PublicKey
) -> None:
    longest = b"x" * cipher.MAXIMUM_PLAINTEXT_BYTES

    text = sm2.encrypt(public_key, longest, layout=Layout(der=True))

    assert sm2.decrypt(private_key, text).plaintext == longest
    for wrong in (b"", longest + b"x"):
        with pytest.raises(sm2.Sm2PlaintextError):
            sm2.encrypt(public_key, wrong, layout=Layout())


@pytest.mark.parametrize("layout", BYTE_LAYOUTS, ids=str)
def test_every_changed_byte_is_refused(
    layout: Layout, private_key: sm2.PrivateKey, public_key: sm2.PublicKey
) -> None:
    data = bytes.fromhex(sm2.encrypt(public_key, b"password", layout=layout))

    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 1 << secrets.randbelow(8)
        with pytest.raises(sm2.Sm2CiphertextError):
            sm2.decrypt(private_key, changed.hex())


@settings(max_examples=150, deadline=None)
@given(
    layout=st.sampled_from(EVERY_LAYOUT),
    place=st.integers(0, 1000),
    taken=st.integers(0, 3),
    put=st.text(alphabet="0123456789abcdefABCDEF+/= \n", max_size=3),
)
def test_a_changed_text_never_opens_to_another_plaintext(
    layout: Layout, place: int, taken: int, put: str
) -> None:
    key = sm2.PrivateKey(number=0xBADCAFE)
    text = sm2.encrypt(key.public_key, b"password", layout=layout)
    place %= len(text) + 1
    changed = text[:place] + put + text[place + taken :]

    if changed.strip() == text:
        assert sm2.decrypt(key, changed).plaintext == b"password"
        return
    with pytest.raises(sm2.Sm2CiphertextError):
        sm2.decrypt(key, changed)


@settings(deadline=None)
@given(
    st.text()
    | st.binary(max_size=300).map(lambda data: data.hex())
    | st.binary(max_size=200).map(
        lambda data: "04" + points.GENERATOR.to_bytes().hex() + data.hex()
    )
)
def test_any_text_is_refused_by_our_error(text: str) -> None:
    with pytest.raises(sm2.Sm2CiphertextError) as caught:
        sm2.decrypt(sm2.PrivateKey(number=0xBADCAFE), text)
    assert len(text) < 20 or text not in str(caught.value)


def test_another_key_does_not_open_it(public_key: sm2.PublicKey) -> None:
    text = sm2.encrypt(public_key, b"password", layout=Layout())

    with pytest.raises(sm2.Sm2CiphertextError, match="210 characters"):
        sm2.decrypt(sm2.generate_key_pair(), text)


def test_a_layout_that_is_not_looked_for_is_not_accepted(
    private_key: sm2.PrivateKey, public_key: sm2.PublicKey
) -> None:
    text = sm2.encrypt(public_key, b"password", layout=Layout(order="c1c2c3"))

    with pytest.raises(sm2.Sm2CiphertextError):
        sm2.decrypt(private_key, text, layouts=[Layout(order="c1c3c2")])


def test_the_ephemeral_number_owes_nothing_to_the_random_module(
    public_key: sm2.PublicKey,
) -> None:
    # gmssl gives the same ciphertext twice here, and so gives the password away.
    state = random.getstate()
    try:
        texts = set()
        for _ in range(3):
            random.seed(7)
            texts.add(sm2.encrypt(public_key, b"password", layout=Layout()))
    finally:
        random.setstate(state)
    assert len(texts) == 3


def test_the_ephemeral_number_comes_from_the_operating_system_and_fills_its_range(
    monkeypatch: pytest.MonkeyPatch, public_key: sm2.PublicKey
) -> None:
    asked: list[int] = []

    def give_the_last(limit: int) -> int:
        asked.append(limit)
        return limit - 1

    monkeypatch.setattr(secrets, "randbelow", give_the_last)

    text = sm2.encrypt(public_key, b"password", layout=Layout(point_prefix=False))

    # The last number, n-1, gives the point opposite to G; the first is 1 and not 0.
    assert Layout(point_prefix=False).read(text).c1 == points.negate(points.GENERATOR)
    assert asked == [points.ORDER - 1]


def test_a_ciphertext_that_fails_its_own_check_is_not_used(
    monkeypatch: pytest.MonkeyPatch, public_key: sm2.PublicKey
) -> None:
    mix = cipher._mix
    calls: Counter[str] = Counter()

    def mix_wrongly_once(text: bytes, mask: bytes) -> bytes:
        calls["mix"] += 1
        return mix(text, mask)[::-1] if calls["mix"] == 1 else mix(text, mask)

    monkeypatch.setattr(cipher, "_mix", mix_wrongly_once)

    with pytest.raises(sm2.Sm2CiphertextError, match="own check"):
        sm2.encrypt(public_key, b"password", layout=Layout())


def test_errors_are_permanent_and_what_was_opened_is_not_shown() -> None:
    for kind in (sm2.Sm2KeyError, sm2.Sm2PlaintextError, sm2.Sm2CiphertextError):
        assert issubclass(kind, sm2.Sm2Error)
        assert issubclass(kind, PermanentError)
    assert "secret" not in repr(sm2.Decrypted(plaintext=b"secret", layout=Layout()))
