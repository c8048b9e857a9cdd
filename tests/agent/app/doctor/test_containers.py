"""The docker engine, and sockets that only look like one."""

from __future__ import annotations

import socket
import threading

import pytest

from agent.app.doctor import containers, runner
from agent.app.doctor.accounts import Account, own_account
from agent.app.doctor.check import State
from agent.config.settings import RuntimeSettings
from tests.docker_engine import SOCKET

NOBODY = Account(name="nobody-at-all", user_id=54321, group_ids=frozenset())


def examine(clock, *, account=None, **settings):
    chain = containers.chain(RuntimeSettings(**settings), account=account or own_account())
    return runner.run([chain], clock=clock)


@pytest.mark.docker
def test_the_engine_of_this_machine_answers(clock, docker_engine):
    results = examine(clock, socket=SOCKET)
    assert [each.state for each in results][:2] == [State.OK, State.OK], results
    assert "API 1." in results[1].found
    assert results[2].found.startswith("version ")


@pytest.mark.docker
def test_who_may_not_use_the_socket_is_told_what_it_takes(clock, docker_engine):
    results = examine(clock, socket=SOCKET, account=NOBODY)
    assert results[0].state is State.WARNING
    assert "as good as root" in results[0].advice


def test_a_user_who_may_not_ask_the_engine_is_told_to_be_root(clock, tmp_path, monkeypatch):
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        monkeypatch.setattr(containers.os, "access", lambda *_: False)
        results = examine(clock, socket=f"unix://{path}")
    assert (results[1].state, "as root" in results[1].found) == (State.SKIPPED, True)


def test_a_node_without_services_needs_no_engine(clock):
    assert {each.state for each in examine(clock, kind="none")} == {State.SKIPPED}


def test_an_engine_that_is_not_there_is_a_warning(clock, tmp_path):
    results = examine(clock, socket=f"unix://{tmp_path}/docker.sock")
    assert [each.state for each in results] == [State.WARNING, State.SKIPPED, State.SKIPPED]


def test_a_file_is_no_socket(clock, tmp_path):
    (tmp_path / "docker.sock").write_text("")
    results = examine(clock, socket=f"unix://{tmp_path}/docker.sock")
    assert [each.state for each in results] == [State.FAILED, State.SKIPPED, State.SKIPPED]


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-hello\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnope",
        b"HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\n{}",
        b"",
    ],
)
def test_what_is_no_engine_is_told(clock, tmp_path, answer):
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve():
            peer, _ = listener.accept()
            with peer:
                peer.recv(4096)
                peer.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        results = examine(clock, socket=f"unix://{path}")
        thread.join(20)
    assert results[1].state is State.FAILED
    assert "systemctl status docker" in results[1].advice


def test_limits_that_the_kernel_lacks_are_named():
    found = containers.judge_limits(
        {"CgroupVersion": "2", "CgroupDriver": "systemd", "MemoryLimit": False, "PidsLimit": True}
    )
    assert (found.state, found.found) == (
        State.WARNING,
        "version 2, driver systemd; no limits on memory",
    )
    assert containers.judge_limits({"CgroupDriver": "none"}).state is State.WARNING
    assert containers.judge_limits({"CgroupDriver": "cgroupfs"}).state is State.OK


def test_podman_is_known_by_its_name():
    found = containers.judge_version(
        {"Version": "4.3.1", "ApiVersion": "1.41", "Components": [{"Name": "Podman Engine"}]}
    )
    assert found.found.startswith("podman 4.3.1, API 1.41")
