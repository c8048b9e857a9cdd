"""Which part of a file an answer holds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.transport.content_range import (
    ContentRange,
    parse_content_range,
    parse_length,
    strong_validator,
)

NUMBERS = st.integers(min_value=0, max_value=10**17)


@given(first=NUMBERS, length=st.integers(1, 10**9), more=st.none() | st.integers(0, 10**9))
def test_what_was_written_is_read(first, length, more):
    last = first + length - 1
    total = None if more is None else last + 1 + more
    text = f"bytes {first}-{last}/{'*' if total is None else total}"
    assert parse_content_range(text) == ContentRange(first=first, last=last, total_bytes=total)


@given(text=st.text(max_size=40) | st.text(alphabet="bytes 0123456789-/*", max_size=40))
def test_nothing_that_is_read_contradicts_itself(text):
    part = parse_content_range(text)
    if part is None or part.first is None:
        return
    assert part.last is not None
    assert 0 <= part.first <= part.last
    assert part.total_bytes is None or part.last < part.total_bytes


@pytest.mark.parametrize(
    "text",
    ["", "bytes", "bytes 5-4/9", "bytes 0-9/9", "bytes */*", "bytes ٣-٤/٩", "items 0-1/2",
     "bytes 0-1/2, bytes 3-4/5", "bytes -1-2/3", "bytes 0-" + "9" * 19 + "/*"],
)  # fmt: skip
def test_nonsense_is_no_part(text):
    assert parse_content_range(text) is None


def test_a_length_without_a_part_is_read():
    assert parse_content_range("bytes */7") == ContentRange(first=None, last=None, total_bytes=7)


@pytest.mark.parametrize(("text", "length"), [(None, None), ("7", 7), (" 7 , 7", 7)])
def test_a_length_is_read(text, length):
    assert parse_length(text) == length


@pytest.mark.parametrize("text", ["", "x", "-1", "7, 8", "1e3", "٣", "9" * 30])
def test_a_length_without_sense_is_refused(text):
    with pytest.raises(ValueError):
        parse_length(text)


@pytest.mark.parametrize(
    ("etag", "kept"),
    [('"a"', '"a"'), ('W/"a"', None), ("a", None), (None, None), ('"a\r\nX: y"', None)],
)
def test_only_a_strong_tag_promises_the_same_bytes(etag, kept):
    assert strong_validator(etag) == kept
