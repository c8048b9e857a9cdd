"""The proof, at each start, that SM2 and SM3 work on this machine.

A build of OpenSSL, a replaced gmssl or a fault of the machine must not be noticed first by a
platform that cannot open our password.
"""

from __future__ import annotations

from agent.security import cipher, points, sm3
from agent.security.cipher import Ciphertext
from agent.security.errors import SelfTestError, Sm2Error
from agent.security.keys import PrivateKey
from agent.security.layouts import Layout
from agent.security.points import Point

_ABC_DIGEST = "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"

# GM/T 0003.5, annex C.2: a key, an ephemeral number and the ciphertext that they must give. C1
# begins with 04 behind its prefix 04: a prefix taken off by its look would be seen here.
_PRIVATE_NUMBER = 0x3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8
_PUBLIC_POINT = Point(
    0x09F9DF311E5421A150DD7D161E4BC5C672179FAD1833FC076BB08FF356F35020,
    0xCCEA490CE26775A52DC6EA718CC1AA600AED05FBF35E084A6632F6072DA9AD13,
)
_EPHEMERAL_NUMBER = 0x59276E27D506861A16680F3AD9C02DCCEF3CC1FA3CDBE4CE6D54B80DEAC1BC21
_PLAINTEXT = b"encryption standard"
_CIPHERTEXT = (
    "04"
    "04ebfc718e8d1798620432268e77feb6415e2ede0e073c0f4f640ecd2e149a73"
    "e858f9d81e5430a57b36daab8f950a3c64e6ee6a63094d99283aff767e124df0"
    "59983c18f809e262923c53aec295d30383b54e39d609d160afcb1908d0bd8766"
    "21886ca989ca9c7d58087307ca93092d651efa"
)


def run() -> None:
    """Return if SM3 and SM2 give the published results and a changed ciphertext is refused.

    About 25 ms on a server; it imports gmssl. Any thread.

    Raises:
        SelfTestError: something is wrong; nothing may be encrypted.
    """
    if sm3.digest(b"abc").hex() != _ABC_DIGEST:
        raise SelfTestError("SM3 gives a wrong digest on this machine")
    try:
        sealed, shared = cipher.seal(
            _PUBLIC_POINT, _PLAINTEXT, draw_ephemeral=lambda: _EPHEMERAL_NUMBER
        )
        text = Layout().write(sealed)
        opened = cipher.unseal(Layout().read(text), shared=shared)
        public_point = PrivateKey(number=_PRIVATE_NUMBER).public_key.point
        received = points.multiply(_PRIVATE_NUMBER, sealed.c1)
    except (Sm2Error, ArithmeticError, AttributeError, ImportError, TypeError, ValueError) as error:
        # The multiplication is a private method of gmssl: another release may lack it or change it.
        raise SelfTestError(f"SM2 fails on this machine: {error}") from error
    if public_point != _PUBLIC_POINT or received != shared:
        raise SelfTestError("the arithmetic of the SM2 curve is wrong on this machine")
    if text != _CIPHERTEXT:
        raise SelfTestError("SM2 gives another ciphertext than GM/T 0003.5 on this machine")
    if opened != _PLAINTEXT:
        raise SelfTestError("SM2 does not open its own ciphertext on this machine")
    if any(cipher.unseal(spoiled, shared=shared) is not None for spoiled in _spoil(sealed)):
        raise SelfTestError("SM2 accepts a changed ciphertext on this machine")


def _spoil(sealed: Ciphertext) -> list[Ciphertext]:
    """Return the ciphertext with one bit of C2 changed, and with one bit of C3 changed."""
    return [
        Ciphertext(c1=sealed.c1, c3=sealed.c3, c2=_flip_first_bit(sealed.c2)),
        Ciphertext(c1=sealed.c1, c3=_flip_first_bit(sealed.c3), c2=sealed.c2),
    ]


def _flip_first_bit(data: bytes) -> bytes:
    return bytes([data[0] ^ 0x80]) + data[1:]
