"""What the commands read without a running agent."""

from __future__ import annotations

import logging
import socket

from agent.app import once
from agent.config.kinds import RawSection
from agent.config.settings import (
    AcceleratorSettings,
    AcsmpSettings,
    NodeSettings,
    Settings,
)

CODE = "11010800005020000001"


def settings(*urls, node_address="auto", address=None, **more):
    return Settings(
        node=NodeSettings(code=CODE, type="AI_BOX", address=node_address),
        acsmp=tuple(AcsmpSettings(name=f"p{url}", url=url, address=address) for url in urls),
        **more,
    )


def test_the_address_is_the_one_that_routes_to_the_first_platform():
    assert once.own_address(settings("http://127.0.0.1:9", "http://192.0.2.1")) == "127.0.0.1"


def test_a_given_address_is_told_as_written_and_the_platforms_own_comes_first():
    assert once.own_address(settings(node_address="192.0.2.8")) == "192.0.2.8"
    url = "http://127.0.0.1:9"
    assert once.own_address(settings(url, node_address="192.0.2.8")) == "192.0.2.8"
    both = settings(url, node_address="192.0.2.8", address="192.0.2.7")
    assert once.own_address(both) == "192.0.2.7"
    back_to_auto = settings(url, node_address="192.0.2.8", address="auto")
    assert once.own_address(back_to_auto) == "127.0.0.1"


def test_no_platform_or_no_route_is_none(monkeypatch):
    assert once.own_address(settings()) is None

    def fail(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    assert once.own_address(settings("https://nowhere.invalid")) is None


def test_a_broken_plugin_is_returned_and_not_logged(caplog):
    wrong = AcceleratorSettings(
        options=RawSection(
            file="config.yaml",
            key="accelerators.nvidia",
            values={"librari": "x"},
            places={"librari": (3, 5)},
        )
    )
    with caplog.at_level(logging.DEBUG):
        (broken,) = once.broken_plugins(settings(accelerators={"nvidia": wrong}))
    assert (broken.name, broken.detail) == (
        "nvidia",
        'config.yaml:3:5: accelerators.nvidia.librari: unknown setting; did you mean "library"?',
    )
    assert [record for record in caplog.records if "state=" in record.getMessage()] == []
    assert logging.getLogger("agent.sampling.status").level == logging.NOTSET
