"""A clock at a fixed noon, platforms to reach, and certificates."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from typing import Any

import pytest

from agent.model.clock import SystemClock
from agent.simulator.simulator import Simulator, SimulatorSettings
from tests.agent.transport.conftest import Certificates, certificates

__all__ = ["Certificates", "certificates"]

NOON = datetime(2026, 1, 1, 12, 0, tzinfo=timezone.utc)


@pytest.fixture
def clock() -> SystemClock:
    return SystemClock()


@pytest.fixture
def simulated() -> Iterator[Callable[..., Simulator]]:
    """Return a function that starts a simulated platform."""
    started: list[Simulator] = []

    def start(**settings: Any) -> Simulator:
        one = Simulator(
            SimulatorSettings(
                **{
                    "listen": ("127.0.0.1", 0),
                    "control_listen": None,
                    "poll_seconds": None,
                    **settings,
                }
            ),
            on_event=lambda _: None,
        )
        one.start()
        started.append(one)
        return one

    yield start
    for each in started:
        each.stop()
