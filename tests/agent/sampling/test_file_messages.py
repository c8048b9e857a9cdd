"""How a recording crosses between two processes that do not believe each other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import ReadingUnavailable
from agent.sampling import child_messages, file_messages
from agent.sampling.file_messages import ReceivedFiles

names = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,119}", fullmatch=True)


def carried(files):
    received = ReceivedFiles()
    for piece in file_messages.pieces(files):
        line = child_messages.encode_line({"kind": file_messages.FILE, **piece})
        received.add(child_messages.decode_line(line))
    return received.files()


@given(st.dictionaries(names, st.text(st.characters()), max_size=5))
def test_files_arrive_as_they_were_sent(files):
    assert carried(files) == files


@pytest.mark.parametrize("character", ["x", "板", "\U0001f600", "\ud800", "\n", '"'])
def test_a_file_longer_than_a_line_travels_in_pieces(character):
    files = {"long.txt": character * 300_000, "empty.txt": "", "index.json": "{}"}
    assert carried(files) == files


@pytest.mark.parametrize(
    "name", ["", "..", ".hidden", "../up", "a/b", "/etc/passwd", "a\\b", "a\n", "é", "x" * 121, 7]
)
def test_a_name_that_could_leave_its_folder_is_refused(name):
    assert not file_messages.is_file_name(name)
    with pytest.raises(ReadingUnavailable, match="may not have a file called"):
        ReceivedFiles().add({"name": name, "text": ""})


@pytest.mark.parametrize("text", [None, 7, ["x"], b"x"])
def test_what_is_no_text_is_refused(text):
    with pytest.raises(ReadingUnavailable, match="is not a text"):
        list(file_messages.pieces({"a.txt": text}))
    with pytest.raises(ReadingUnavailable, match="is not a text"):
        ReceivedFiles().add({"name": "a.txt", "text": text})


def test_too_much_is_refused_by_who_sends_and_by_who_receives():
    half = "x" * (file_messages.MAX_CHARACTERS // 2)
    assert carried({"a": half, "b": half}) == {"a": half, "b": half}
    with pytest.raises(ReadingUnavailable, match="at most"):
        list(file_messages.pieces({"a": half, "b": half, "c": "x"}))
    received = ReceivedFiles()
    received.add({"name": "a", "text": half + half})
    with pytest.raises(ReadingUnavailable, match="at most"):
        received.add({"name": "a", "text": "x"})


def test_too_many_are_refused():
    with pytest.raises(ReadingUnavailable, match="at most 512 files"):
        list(file_messages.pieces({f"f{number}": "" for number in range(513)}))
