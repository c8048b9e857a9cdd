"""SM2 keys in every spelling that platforms hand out."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path

from agent.security import der, files, points
from agent.security.errors import SecretFileError, Sm2KeyError
from agent.security.points import Point

_EC_PUBLIC_KEY = bytes.fromhex("2a8648ce3d0201")  # 1.2.840.10045.2.1
_SM2_CURVE = bytes.fromhex("2a811ccf5501822d")  # 1.2.156.10197.1.301
_OTHER_CURVES = {
    bytes.fromhex("2a8648ce3d030107"): "P-256",
    bytes.fromhex("2b81040022"): "P-384",
    bytes.fromhex("2b8104000a"): "secp256k1",
}

_POINT_BYTES = 2 * points.COORDINATE_BYTES
_UNCOMPRESSED = b"\x04"
_COMPRESSED = (b"\x02", b"\x03")
_SPKI_BYTES = 91
_PUBLIC_FORMS = (
    "give a PEM file (BEGIN PUBLIC KEY), the base64 within it, or X and Y in hex: 128 digits, or "
    "130 that begin with 04"
)
_PRIVATE_FORMS = (
    "give a PEM file (BEGIN PRIVATE KEY or BEGIN EC PRIVATE KEY), not encrypted, or 64 hex digits"
)
_PEM_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]{1,64})-----([^-]*)-----END \1-----", flags=re.ASCII)
# No key is longer; it bounds what a hostile text can cost.
_MAXIMUM_TEXT_LENGTH = 16384


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicKey:
    """Is a public key; its point is on the curve.

    Raises:
        Sm2KeyError: the point is not on the curve.
    """

    point: Point

    def __post_init__(self) -> None:
        if not self.point.is_on_curve:
            raise Sm2KeyError(
                "the public key is not a point of the SM2 curve: it was cut, changed or made for "
                "another curve"
            )

    @classmethod
    def parse(cls, text: str) -> PublicKey:
        """Return the key of a PEM SPKI, a base64 SPKI, or hex with or without 04 in front.

        White space and the case of hex digits do not count. Base64 of the bare point and hex of the
        SPKI are understood too.

        Raises:
            Sm2KeyError: the text is none of these; it says what to write instead.
        """
        if len(text) > _MAXIMUM_TEXT_LENGTH:
            raise Sm2KeyError(f"the public key is far too long; {_PUBLIC_FORMS}")
        if "-----" in text:
            return cls(point=_point_of_spki(_public_block(text)))
        compact = "".join(text.removeprefix("\ufeff").split())
        if not compact:
            raise Sm2KeyError(f"the public key is empty; {_PUBLIC_FORMS}")
        return cls(point=_point_of_text(compact))

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the SPKI in DER, 64 hex digits.

        The same as `openssl pkey -pubin -in KEY -outform DER | sha256sum`.
        """
        return hashlib.sha256(self.to_spki()).hexdigest()

    def to_spki(self) -> bytes:
        """Return the SubjectPublicKeyInfo in DER."""
        return der.write(der.SEQUENCE, _algorithm(), _bit_string(self.point))

    def to_pem(self) -> str:
        """Return the SubjectPublicKeyInfo as PEM."""
        return _to_pem(self.to_spki(), label="PUBLIC KEY")

    def to_hex(self) -> str:
        """Return 04, X and Y in 130 lower-case hex digits."""
        return (_UNCOMPRESSED + self.point.to_bytes()).hex()


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateKey:
    """Is a private key, a number from 1 to n-2, which is not shown.

    Raises:
        Sm2KeyError: the number is out of range.
    """

    number: int = field(repr=False)

    def __post_init__(self) -> None:
        if not 1 <= self.number <= points.ORDER - 2:
            raise Sm2KeyError("the private key is not a number from 1 to n-2 of the SM2 curve")

    @classmethod
    def parse(cls, text: str) -> PrivateKey:
        """Return the key of a PEM file (PKCS#8 or SEC1, not encrypted) or of 64 hex digits.

        Raises:
            Sm2KeyError: the text is none of these, or holds a public key of another key pair.
        """
        if len(text) > _MAXIMUM_TEXT_LENGTH:
            raise Sm2KeyError(f"the private key is far too long; {_PRIVATE_FORMS}")
        if "-----" in text:
            return _private_key_of_pem(text)
        compact = "".join(text.removeprefix("\ufeff").split())
        if not re.fullmatch(r"[0-9a-fA-F]{64}", compact, flags=re.ASCII):
            raise Sm2KeyError(f"{len(compact)} characters are no private key; {_PRIVATE_FORMS}")
        return cls(number=int(compact, 16))

    @property
    def public_key(self) -> PublicKey:
        """The other half of the pair; about 4 ms each time."""
        point = points.multiply(self.number, points.GENERATOR)
        if point is None:
            raise Sm2KeyError("the private key has no public key")
        return PublicKey(point=point)

    def to_pkcs8_pem(self) -> str:
        """Return the key as `BEGIN PRIVATE KEY`, with its public key in it."""
        info = der.write(
            der.SEQUENCE,
            der.write_integer(0),
            _algorithm(),
            der.write(der.OCTET_STRING, self._to_sec1(names_curve=False)),
        )
        return _to_pem(info, label="PRIVATE KEY")

    def to_sec1_pem(self) -> str:
        """Return the key as `BEGIN EC PRIVATE KEY`, with its public key in it."""
        return _to_pem(self._to_sec1(names_curve=True), label="EC PRIVATE KEY")

    def to_hex(self) -> str:
        """Return the secret number itself in 64 hex digits."""
        return f"{self.number:064x}"

    def _to_sec1(self, *, names_curve: bool) -> bytes:
        curve = der.write(der.CONTEXT_0, der.write(der.OBJECT_IDENTIFIER, _SM2_CURVE))
        return der.write(
            der.SEQUENCE,
            der.write_integer(1),
            der.write(der.OCTET_STRING, self.number.to_bytes(points.COORDINATE_BYTES, "big")),
            curve if names_curve else b"",
            der.write(der.CONTEXT_1, _bit_string(self.public_key.point)),
        )


def read_public_key(path: str | Path) -> PublicKey:
    """Return the public key of a file.

    Raises:
        Sm2KeyError: the file cannot be read or holds no such key; the text names the file.
    """
    try:
        return PublicKey.parse(files.read_small_file(path).text)
    except SecretFileError as error:
        raise Sm2KeyError(error.reason) from error
    except Sm2KeyError as error:
        raise Sm2KeyError(f"{path}: {error.reason}") from error


def read_private_key(path: str | Path) -> PrivateKey:
    """Return the private key of a file.

    Raises:
        Sm2KeyError: the file cannot be read or holds no such key; the text names the file.
    """
    try:
        return PrivateKey.parse(files.read_small_file(path).text)
    except SecretFileError as error:
        raise Sm2KeyError(error.reason) from error
    except Sm2KeyError as error:
        raise Sm2KeyError(f"{path}: {error.reason}") from error


def _point_of_text(compact: str) -> Point:
    """Return the point of a text without white space, by its length first.

    X may itself begin with 04 or with zeros, so nothing is ever taken off but the first two of 130
    digits; gmssl takes off every 0 and 4, which spoils one key in eight.
    """
    if re.fullmatch(r"[0-9a-fA-F]+", compact, flags=re.ASCII):
        if len(compact) in {2 * _POINT_BYTES, 2 * _POINT_BYTES + 2, _POINT_BYTES + 2}:
            return _point_of_bytes(bytes.fromhex(compact))
        if len(compact) == 2 * _SPKI_BYTES:
            return _point_of_spki(bytes.fromhex(compact))
        # Neither the base64 of a point nor that of an SPKI is made of hex digits alone.
        raise Sm2KeyError(f"{len(compact)} hex digits are no public key; {_PUBLIC_FORMS}")
    if re.fullmatch(r"0[xX][0-9a-fA-F]+", compact, flags=re.ASCII):
        raise Sm2KeyError(f"the public key begins with 0x; {_PUBLIC_FORMS}")
    data = _from_base64(compact, forms=_PUBLIC_FORMS)
    if len(data) in {_POINT_BYTES, _POINT_BYTES + 1, points.COORDINATE_BYTES + 1}:
        return _point_of_bytes(data)
    return _point_of_spki(data)


def _point_of_bytes(data: bytes) -> Point:
    if data[:1] in _COMPRESSED and len(data) == points.COORDINATE_BYTES + 1:
        raise Sm2KeyError(
            "the public key is compressed (02 or 03 in front); convert it with `openssl ec -pubin "
            "-in KEY -conv_form uncompressed -pubout`"
        )
    if len(data) == _POINT_BYTES:
        return Point.from_bytes(data)
    if len(data) == _POINT_BYTES + 1 and data.startswith(_UNCOMPRESSED):
        return Point.from_bytes(data[len(_UNCOMPRESSED) :])
    raise Sm2KeyError(f"the public key has {len(data)} bytes and not 04, X and Y; {_PUBLIC_FORMS}")


def _point_of_spki(data: bytes) -> Point:
    try:
        members = der.read_all(der.read_one(data, tag=der.SEQUENCE))
        if [tag for tag, _ in members] != [der.SEQUENCE, der.BIT_STRING]:
            raise Sm2KeyError(f"the DER is not a SubjectPublicKeyInfo; {_PUBLIC_FORMS}")
        _check_algorithm(members[0][1])
        return _point_of_bit_string(members[1][1])
    except der.DerError as error:
        raise Sm2KeyError(f"the public key is not DER: {error}; {_PUBLIC_FORMS}") from None


def _point_of_bit_string(contents: bytes) -> Point:
    if not contents.startswith(b"\x00"):
        raise Sm2KeyError("the BIT STRING of the public key does not hold whole bytes")
    return _point_of_bytes(contents[1:])


def _check_algorithm(contents: bytes) -> None:
    members = der.read_all(contents)
    if not members or members[0] != (der.OBJECT_IDENTIFIER, _EC_PUBLIC_KEY):
        raise Sm2KeyError("the key is not an elliptic curve key; a key on the SM2 curve is needed")
    if len(members) != 2 or members[1][0] != der.OBJECT_IDENTIFIER:
        raise Sm2KeyError(
            "the key spells its curve out; convert it with `openssl ec -param_enc named_curve`"
        )
    _check_curve(members[1][1])


def _check_curve(contents: bytes) -> None:
    if contents != _SM2_CURVE:
        name = _OTHER_CURVES.get(contents, "another curve")
        raise Sm2KeyError(
            f"the key is on {name}; a key on the SM2 curve (1.2.156.10197.1.301) is needed"
        )


def _public_block(text: str) -> bytes:
    blocks = _PEM_BLOCK.findall(text)
    for label, body in blocks:
        if label == "PUBLIC KEY" and len(blocks) == 1:
            return _from_base64("".join(body.split()), forms=_PUBLIC_FORMS)
        if label.endswith("PRIVATE KEY"):
            raise Sm2KeyError(
                "this is a private key, which no platform hands out; its public key comes from "
                "`openssl pkey -in KEY -pubout`"
            )
        if label.endswith("CERTIFICATE"):
            raise Sm2KeyError(
                "this is a certificate; its public key comes from `openssl x509 -in FILE -noout "
                "-pubkey`"
            )
    raise Sm2KeyError(f"the PEM text does not hold exactly one PUBLIC KEY; {_PUBLIC_FORMS}")


def _private_key_of_pem(text: str) -> PrivateKey:
    if "ENCRYPTED" in text:
        raise Sm2KeyError(f"the private key is encrypted; {_PRIVATE_FORMS}")
    # `openssl ecparam -genkey` puts a block with the curve in front, by more than one name.
    blocks = [
        (label, body)
        for label, body in _PEM_BLOCK.findall(text)
        if not label.endswith(" PARAMETERS")
    ]
    if len(blocks) != 1 or blocks[0][0] not in {"PRIVATE KEY", "EC PRIVATE KEY"}:
        raise Sm2KeyError(f"the PEM text does not hold exactly one private key; {_PRIVATE_FORMS}")
    label, body = blocks[0]
    data = _from_base64("".join(body.split()), forms=_PRIVATE_FORMS)
    try:
        if label == "EC PRIVATE KEY":
            return _private_key_of_sec1(data)
        members = der.read_all(der.read_one(data, tag=der.SEQUENCE))
        if [tag for tag, _ in members[:3]] != [der.INTEGER, der.SEQUENCE, der.OCTET_STRING]:
            raise Sm2KeyError(f"the DER is not PKCS#8; {_PRIVATE_FORMS}")
        _check_algorithm(members[1][1])
        return _private_key_of_sec1(members[2][1])
    except der.DerError as error:
        raise Sm2KeyError(f"the private key is not DER: {error}; {_PRIVATE_FORMS}") from None


def _private_key_of_sec1(data: bytes) -> PrivateKey:
    members = der.read_all(der.read_one(data, tag=der.SEQUENCE))
    if [tag for tag, _ in members[:2]] != [der.INTEGER, der.OCTET_STRING]:
        raise Sm2KeyError(f"the DER is not an EC private key; {_PRIVATE_FORMS}")
    key = PrivateKey(number=int.from_bytes(members[1][1], "big"))
    for tag, contents in members[2:]:
        if tag == der.CONTEXT_0:
            _check_curve(der.read_one(contents, tag=der.OBJECT_IDENTIFIER))
        elif tag == der.CONTEXT_1:
            point = _point_of_bit_string(der.read_one(contents, tag=der.BIT_STRING))
            if point != key.public_key.point:
                raise Sm2KeyError("the private key and the public key in the file are no pair")
    return key


def _algorithm() -> bytes:
    return der.write(
        der.SEQUENCE,
        der.write(der.OBJECT_IDENTIFIER, _EC_PUBLIC_KEY),
        der.write(der.OBJECT_IDENTIFIER, _SM2_CURVE),
    )


def _bit_string(point: Point) -> bytes:
    return der.write(der.BIT_STRING, b"\x00", _UNCOMPRESSED, point.to_bytes())


def _from_base64(compact: str, *, forms: str) -> bytes:
    try:
        return base64.b64decode(compact, validate=True)
    except (binascii.Error, ValueError):
        raise Sm2KeyError(
            f"{len(compact)} characters that are neither hex nor base64; {forms}"
        ) from None


def _to_pem(data: bytes, *, label: str) -> str:
    text = base64.b64encode(data).decode("ascii")
    lines = [text[start : start + 64] for start in range(0, len(text), 64)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""])
