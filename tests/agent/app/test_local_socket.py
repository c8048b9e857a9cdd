"""The socket behind `computility-agent status`."""

from __future__ import annotations

import os
import socket
import stat
import threading
import time
from pathlib import Path

import pytest

from agent.app import local_socket
from agent.app.local_client import ask, read_status
from agent.app.local_socket import STATUS, LocalSocketServer
from agent.errors import PermanentError, RequestError, TransientError

PATIENCE_SECONDS = 30.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "agent.sock"


def serve(path: Path, document=lambda: {"version": "1"}, **answers) -> LocalSocketServer:
    server = LocalSocketServer(path, answers={STATUS: lambda _: document(), **answers})
    server.start()
    return server


def test_the_status_is_read_again_and_again(path):
    counter = iter(range(10))
    server = serve(path, lambda: {"n": next(counter)})
    try:
        assert read_status(path) == {"n": 0}
        assert read_status(path) == {"n": 1}
    finally:
        server.stop(timeout_seconds=5)


def test_only_the_owner_may_ask(path):
    server = serve(path)
    try:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    finally:
        server.stop(timeout_seconds=5)


def test_a_stopped_agent_leaves_no_socket_and_says_so_to_who_asks(path):
    server = serve(path)
    server.stop(timeout_seconds=5)
    server.stop(timeout_seconds=5)
    assert not path.exists()
    with pytest.raises(TransientError, match="no agent answers"):
        read_status(path)


def test_the_socket_of_a_killed_agent_is_replaced(path):
    left_behind = socket.socket(socket.AF_UNIX)
    left_behind.bind(os.fspath(path))
    left_behind.close()
    server = serve(path)
    try:
        assert read_status(path) == {"version": "1"}
    finally:
        server.stop(timeout_seconds=5)


def test_a_second_agent_in_the_same_folder_is_refused(path):
    server = serve(path)
    try:
        with pytest.raises(PermanentError, match="another agent already listens"):
            serve(path)
        assert read_status(path) == {"version": "1"}
    finally:
        server.stop(timeout_seconds=5)


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(PermanentError, match=r"node\.state_dir"):
        serve(blocked / "agent.sock")


def test_a_fault_in_one_status_does_not_silence_the_next(path, caplog):
    answers = iter([ValueError("broken"), {"version": "1"}])

    def document():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    server = serve(path, document)
    try:
        with pytest.raises(TransientError, match="no agent"):
            read_status(path)
        assert read_status(path) == {"version": "1"}
    finally:
        server.stop(timeout_seconds=5)


def test_something_else_on_the_socket_is_told_apart(path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.fspath(path))
        listener.listen(1)

        def answer():
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"SSH-2.0-hello\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(TransientError, match="is no agent"):
            read_status(path)
        thread.join(5)


def test_a_question_brings_its_fields_and_its_file(path, tmp_path):
    (tmp_path / "package.tar").write_bytes(b"content")
    server = serve(path, read=lambda asked: {**asked.fields, "read": asked.file.read().decode()})
    try:
        with (tmp_path / "package.tar").open("rb") as file:
            answer = ask(path, "read", fields={"name": "x" * 200_000}, file=file.fileno())
        assert answer == {"name": "x" * 200_000, "read": "content"}
    finally:
        server.stop(timeout_seconds=5)


def test_who_waits_sees_how_far_the_file_was_read(path, tmp_path):
    (tmp_path / "readings.csv").write_bytes(b"x" * 1000)
    seen = []
    is_seen = threading.Event()

    def read_half(asked):
        os.read(asked.file.fileno(), 500)
        assert is_seen.wait(PATIENCE_SECONDS)
        return {"done": True}

    def look():
        seen.append(os.lseek(file.fileno(), 0, os.SEEK_CUR))
        if seen[-1] == 500:
            is_seen.set()

    server = serve(path, read=read_half)
    try:
        with (tmp_path / "readings.csv").open("rb") as file:
            answer = ask(path, "read", file=file.fileno(), answer_seconds=None, while_waiting=look)
        assert answer == {"done": True}
        assert seen[-1] == 500
    finally:
        server.stop(timeout_seconds=5)


def test_files_of_questions_do_not_pile_up(path):
    server = serve(path)
    try:
        before = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(20):
            with Path("/dev/null").open("rb") as file:
                ask(path, STATUS, file=file.fileno())
        # The answer is here a moment before the connection's thread has ended.
        ends_at = time.monotonic() + PATIENCE_SECONDS
        while len(list(Path("/proc/self/fd").iterdir())) > before:
            assert time.monotonic() < ends_at
            threading.Event().wait(0.01)
    finally:
        server.stop(timeout_seconds=5)


def test_a_folder_in_place_of_a_file_is_refused_in_words(path, tmp_path):
    server = serve(path, read=lambda asked: {"read": asked.file.read()})
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(RequestError, match="no file"):
            ask(path, "read", file=descriptor)
    finally:
        os.close(descriptor)
        server.stop(timeout_seconds=5)


def test_a_question_that_is_too_long_is_refused_in_words(path):
    server = serve(path)
    try:
        with pytest.raises(RequestError, match="too long"):
            ask(path, STATUS, fields={"x": "y" * 2 * local_socket.MAX_QUESTION_BYTES})
    finally:
        server.stop(timeout_seconds=5)


@pytest.mark.parametrize("kind", local_socket.ERROR_KINDS.values())
def test_a_refusal_arrives_as_what_it_was(path, kind):
    def refuse(_):
        raise kind("not so")

    server = serve(path, refuse=refuse)
    try:
        with pytest.raises(kind, match="not so"):
            ask(path, "refuse")
    finally:
        server.stop(timeout_seconds=5)


def test_an_unknown_question_is_refused_in_words(path):
    server = serve(path)
    try:
        with pytest.raises(RequestError, match="same version"):
            ask(path, "dance")
    finally:
        server.stop(timeout_seconds=5)


@pytest.mark.parametrize("line", [b"GET / HTTP/1.1\n", b"[]\n", b"{}\n", b'{"ask":' + b"[" * 90000])
def test_what_is_no_question_costs_nobody_else_anything(path, line):
    server = serve(path)
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(os.fspath(path))
            connection.sendall(line if line.endswith(b"\n") else line + b"\n")
            connection.settimeout(5)
            assert b"no question" in connection.recv(65536)
        assert read_status(path) == {"version": "1"}
    finally:
        server.stop(timeout_seconds=5)


def test_one_long_question_does_not_hold_up_another(path):
    go_on = threading.Event()
    server = serve(path, wait=lambda _: {"done": go_on.wait(10)})
    try:
        answers = []
        thread = threading.Thread(target=lambda: answers.append(ask(path, "wait")))
        thread.start()
        assert read_status(path) == {"version": "1"}
        go_on.set()
        thread.join(10)
        assert answers == [{"done": True}]
    finally:
        server.stop(timeout_seconds=5)
