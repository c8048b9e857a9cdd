"""A package that is handed to the running agent, by a command."""

from __future__ import annotations

import os
import re
import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from agent.app.local_client import ask
from agent.app.local_socket import LocalSocketServer
from agent.app.workloads import package_pushing, questions
from agent.errors import NotFoundError, PermanentError, TransientError
from agent.model.workloads import Digests
from tests.agent.app.workload_home import Home, package
from tests.file_server import FileServer

NOTHING = Digests()


@pytest.fixture
def home(tmp_path):
    one = Home(tmp_path)
    one.start()
    yield one
    one.stop()


@pytest.fixture
def socket(home, tmp_path):
    path = tmp_path / "agent.sock"
    server = LocalSocketServer(
        path, answers=questions.answers(lambda: home.workloads, are_wanted=lambda: True)
    )
    server.start()
    yield path
    server.stop(timeout_seconds=5)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "person.tar"
    path.write_bytes(package())
    return path


def open_files():
    return len(list(Path("/proc/self/fd").iterdir()))


def test_an_id_has_code_local_time_and_a_number():
    noon = datetime(2026, 1, 1, 12, 0, 5, tzinfo=timezone.utc)
    zone = timezone(timedelta(hours=8))
    made = {package_pushing.package_id("1" * 20, now=noon, zone=zone) for _ in range(20)}
    assert all(re.fullmatch(r"1{20}20260101200005\d{6}", each) for each in made)
    # Two packages of one second do not replace each other.
    assert len(made) > 1


def test_a_file_is_in_force_on_return(home, socket, file):
    shown = []
    pushed = package_pushing.push_file(
        socket, file, package_id="p", digests=NOTHING, progress=lambda *seen: shown.append(seen)
    )
    assert (pushed["package_id"], pushed["state"]) == ("p", "ready")
    assert all(ratio is not None and 0 <= ratio <= 1 for ratio, _ in shown)


def test_progress_is_told_while_the_agent_reads(tmp_path, file):
    """The agent reads half of it, and goes on once that was shown."""
    size = file.stat().st_size
    was_shown = threading.Event()

    def read(asked):
        asked.file.read(size // 2)
        asked.file.seek(size // 2)
        assert was_shown.wait(30)
        return {"state": "ready"}

    server = LocalSocketServer(tmp_path / "s", answers={questions.PUSH_PACKAGE: read})
    server.start()
    try:

        def progress(ratio, trouble):
            if ratio == size // 2 / size:
                was_shown.set()

        package_pushing.push_file(
            tmp_path / "s", file, package_id="p", digests=NOTHING, progress=progress
        )
    finally:
        server.stop(timeout_seconds=5)


def test_what_is_no_file_is_said_before_anybody_is_asked(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    before = open_files()
    for path, says in (
        (tmp_path, "is no file"),
        (tmp_path / "pipe", "is no file"),
        (tmp_path / "missing", "No such file"),
    ):
        with pytest.raises(PermanentError, match=says):
            package_pushing.push_file(
                tmp_path / "none", path, package_id="p", digests=NOTHING, progress=lambda *_: None
            )
    assert open_files() == before


def test_without_an_agent_that_is_said(tmp_path, file):
    before = threading.active_count()
    with pytest.raises(TransientError, match="no agent answers"):
        package_pushing.push_file(
            tmp_path / "none", file, package_id="p", digests=NOTHING, progress=lambda *_: None
        )
    assert threading.active_count() == before


def test_a_url_is_waited_for(socket):
    server = FileServer(package())
    shown = []
    try:
        pushed = package_pushing.push_url(
            socket,
            server.url,
            package_id="p",
            digests=NOTHING,
            progress=lambda *seen: shown.append(seen),
        )
    finally:
        server.close()
    assert (pushed["state"], pushed["name"]) == ("ready", "person-structure")
    assert shown[0] == (None, None)


def test_without_waiting_it_is_only_noted(home, socket):
    server = FileServer(package())
    server.drip(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b"x")
    try:
        pushed = package_pushing.push_url(
            socket, server.url, package_id="p", digests=NOTHING, progress=None
        )
        assert pushed["state"] == "downloading"
    finally:
        server.close()


def test_a_download_that_failed_says_why(socket):
    server = FileServer(b"no package at all")
    try:
        with pytest.raises(PermanentError, match="package p failed: "):
            package_pushing.push_url(
                socket, server.url, package_id="p", digests=NOTHING, progress=lambda *_: None
            )
    finally:
        server.close()


def test_one_that_is_deleted_meanwhile_is_not_waited_for(home, socket):
    server = FileServer(package())
    server.drip(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b"x")

    def progress(ratio, trouble):
        if home.workloads.packages.list():
            ask(socket, questions.DELETE_PACKAGE, fields={"package_id": "p"})

    try:
        with pytest.raises(NotFoundError, match="deleted meanwhile"):
            package_pushing.push_url(
                socket, server.url, package_id="p", digests=NOTHING, progress=progress
            )
    finally:
        server.close()
