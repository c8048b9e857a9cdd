"""Where a device finds the platform."""

from __future__ import annotations

import pytest

from agent.simulator.reachable_url import url_towards


@pytest.mark.parametrize("everywhere", ["0.0.0.0", "[::]"])
def test_everywhere_becomes_the_address_towards_the_device(everywhere: str) -> None:
    url = url_towards(f"http://{everywhere}:8088", device_address="127.0.0.1")
    assert url == "http://127.0.0.1:8088"


def test_a_named_place_stays() -> None:
    url = "http://platform.example:8088/base"
    assert url_towards(url, device_address="127.0.0.1") == url


def test_without_a_way_to_the_device_it_stays() -> None:
    url = "http://0.0.0.0:8088"
    assert url_towards(url, device_address="256.1.1.1") == url
