"""Frames of logs and lines of events, cut anywhere."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import TransientError
from runtimes.docker.exchange import Exchange
from runtimes.docker.streams import Demultiplexer, EventLines, OpenExchanges

frames = st.lists(st.tuples(st.sampled_from([0, 1, 2]), st.binary(max_size=40)), max_size=6)
events = st.lists(
    st.dictionaries(st.text(max_size=5), st.one_of(st.text(max_size=9), st.integers()), max_size=3),
    max_size=5,
)


def framed(parts: list[tuple[int, bytes]]) -> bytes:
    return b"".join(
        bytes([kind, 0, 0, 0]) + len(content).to_bytes(4, "big") + content
        for kind, content in parts
    )


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(places)]


# Frames


def test_a_stream_cut_at_every_byte_is_the_same() -> None:
    parts = [(1, b"out\n"), (2, b""), (2, b"err\n"), (0, b"\x01\0\0\0\0\0\0\x02"), (1, b"x" * 300)]
    data = framed(parts)
    whole = b"".join(content for _, content in parts)

    for cut in range(len(data) + 1):
        reader = Demultiplexer()
        assert b"".join(reader.feed(data[:cut]) + reader.feed(data[cut:])) == whole
    reader = Demultiplexer()
    found = [part for at in range(len(data)) for part in reader.feed(data[at : at + 1])]
    assert b"".join(found) == whole


@given(parts=frames, cuts=st.lists(st.integers(min_value=0), max_size=8))
def test_frames_come_out_as_they_went_in(parts: list[tuple[int, bytes]], cuts: list[int]) -> None:
    reader = Demultiplexer()
    found = [part for piece in pieces(framed(parts), cuts) for part in reader.feed(piece)]
    assert b"".join(found) == b"".join(content for _, content in parts)


def test_a_frame_of_four_gigabytes_is_passed_on_as_it_comes() -> None:
    reader = Demultiplexer()
    assert reader.feed(b"\x01\0\0\0\xff\xff\xff\xff" + b"begin") == [b"begin"]
    assert reader.feed(b"more") == [b"more"]


@pytest.mark.parametrize("head", [b"\x03\0\0\0", b"\x01\0\x01\0", b"HTTP"])
def test_what_is_not_in_frames_is_refused(head: bytes) -> None:
    with pytest.raises(ValueError, match="frames"):
        Demultiplexer().feed(head + b"\0\0\0\x01x")


@given(data=st.binary(max_size=60))
def test_garbage_is_refused_or_passed_on_never_more_than_came(data: bytes) -> None:
    try:
        found = Demultiplexer().feed(data)
    except ValueError:
        return
    assert sum(map(len, found)) <= len(data)


# Events


@given(told=events, cuts=st.lists(st.integers(min_value=0), max_size=8))
def test_events_come_out_as_they_went_in(told: list[dict[str, object]], cuts: list[int]) -> None:
    data = b"".join(json.dumps(event).encode() + b"\n" for event in told)
    lines = EventLines()
    assert [event for piece in pieces(data, cuts) for event in lines.feed(piece)] == told


def test_garbage_between_events_is_left_out() -> None:
    lines = EventLines()
    garbage = [b"\xff\xfe", b"[1, 2]", b"", b"null", b"{", b"[" * 50000, b"1" * 5000]
    data = b'{"a": 1}\n' + b"\n".join(garbage) + b'\n{"b": 2}\n'
    assert lines.feed(data) == [{"a": 1}, {"b": 2}]


def test_a_line_without_end_is_refused_before_it_fills_the_memory() -> None:
    lines = EventLines()
    for _ in range(16):
        assert lines.feed(b"x" * 65536) == []

    with pytest.raises(ValueError, match="no end"):
        lines.feed(b"x" * 65536)


# What is under way


def test_nothing_is_begun_after_the_end() -> None:
    under_way = OpenExchanges()
    under_way.add(first := Exchange("unix:///nowhere", timeout_seconds=1))
    under_way.close()

    with pytest.raises(TransientError, match="closed"):
        first.open("GET", "/_ping", parameters={})
    with pytest.raises(TransientError):
        under_way.add(Exchange("unix:///nowhere", timeout_seconds=1))
