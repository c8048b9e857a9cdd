"""The parser alone: any bytes, in any pieces."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

from hypothesis import example, given
from hypothesis import strategies as st

from agent.transport.refusals import Refusal
from agent.transport.request_parser import StrictRequestParser

CHUNKED = (
    b"POST /a?b=c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3;e=1\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\nTrailer: t\r\n\r\n"
)
FIXED = b"PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 19\r\n\r\nabc0123456789abcdef"


def parser() -> StrictRequestParser:
    return StrictRequestParser(
        SimpleNamespace(
            max_body_bytes=100,
            max_request_header_size=400,
            max_request_body_size=2**62,
            inbuf_overflow=2**20,
            url_scheme="http",
        )
    )


def feed(pieces: list[bytes]) -> StrictRequestParser:
    reader = parser()
    for piece in pieces:
        rest = piece
        while rest and not reader.completed:
            taken = reader.received(rest)
            assert 0 <= taken <= len(rest)
            assert taken or reader.completed
            rest = rest[taken:]
    return reader


def cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({place % len(data) for place in places} | {0, len(data)})
    return [data[start:end] for start, end in itertools.pairwise(ends)]


@given(whole=st.sampled_from([CHUNKED, FIXED]), places=st.lists(st.integers(0, 1000)))
def test_however_it_is_cut_it_is_the_same_request(whole, places):
    reader = feed(cut(whole, places))
    assert reader.completed
    assert reader.error is None
    assert reader.get_body_stream().read() == b"abc0123456789abcdef"
    assert reader.headers["CONTENT_LENGTH"] == "19"
    reader.close()


TOKENS = st.sampled_from(
    [
        b"GET ", b"POST ", b"/", b"/a", b"http://[", b"//", b"%zz", b" HTTP/1.1", b" HTTP/1.0",
        b"\r\n", b"\r\n\r\n", b"\n", b"\r", b"Host: x", b"Content-Length: ", b"5", b"-1", b"\x00",
        b"Transfer-Encoding: ", b"chunked", b",", b" ", b"\t", b":", b"0", b"ffffffffffffffffff",
        b";a=b", b"Expect: 100-continue", b"Connection: close", b"\xff", b"x" * 150,
    ]
)  # fmt: skip


@given(st.lists(st.lists(TOKENS, min_size=1).map(b"".join) | st.binary(min_size=1)))
@example([b"GET http://[::1/ HTTP/1.1\r\nHost: x\r\n\r\n"])
def test_no_bytes_raise_and_whatever_is_wrong_is_a_refusal(pieces):
    reader = feed(pieces)
    if reader.error is not None:
        assert isinstance(reader.error, Refusal)
        assert reader.completed
        assert not reader.expect_continue
        assert reader.error.status_line
    reader.close()
