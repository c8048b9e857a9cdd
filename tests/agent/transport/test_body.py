"""Bodies of answers: what they may cost."""

from __future__ import annotations

import gzip
import io
import tracemalloc

import pytest

from agent.errors import TransientError
from agent.transport.body import read_body


class Raw:
    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    def read(self, amt=None, decode_content=None) -> bytes:
        assert decode_content is False
        return self._file.read(amt)


def test_a_bomb_is_never_held_in_memory():
    bomb = gzip.compress(b"\x00" * 50_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(TransientError, match="longer than 1000 bytes"):
            read_body(Raw(bomb), encoding="gzip", max_bytes=1000)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 1_000_000


@pytest.mark.parametrize("encoding", ["", "identity", "gzip"])
def test_a_body_of_exactly_the_limit_is_taken(encoding):
    data = b"x" * 1000
    packed = gzip.compress(data) if encoding == "gzip" else data
    assert read_body(Raw(packed), encoding=encoding, max_bytes=1000) == data
