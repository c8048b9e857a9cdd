from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest

from agent.errors import PermanentError
from agent.security import cipher, points, self_test, sm3
from agent.security.errors import SelfTestError
from agent.security.points import Point


def test_a_sound_machine_passes() -> None:
    self_test.run()


def _reversed_digest(data: bytes) -> bytes:
    return _digest(data)[::-1]


def _doubled(factor: int, point: Point | None) -> Point | None:
    product = _multiply(factor, point)
    return points.add(product, product)


def _vanished(factor: int, point: Point | None) -> Point | None:
    raise AttributeError("'CryptSM2' object has no attribute '_kg'")


def _without_looking_at_c3(ciphertext: cipher.Ciphertext, *, shared: Point) -> bytes:
    mask = cipher._derive_mask(shared, length_bytes=len(ciphertext.c2))
    return cipher._mix(ciphertext.c2, mask)


def _keeping_the_mask_in_clear(shared: Point, *, length_bytes: int) -> bytes:
    return b"\x01" * length_bytes


_digest, _multiply = sm3.digest, points.multiply


@pytest.mark.parametrize(
    ("module", "name", "broken", "expected"),
    [
        (sm3, "digest", _reversed_digest, "SM3"),
        (points, "multiply", _doubled, "arithmetic"),
        (points, "multiply", _vanished, "SM2 fails"),
        (cipher, "unseal", _without_looking_at_c3, "accepts a changed"),
        (cipher, "_derive_mask", _keeping_the_mask_in_clear, "another ciphertext"),
    ],
)
def test_a_fault_is_found_before_a_password_is_encrypted(
    module: ModuleType,
    name: str,
    broken: Callable[..., object],
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, name, broken)

    with pytest.raises(SelfTestError, match=expected) as caught:
        self_test.run()
    assert isinstance(caught.value, PermanentError)
