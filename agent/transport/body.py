"""Reads the body of an answer and never holds more of it than the limit."""

from __future__ import annotations

import zlib
from typing import Protocol

from agent.errors import TransientError

_PIECE_BYTES = 65536
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS


class RawAnswer(Protocol):
    """Is what a body is read from."""

    def read(self, amt: int | None = ..., decode_content: bool | None = ...) -> bytes:  # noqa: FBT001
        """Return some bytes, b"" at the end."""


def read_body(raw: RawAnswer, *, encoding: str, max_bytes: int) -> bytes:
    """Return the whole body, decompressed; more than `max_bytes` raises TransientError.

    Nothing compressed is asked for, but some servers compress all the same. The count is of what
    comes out, so a few compressed bytes cannot fill the memory.
    """
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        unpacker = None
    elif encoding in ("gzip", "x-gzip", "deflate"):
        unpacker = zlib.decompressobj(_GZIP_OR_ZLIB)
    else:
        raise TransientError(f"the answer is encoded in a way that was not asked for: {encoding!r}")
    body = bytearray()
    while piece := raw.read(_PIECE_BYTES, decode_content=False):
        if unpacker is None:
            body += piece
        elif not unpacker.eof:
            body += unpacker.decompress(piece, max_bytes + 1 - len(body))
        if len(body) > max_bytes:
            raise TransientError(f"the answer is longer than {max_bytes} bytes")
    if unpacker is not None and not unpacker.eof:
        raise TransientError("the compressed answer ends too early")
    return bytes(body)
