"""What the service manager is told."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from agent.app.notify import ServiceNotifier


@pytest.fixture
def manager(tmp_path: Path):
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(os.fspath(path))
        receiver.settimeout(5)
        yield receiver, os.fspath(path)


def test_states_reach_the_service_manager(manager):
    receiver, path = manager
    notifier = ServiceNotifier({"NOTIFY_SOCKET": path})
    notifier.ready("serving")
    assert receiver.recv(4096) == b"READY=1\nSTATUS=serving"
    notifier.watchdog()
    assert receiver.recv(4096) == b"WATCHDOG=1"
    notifier.stopping()
    assert receiver.recv(4096) == b"STOPPING=1"


def test_a_reload_carries_the_monotonic_time_that_systemd_asks_for(manager):
    receiver, path = manager
    ServiceNotifier({"NOTIFY_SOCKET": path}).reloading()
    first, second = receiver.recv(4096).decode().splitlines()
    assert first == "RELOADING=1"
    assert second.startswith("MONOTONIC_USEC=")
    assert int(second.partition("=")[2]) > 0


def test_an_abstract_socket_is_understood():
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.settimeout(5)
        name = f"computility-agent-test-{os.getpid()}"
        receiver.bind("\0" + name)
        ServiceNotifier({"NOTIFY_SOCKET": "@" + name}).watchdog()
        assert receiver.recv(4096) == b"WATCHDOG=1"


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "relative"}])
def test_without_a_service_manager_nothing_happens(environment):
    ServiceNotifier(environment).ready("serving")


def test_a_service_manager_that_went_away_is_no_fault(tmp_path: Path):
    ServiceNotifier({"NOTIFY_SOCKET": os.fspath(tmp_path / "gone")}).watchdog()


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "60000000"}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid())}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_is_meant_for_this_process_alone(environment, expected):
    assert ServiceNotifier(environment).watchdog_seconds == expected
