"""DES in CBC mode (RFC 3414, section 8), for devices that offer nothing better."""

from __future__ import annotations

import secrets
from typing import Any

from Cryptodome.Cipher import DES
from puresnmp.plugins.priv import EncryptionResult

IDENTIFIER = "computility-des"
IANA_ID = 2

_BLOCK_BYTES = 8


def encrypt_data(
    localised_key: bytes, engine_id: bytes, engine_boots: int, engine_time: int, data: bytes
) -> EncryptionResult:
    """Return the encrypted data and the salt that it took (8.1.1.1)."""
    del engine_id, engine_time
    salt = engine_boots.to_bytes(4, "big") + secrets.token_bytes(4)
    padded = data + bytes(-len(data) % _BLOCK_BYTES)
    return EncryptionResult(_cipher(localised_key, salt=salt).encrypt(padded), salt)


def decrypt_data(
    localised_key: bytes,
    engine_id: bytes,
    engine_boots: int,
    engine_time: int,
    salt: bytes,
    data: bytes,
) -> bytes:
    """Return the data in clear, padding and all (8.1.1.3)."""
    del engine_id, engine_boots, engine_time
    plain: bytes = _cipher(localised_key, salt=salt).decrypt(data)
    return plain


def _cipher(key: bytes, *, salt: bytes) -> Any:
    if len(salt) != _BLOCK_BYTES:
        raise ValueError(f"a salt of {len(salt)} bytes")
    before = key[_BLOCK_BYTES : 2 * _BLOCK_BYTES]
    start = bytes(one ^ other for one, other in zip(salt, before, strict=True))
    return DES.new(key[:_BLOCK_BYTES], DES.MODE_CBC, iv=start)  # noqa: S304 - the operator's choice
