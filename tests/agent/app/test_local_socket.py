"""The socket behind `computility-agent status`."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from agent.app.local_socket import LocalSocketServer, read_status
from agent.errors import PermanentError, TransientError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "agent.sock"


def serve(path: Path, document=lambda: {"version": "1"}) -> LocalSocketServer:
    server = LocalSocketServer(path, document=document)
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
        import threading

        def answer():
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"SSH-2.0-hello\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(TransientError, match="is no agent"):
            read_status(path)
        thread.join(5)
