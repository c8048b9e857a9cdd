"""The commands `register` and `unregister` where no platform answers."""

from __future__ import annotations

import socket

import pytest

BOTH = pytest.mark.parametrize("command", ["register", "unregister"])


@pytest.fixture
def nobody():
    """Return the URL of a port on which nobody listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{unused.getsockname()[1]}"


@BOTH
def test_a_platform_that_the_file_does_not_name_is_bad_input(operator, command):
    path = operator.configure({}, {"name": "region", "url": "https://region.example"})
    asked = operator(command, "city", "regoin", "--config", path)
    assert (asked.status, asked.out) == (2, "")
    assert asked.err == (
        "computility-agent: there is no platform called regoin; the configuration has city, "
        "region\n"
    )


@BOTH
def test_a_file_without_platforms_says_what_to_add(operator, command):
    asked = operator(command, "--config", operator.configure())
    assert (asked.status, asked.out) == (1, "")
    assert "add an acsmp section" in asked.err


@BOTH
def test_a_platform_that_is_down_ends_with_1(operator, command, nobody):
    asked = operator(command, "--config", operator.configure({"url": nobody}))
    assert (asked.status, asked.out) == (1, "")
    assert asked.complaints == [
        f"city: {nobody.removeprefix('http://')} refused the connection: nothing listens there"
    ]


def test_a_key_file_that_is_none_is_named(operator, nobody):
    (operator.folder / "city.pem").write_text("garbage")
    asked = operator("register", "--config", operator.configure({"url": nobody}))
    assert (asked.status, asked.out) == (1, "")
    assert asked.complaints[0].startswith(f"city: {operator.folder / 'city.pem'}: ")


def test_a_certificate_that_is_none_is_named(operator):
    path = operator.configure({"ca_file": "city.pem"})
    asked = operator("register", "--config", path)
    assert (asked.status, asked.out) == (1, "")
    assert str(operator.folder / "city.pem") in asked.err


def test_a_port_that_only_the_running_agent_knows_is_never_sent(operator, nobody):
    path = operator.configure(
        {"url": nobody}, device_api={"listen": "127.0.0.1:0", "password_file": "password"}
    )
    asked = operator("register", "--config", path)
    assert (asked.status, asked.out) == (1, "")
    assert "device_api.listen ends in :0" in asked.err
