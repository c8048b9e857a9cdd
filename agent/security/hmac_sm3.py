"""HMAC over SM3 (RFC 2104 with the hash of GM/T 0004; GB/T 15852.2)."""

from __future__ import annotations

from agent.security import sm3

_BLOCK_BYTES = 64
_INNER = bytes(byte ^ 0x36 for byte in range(256))
_OUTER = bytes(byte ^ 0x5C for byte in range(256))


def digest(key: bytes, data: bytes) -> bytes:
    """Return the 32 bytes of HMAC-SM3 over `data`.

    Without SM3 in OpenSSL this is as slow as `sm3.digest_without_openssl`: for short texts alone.
    """
    block = key if len(key) <= _BLOCK_BYTES else sm3.digest(key)
    block = block.ljust(_BLOCK_BYTES, b"\0")
    return sm3.digest(block.translate(_OUTER) + sm3.digest(block.translate(_INNER) + data))
