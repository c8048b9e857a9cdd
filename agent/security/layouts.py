"""How an SM2 ciphertext becomes text: the standard of the registration names no form."""

from __future__ import annotations

import base64
import binascii
import itertools
import re
from dataclasses import dataclass
from typing import Literal

from agent.security import cipher, der, points, sm3
from agent.security.cipher import Ciphertext
from agent.security.errors import Sm2CiphertextError
from agent.security.points import Point

# DER with its lengths, in hex, of the longest plaintext; and room for white space around it.
MAXIMUM_TEXT_LENGTH = 2 * (cipher.MAXIMUM_PLAINTEXT_BYTES + 128)

_PREFIX = b"\x04"
_POINT_BYTES = 2 * points.COORDINATE_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Is one form of a ciphertext.

    `order` is the order of the parts: c1c3c2 (GM/T 0003.4) or the older c1c2c3. `point_prefix` puts
    the byte 04 before C1. `der` is the ASN.1 form of GM/T 0009, to which neither applies.
    `encoding` turns the bytes into text.
    """

    order: Literal["c1c3c2", "c1c2c3"] = "c1c3c2"
    point_prefix: bool = True
    encoding: Literal["hex", "HEX", "base64"] = "hex"
    der: bool = False

    def __str__(self) -> str:
        if self.der:
            return f"DER in {self.encoding}"
        prefix = "with" if self.point_prefix else "without"
        return f"{self.order} {prefix} 04 in {self.encoding}"

    def write(self, ciphertext: Ciphertext) -> str:
        """Return the text of a ciphertext."""
        data = self._to_bytes(ciphertext)
        if self.encoding == "base64":
            return base64.b64encode(data).decode("ascii")
        return data.hex().upper() if self.encoding == "HEX" else data.hex()

    def read(self, text: str) -> Ciphertext:
        """Return the parts of a text of this very layout, with C1 on the curve.

        Raises:
            Sm2CiphertextError: the text is not of this layout.
        """
        if len(text) > MAXIMUM_TEXT_LENGTH:
            raise Sm2CiphertextError(
                f"the ciphertext is longer than {MAXIMUM_TEXT_LENGTH} characters"
            )
        ciphertext = self._from_bytes(self._decode(text))
        if not ciphertext.c2:
            raise Sm2CiphertextError("the ciphertext holds no text")
        if not ciphertext.c1.is_on_curve:
            # Multiplying such a point would tell the sender something of the private key.
            raise Sm2CiphertextError("C1 of the ciphertext is not a point of the SM2 curve")
        return ciphertext

    def _to_bytes(self, ciphertext: Ciphertext) -> bytes:
        c1, c2, c3 = ciphertext.c1, ciphertext.c2, ciphertext.c3
        if self.der:
            return der.write(
                der.SEQUENCE,
                der.write_integer(c1.x),
                der.write_integer(c1.y),
                der.write(der.OCTET_STRING, c3),
                der.write(der.OCTET_STRING, c2),
            )
        rest = c3 + c2 if self.order == "c1c3c2" else c2 + c3
        return (_PREFIX if self.point_prefix else b"") + c1.to_bytes() + rest

    def _decode(self, text: str) -> bytes:
        # One spelling for each ciphertext: changed letters must not go unnoticed.
        if self.encoding == "base64":
            try:
                data = base64.b64decode(text, validate=True)
            except (binascii.Error, ValueError):
                raise Sm2CiphertextError("the ciphertext is not base64") from None
            if base64.b64encode(data).decode("ascii") != text:
                raise Sm2CiphertextError("the ciphertext is not base64 as it is written by rule")
            return data
        digits = "0-9a-f" if self.encoding == "hex" else "0-9A-F"
        if not re.fullmatch(f"(?:[{digits}]{{2}})+", text):
            raise Sm2CiphertextError(f"the ciphertext is not {self.encoding}")
        return bytes.fromhex(text)

    def _from_bytes(self, data: bytes) -> Ciphertext:
        if self.der:
            return _from_der(data)
        if self.point_prefix:
            if not data.startswith(_PREFIX):
                raise Sm2CiphertextError("the ciphertext does not begin with 04")
            data = data[len(_PREFIX) :]
        if len(data) < _POINT_BYTES + sm3.DIGEST_BYTES:
            raise Sm2CiphertextError("the ciphertext is too short")
        c1, rest = Point.from_bytes(data[:_POINT_BYTES]), data[_POINT_BYTES:]
        if self.order == "c1c3c2":
            return Ciphertext(c1=c1, c3=rest[: sm3.DIGEST_BYTES], c2=rest[sm3.DIGEST_BYTES :])
        return Ciphertext(c1=c1, c2=rest[: -sm3.DIGEST_BYTES], c3=rest[-sm3.DIGEST_BYTES :])


def _from_der(data: bytes) -> Ciphertext:
    try:
        x, y, c3, c2 = der.read_sequence(
            data, tags=(der.INTEGER, der.INTEGER, der.OCTET_STRING, der.OCTET_STRING)
        )
        c1 = Point(der.integer(x), der.integer(y))
    except der.DerError as error:
        raise Sm2CiphertextError(f"the ciphertext is not DER: {error}") from None
    if len(c3) != sm3.DIGEST_BYTES:
        raise Sm2CiphertextError("C3 of the ciphertext has not 32 bytes")
    return Ciphertext(c1=c1, c3=c3, c2=c2)


def _every_layout() -> tuple[Layout, ...]:
    encodings: tuple[Literal["hex", "HEX", "base64"], ...] = ("hex", "HEX", "base64")
    orders: tuple[Literal["c1c3c2", "c1c2c3"], ...] = ("c1c3c2", "c1c2c3")
    raw = (
        Layout(order=order, point_prefix=prefix, encoding=encoding)
        for encoding, prefix, order in itertools.product(encodings, (True, False), orders)
    )
    return (*raw, *(Layout(der=True, encoding=encoding) for encoding in encodings))


EVERY_LAYOUT = _every_layout()
