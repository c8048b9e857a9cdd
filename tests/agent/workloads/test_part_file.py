"""Files on their way in."""

from __future__ import annotations

import hashlib
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import NoRoomError, TransientError
from agent.model.clock import SystemClock
from agent.model.workloads import Digests
from agent.workloads import part_file
from agent.workloads.part_file import PartFile

ALL = Digests(md5="0" * 32, sha256="0" * 64)


def open_part(path, *, kept_bytes=0, digests=ALL, on_synced=lambda _: None, check=lambda: None):
    return PartFile(
        path,
        kept_bytes=kept_bytes,
        digests=digests,
        clock=SystemClock(),
        on_synced=on_synced,
        check=check,
    )


def expected(content):
    return {
        "md5": hashlib.md5(content).hexdigest(),
        "sha256": hashlib.sha256(content).hexdigest(),
    }


@given(
    pieces=st.lists(st.binary(max_size=50), max_size=8), kept=st.integers(0, 400), rest=st.binary()
)
def test_what_was_kept_and_what_came_give_file_and_digests(tmp_path_factory, pieces, kept, rest):
    path = tmp_path_factory.mktemp("part") / "a.part"
    with open_part(path) as part:
        for piece in pieces:
            part.write(piece)
        content = b"".join(pieces)
        assert part.digests() == expected(content)
    with open_part(path, kept_bytes=kept) as part:
        content = content[:kept]
        assert part.size_bytes == len(content)
        part.write(rest)
        part.sync()
        assert part.digests() == expected(content + rest)
        assert path.read_bytes() == content + rest
        part.restart()
        part.write(rest)
        assert part.digests() == expected(rest)
    assert path.read_bytes() == rest


def test_nothing_is_told_to_be_on_the_disk_before_it_was_written(tmp_path, monkeypatch):
    monkeypatch.setattr(part_file, "_SYNC_BYTES", 1)
    path, told, wrong = tmp_path / "a.part", [], []

    def synced(size_bytes):
        if path.stat().st_size < size_bytes:
            wrong.append(size_bytes)
        told.append(size_bytes)

    with open_part(path, on_synced=synced) as part:
        for _ in range(50):
            part.write(b"x" * 1000)
        part.sync()
    assert wrong == []
    assert told == sorted(told)
    assert told[-1] == 50_000


def test_the_row_is_told_before_what_it_speaks_of_goes(tmp_path):
    path = tmp_path / "a.part"
    told = []
    with open_part(path, on_synced=lambda size: told.append((size, path.stat().st_size))) as part:
        part.write(b"x" * 10)
        part.sync()
        part.restart()
    assert told == [(10, 10), (0, 10)]


def test_a_sync_that_fails_beside_ends_the_next_write(tmp_path, monkeypatch):
    monkeypatch.setattr(part_file, "_SYNC_BYTES", 1)
    asked = threading.Event()

    def fail(_):
        asked.set()
        raise NoRoomError("full")

    with open_part(tmp_path / "a.part", on_synced=fail) as part:
        part.write(b"x")
        asked.wait(20)
        with pytest.raises(NoRoomError):
            part.sync()
        assert part.size_bytes == 1


def test_reading_again_can_be_ended(tmp_path):
    path = tmp_path / "a.part"
    path.write_bytes(b"x" * 100)

    def check():
        raise TransientError("the agent stops")

    with pytest.raises(TransientError, match="stops"):
        open_part(path, kept_bytes=100, check=check)


def test_a_folder_that_is_not_there_is_said_in_words(tmp_path):
    with pytest.raises(TransientError, match="No such file"):
        open_part(tmp_path / "none" / "a.part")


def test_nobody_else_may_read_a_package(tmp_path):
    with open_part(tmp_path / "a.part") as part:
        assert part.path.stat().st_mode & 0o777 == 0o600
