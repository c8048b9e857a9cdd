"""SM2 as the registration needs it: a password in, a text for the platform out, and back.

    key = sm2.PublicKey.parse(text)
    password = sm2.encrypt(key, b"...", layout=sm2.Layout(order="c1c3c2"))

The arithmetic of the curve is gmssl's; everything around it that gmssl 3.2.2 does wrong is done in
this package instead (docs/security.md lists it, each point with its test).
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from agent.security import cipher, points
from agent.security.cipher import Ciphertext
from agent.security.errors import (
    Sm2CiphertextError,
    Sm2Error,
    Sm2KeyError,
    Sm2PlaintextError,
)
from agent.security.keys import PrivateKey, PublicKey
from agent.security.layouts import EVERY_LAYOUT, Layout

__all__ = [
    "EVERY_LAYOUT",
    "Decrypted",
    "Layout",
    "PrivateKey",
    "PublicKey",
    "Sm2CiphertextError",
    "Sm2Error",
    "Sm2KeyError",
    "Sm2PlaintextError",
    "decrypt",
    "encrypt",
    "generate_key_pair",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decrypted:
    """Is a plaintext and the layout in which it came; the plaintext is not shown."""

    plaintext: bytes = field(repr=False)
    layout: Layout


def encrypt(public_key: PublicKey, plaintext: bytes, *, layout: Layout) -> str:
    """Return the ciphertext of 1 to 4096 bytes as text in this layout.

    About 11 ms on a server, any thread. The result has been read back and opened with a shared
    point that was computed in another way.

    Raises:
        Sm2PlaintextError: there is nothing to encrypt, or too much.
        Sm2CiphertextError: the result failed that check.
    """
    sealed, shared = cipher.seal(public_key.point, plaintext, draw_ephemeral=_draw_number)
    text = layout.write(sealed)
    if cipher.unseal(layout.read(text), shared=shared) != plaintext:
        raise Sm2CiphertextError("the ciphertext failed its own check and was not used")
    return text


def decrypt(
    private_key: PrivateKey, text: str, *, layouts: Sequence[Layout] = EVERY_LAYOUT
) -> Decrypted:
    """Return the plaintext of a ciphertext, and which of these layouts it has.

    White space around the text does not count. About 4 ms on a server, any thread.

    Raises:
        Sm2CiphertextError: no layout gives a text whose C3 matches.
    """
    stripped = text.strip()
    for layout in layouts:
        try:
            ciphertext = layout.read(stripped)
        except Sm2CiphertextError:
            continue
        plaintext = _open(private_key, ciphertext)
        if plaintext is not None:
            return Decrypted(plaintext=plaintext, layout=layout)
    raise Sm2CiphertextError(
        f"the ciphertext ({len(stripped)} characters) does not open with this key in any layout "
        "looked for: it was made with another public key, was changed or cut on its way, or is not "
        "SM2 in hex or base64"
    )


def generate_key_pair() -> PrivateKey:
    """Return a fresh private key; its `public_key` is the other half."""
    while True:
        number = _draw_number()
        if number <= points.ORDER - 2:
            return PrivateKey(number=number)


def _open(private_key: PrivateKey, ciphertext: Ciphertext) -> bytes | None:
    shared = points.multiply(private_key.number, ciphertext.c1)
    return None if shared is None else cipher.unseal(ciphertext, shared=shared)


def _draw_number() -> int:
    """Return a number in 1..n-1 from the operating system.

    gmssl draws from `random`, whose next numbers can be foretold, and from 0 to 2^256-1.
    """
    return secrets.randbelow(points.ORDER - 1) + 1
