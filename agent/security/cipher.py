"""SM2 encryption itself (GM/T 0003.4, GB/T 32918.4), on bytes and points.

Whoever wants to encrypt uses `sm2`. The ephemeral number is an argument here so that the published
vector can be computed; nothing but the self-test and the tests hands in one of its own.
"""

from __future__ import annotations

import hmac
import itertools
from collections.abc import Callable
from dataclasses import dataclass

from agent.security import points, sm3
from agent.security.errors import Sm2CiphertextError, Sm2KeyError, Sm2PlaintextError
from agent.security.points import Point

# Far more than a password needs; it bounds the time that a hostile text can take.
MAXIMUM_PLAINTEXT_BYTES = 4096
# A one-byte text needs a second draw once in 256; a hundred in a row mean broken randomness.
MAXIMUM_DRAWS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Ciphertext:
    """Is a ciphertext in its parts: C1 a point, C3 the hash, C2 as long as the plaintext."""

    c1: Point
    c3: bytes
    c2: bytes


def seal(
    public_point: Point, plaintext: bytes, *, draw_ephemeral: Callable[[], int]
) -> tuple[Ciphertext, Point]:
    """Return the ciphertext, and the shared point found once more by another way.

    The second result is for `unseal`: what comes out of the encoded ciphertext with it must be the
    plaintext, or the ciphertext must not be used.

    Raises:
        Sm2KeyError: the public point is not on the curve.
        Sm2PlaintextError: the plaintext is empty or longer than 4096 bytes.
        Sm2CiphertextError: the arithmetic contradicts itself, or no draw could be used.
    """
    if not public_point.is_on_curve:
        raise Sm2KeyError("the public key is not a point of the SM2 curve")
    if not 1 <= len(plaintext) <= MAXIMUM_PLAINTEXT_BYTES:
        raise Sm2PlaintextError(
            f"SM2 encrypts 1 to {MAXIMUM_PLAINTEXT_BYTES} bytes here, not {len(plaintext)}"
        )
    for _ in range(MAXIMUM_DRAWS):
        ephemeral = draw_ephemeral()
        if not 1 <= ephemeral < points.ORDER:
            continue
        c1 = points.multiply(ephemeral, points.GENERATOR)
        shared = points.multiply(ephemeral, public_point)
        if c1 is None or shared is None:
            continue
        mask = _derive_mask(shared, length_bytes=len(plaintext))
        if not any(mask):
            # The text would travel as it is: GM/T 0003.4, 6.1, step A5 demands another draw, where
            # gmssl returns None and others send it.
            continue
        sealed = Ciphertext(c1=c1, c3=_hash(shared, plaintext), c2=_mix(plaintext, mask))
        return sealed, _shared_point_again(ephemeral, public_point, c1=c1, shared=shared)
    raise Sm2CiphertextError(
        f"none of {MAXIMUM_DRAWS} ephemeral numbers could be used: the randomness of this machine "
        "is broken"
    )


def unseal(ciphertext: Ciphertext, *, shared: Point) -> bytes | None:
    """Return the plaintext; None if C3 does not match, which gmssl never looks at."""
    mask = _derive_mask(shared, length_bytes=len(ciphertext.c2))
    if not any(mask):
        return None
    plaintext = _mix(ciphertext.c2, mask)
    if not hmac.compare_digest(_hash(shared, plaintext), ciphertext.c3):
        return None
    return plaintext


def _shared_point_again(ephemeral: int, public_point: Point, *, c1: Point, shared: Point) -> Point:
    """Return k·P as k·(P+G) - k·G, and refuse the ciphertext if that is another point.

    gmssl reports no fault: with a key or a factor that it does not expect it goes on with a wrong
    point, and the platform then holds a password that nobody can open. Without the private key the
    result cannot be opened, but C1 and k·P can be held against a third product: a wrong one of the
    three breaks the equation. Whoever changes this module cannot break it silently either.
    """
    third = points.multiply(ephemeral, points.add(public_point, points.GENERATOR))
    again = points.add(third, points.negate(c1))
    if again is None or again != shared or not c1.is_on_curve or not shared.is_on_curve:
        raise Sm2CiphertextError("the SM2 arithmetic contradicts itself: nothing was encrypted")
    return again


def _derive_mask(shared: Point, *, length_bytes: int) -> bytes:
    """Return the key stream of GM/T 0003.4, 5.4.3."""
    seed = shared.to_bytes()
    mask = b""
    for counter in itertools.count(1):
        mask += sm3.digest(seed + counter.to_bytes(4, "big"))
        if len(mask) >= length_bytes:
            break
    return mask[:length_bytes]


def _hash(shared: Point, plaintext: bytes) -> bytes:
    coordinates = shared.to_bytes()
    half = points.COORDINATE_BYTES
    return sm3.digest(coordinates[:half] + plaintext + coordinates[half:])


def _mix(text: bytes, mask: bytes) -> bytes:
    return bytes(one ^ other for one, other in zip(text, mask, strict=True))
