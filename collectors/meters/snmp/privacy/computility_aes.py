"""AES-128 in CFB mode (RFC 3826), as a module of puresnmp's plugins."""

from __future__ import annotations

import secrets
from typing import Any

from Cryptodome.Cipher import AES
from puresnmp.plugins.priv import EncryptionResult

IDENTIFIER = "computility-aes"
IANA_ID = 4

_KEY_BYTES = 16
_SALT_BYTES = 8
_SEGMENT_BITS = 128


def encrypt_data(
    localised_key: bytes, engine_id: bytes, engine_boots: int, engine_time: int, data: bytes
) -> EncryptionResult:
    """Return the encrypted data and the salt that it took (3.1.3)."""
    del engine_id
    salt = secrets.token_bytes(_SALT_BYTES)
    cipher = _cipher(localised_key, boots=engine_boots, seconds=engine_time, salt=salt)
    return EncryptionResult(cipher.encrypt(data), salt)


def decrypt_data(
    localised_key: bytes,
    engine_id: bytes,
    engine_boots: int,
    engine_time: int,
    salt: bytes,
    data: bytes,
) -> bytes:
    """Return the data in clear (3.1.4)."""
    del engine_id
    plain: bytes = _cipher(
        localised_key, boots=engine_boots, seconds=engine_time, salt=salt
    ).decrypt(data)
    return plain


def _cipher(key: bytes, *, boots: int, seconds: int, salt: bytes) -> Any:
    if len(salt) != _SALT_BYTES:
        raise ValueError(f"a salt of {len(salt)} bytes")
    start = boots.to_bytes(4, "big") + seconds.to_bytes(4, "big") + salt
    # Not padded: a whole segment is what the library asks for, and CFB needs none of the data.
    return AES.new(key[:_KEY_BYTES], AES.MODE_CFB, iv=start, segment_size=_SEGMENT_BITS)
