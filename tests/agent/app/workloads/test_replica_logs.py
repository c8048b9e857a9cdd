"""The end of what a replica printed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.app.workloads.replica_logs import MAXIMUM_BYTES, tail


def test_what_fits_is_whole():
    assert tail([b"a\nb", b"c\n"], maximum_bytes=5) == b"a\nbc\n"
    assert tail([], maximum_bytes=5) == b""


def test_what_is_too_long_begins_with_a_whole_line():
    assert tail([b"first\nsecond\nthird\n"], maximum_bytes=9) == b"third\n"


def test_a_line_that_alone_is_too_long_loses_its_beginning():
    assert tail([b"x" * 30 + b"y" * 10], maximum_bytes=10) == b"y" * 10


def test_the_limit_is_a_mebibyte():
    lines = (b"%07d\n" % number for number in range(1_000_000))
    assert len(tail(lines, maximum_bytes=MAXIMUM_BYTES)) <= 1024 * 1024


@given(
    chunks=st.lists(st.text(alphabet="ab\n", max_size=40).map(str.encode), max_size=20),
    maximum_bytes=st.integers(min_value=1, max_value=60),
)
def test_the_end_is_kept_and_nothing_else(chunks, maximum_bytes):
    whole = b"".join(chunks)
    kept = tail(chunks, maximum_bytes=maximum_bytes)
    assert len(kept) <= maximum_bytes
    assert whole.endswith(kept)
    if len(whole) <= maximum_bytes:
        assert kept == whole
    elif b"\n" in whole[-maximum_bytes:]:
        assert kept == b"" or whole[: -len(kept)].endswith(b"\n")
