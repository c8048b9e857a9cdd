"""The command `status` where something else than an agent answers."""

from __future__ import annotations

import json
import socket
import threading

import pytest


@pytest.fixture
def answering(operator):
    """Return a function that answers one question on a socket, and gives its path."""
    path = operator.folder / "stranger.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        listener.settimeout(10)
        threads = []

        def answer(content):
            def serve():
                connection, _ = listener.accept()
                with connection:
                    connection.sendall(content)

            threads.append(threading.Thread(target=serve))
            threads[-1].start()
            return path

        yield answer
        for thread in threads:
            thread.join(10)


def test_no_agent_is_said_with_what_to_look_at(operator):
    asked = operator("status", "--config", operator.configure())
    assert (asked.status, asked.out) == (1, "")
    assert f"no agent answers on {operator.folder}/agent.sock" in asked.err
    assert "is the service running" in asked.err


def test_a_socket_can_be_named_without_a_configuration(operator):
    asked = operator("status", "--socket", operator.folder / "none", "--json")
    assert (asked.status, asked.out) == (1, "")
    assert f"{operator.folder}/none" in asked.err


def test_a_socket_path_of_any_length_is_no_traceback(operator):
    asked = operator("status", "--socket", "/" + "x" * 200)
    assert (asked.status, asked.out) == (1, "")


@pytest.mark.parametrize("form", [[], ["--json"]], ids=["text", "json"])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"SSH-2.0\r\n",
        b"[]",
        b"{}",
        b'{"answer": []}',
        b'{"answer": {}}',
        b'{"answer": {"platforms": 1}}',
        b'{"answer": {"platforms": [{}]}}',
    ],
)
def test_a_stranger_is_no_agent(operator, answering, content, form):
    path = answering(content)
    asked = operator("status", "--socket", path, *form)
    assert asked.status == 1
    assert asked.complaints[0].startswith(f"computility-agent: what answers on {path} is no agent")


@pytest.mark.parametrize(("registered", "status"), [([True], 0), ([True, False], 1), ([], 0)])
def test_the_status_is_1_until_every_platform_holds_us(operator, answering, registered, status):
    platforms = [{"is_registered": each} for each in registered]
    path = answering(json.dumps({"answer": {"platforms": platforms}}).encode())
    asked = operator("status", "--socket", path, "--json")
    assert asked.status == status
    assert asked.document == {"platforms": platforms}


WORKLOADS = {
    "packages": [{"state": "ready"}, {"state": "downloading"}, {"state": "ready"}],
    "services": [{"state": "RUNNING"}],
    "orphans": [{}],
    "unknown": None,
}


@pytest.mark.parametrize(
    ("workloads", "said"),
    [
        (None, "off"),
        ({**WORKLOADS, "unknown": "the disk is damaged"}, "unknown: the disk is damaged"),
        (
            WORKLOADS,
            "packages: 2 ready, 1 downloading; services: 1 RUNNING; 1 containers of another agent",
        ),
        (
            {"packages": [], "services": [], "orphans": None, "unknown": None},
            "packages: none; services: none",
        ),
    ],
    ids=["off", "unknown", "counted", "none"],
)
def test_packages_and_services_are_counted(operator, answering, workloads, said):
    document = {
        "version": "1",
        "pid": 1,
        "uptime_seconds": 5.0,
        "node": {"computility_code": "1", "type": "AI_BOX"},
        "device_api": None,
        "metrics": None,
        "query_api": "127.0.0.1:8124",
        "platforms": [],
        "plugins": [],
        "workloads": workloads,
        "meters": None,
        "operational_sources": [
            {"name": "192.0.2.21:8123", "age_seconds": 3.0, "unknown": None},
            {"name": "192.0.2.22:8123", "age_seconds": None, "unknown": "no answer"},
        ],
        "monitoring": None,
    }
    path = answering(json.dumps({"answer": document}).encode())
    asked = operator("status", "--socket", path)
    assert asked.status == 0
    assert f"workloads    {said}\n" in asked.out
    assert "query api    127.0.0.1:8124\n" in asked.out
    assert "source       192.0.2.21:8123  known\n" in asked.out
    assert "source       192.0.2.22:8123  unknown: no answer\n" in asked.out
