"""The hash SM3 (GM/T 0004, GB/T 32905)."""

from __future__ import annotations

import hashlib

DIGEST_BYTES = 32


def digest(data: bytes) -> bytes:
    """Return the 32 bytes of SM3 over `data`."""
    try:
        return hashlib.new("sm3", data).digest()
    except ValueError:
        # Some builds of OpenSSL leave SM3 out, and some policies forbid it.
        return digest_without_openssl(data)


def digest_without_openssl(data: bytes) -> bytes:
    """Return the same by gmssl's Python: about 2.5 s for each MiB, so for short texts alone."""
    from gmssl import sm3

    return bytes.fromhex(sm3.sm3_hash(list(data)))
