"""The arithmetic of ranges."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.simulator.byte_ranges import UnsatisfiableRange, parse_range

SIZES = st.integers(0, 2**50)


@given(SIZES, SIZES, SIZES)
def test_a_range_is_the_slice_that_it_names(first: int, more: int, size: int) -> None:
    header = f"bytes={first}-{first + more}"
    if first >= size:
        with pytest.raises(UnsatisfiableRange):
            parse_range(header, size_bytes=size)
        return
    expected = range(size)[first : first + more + 1]
    assert parse_range(header, size_bytes=size) == (expected.start, len(expected))


@given(st.integers(0, 300), st.integers(0, 300))
def test_open_ends_mean_the_rest_and_the_last(count: int, size: int) -> None:
    content = range(size)
    for header, expected in (
        (f"bytes={count}-", content[count:]),
        (f"bytes=-{count}", content[max(0, size - count) :]),
    ):
        if not expected:
            with pytest.raises(UnsatisfiableRange):
                parse_range(header, size_bytes=size)
        else:
            assert parse_range(header, size_bytes=size) == (expected.start, len(expected))


@given(st.text())
def test_whatever_is_no_range_is_ignored(text: str) -> None:
    try:
        part = parse_range(text, size_bytes=1000)
    except UnsatisfiableRange:
        assert text.strip().startswith("bytes=")
    else:
        assert part is None or 0 <= part[0] < part[0] + part[1] <= 1000


@pytest.mark.parametrize("header", [None, "", "bytes=-", "bytes=5-4", "bytes=0-1,3-4", "lines=1-2"])
def test_the_whole_file_is_sent_for_these(header: str | None) -> None:
    assert parse_range(header, size_bytes=100) is None
