"""The centre's interface, as far as listening shows it."""

from __future__ import annotations

import os
import socket

import pytest

from agent.app.doctor import centre_api
from agent.app.doctor.check import State
from agent.config.centre_settings import CentreSettings


@pytest.fixture
def listener():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        one.listen()
        yield one


def examine(port, *, status):
    settings = CentreSettings(listen=f"127.0.0.1:{port}", users=())
    return centre_api.check(settings, status=status).look()


def test_an_agent_that_listens_is_good(listener):
    port = listener.getsockname()[1]
    status = {"pid": os.getpid(), "query_api": f"127.0.0.1:{port}"}
    assert examine(port, status=status).state is State.OK


def test_a_port_of_another_process_is_told(listener):
    port = listener.getsockname()[1]
    found = examine(port, status={"pid": 1, "query_api": f"127.0.0.1:{port}"})
    assert (found.state, "not to the agent" in found.found) == (State.FAILED, True)
    assert examine(port, status=None).state is State.FAILED


def test_an_agent_that_does_not_listen_is_told():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    assert examine(port, status={"pid": 1, "query_api": None}).state is State.FAILED
    assert examine(port, status=None).state is State.SKIPPED
