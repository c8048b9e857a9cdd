"""A centre with one meter of each layout, the time of which a test sets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from agent.config.meter_settings import MeterSettings
from agent.simulator.meters import script_file
from agent.simulator.meters.script import CentreScript
from agent.simulator.meters.simulator import MeterSimulator

CHINA = timezone(timedelta(hours=8))
START = datetime(2026, 3, 1, tzinfo=CHINA)
KWH = 3_600_000


def script(*meters: dict[str, Any], **changes: Any) -> CentreScript:
    """Return a script with these meters; 36 kW flow as `power`, 90 litres an hour as `water`."""
    document = {
        "start": START.isoformat(),
        "flows": {
            "power": {"unit": "kw", "day": {"00:00": "36"}},
            "water": {"unit": "litres_per_hour", "day": {"00:00": "90"}},
        },
        "meters": list(meters),
        **changes,
    }
    return script_file.parse(document)


def meter(layout: str, **changes: Any) -> dict[str, Any]:
    """Return a meter of a script, as its file would hold it."""
    flow = "water" if layout == "water-counter" else "power"
    return {"name": "m", "layout": layout, "measures": [flow], "start": "500", **changes}


@dataclass
class Bench:
    """Runs simulated meters and reads them with the agent's own plugins."""

    simulators: list[MeterSimulator] = field(default_factory=list)
    second: float = 0.0

    def start(self, *meters: dict[str, Any]) -> MeterSimulator:
        running = MeterSimulator(
            script(*meters), now=lambda: START + timedelta(seconds=self.second), free_ports=True
        )
        self.simulators.append(running)
        running.start()
        return running

    def port(self, *, place: int = 0) -> int:
        section = self.simulators[-1].section[place]
        return int(section.get("port") or section["url"].rpartition(":")[2])


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    for each in made.simulators:
        each.stop()


@pytest.fixture
def plugin(bench: Bench) -> Iterator[Callable[..., Any]]:
    """Return a function that gives the agent's meter for the first of the simulated ones."""
    from agent.app.centre.meter_kinds import MeterKinds, installed
    from agent.config.kinds import RawSection

    opened: list[Any] = []

    def make(**options: Any) -> Any:
        told = dict(bench.simulators[-1].section[0])
        common = {key: told.pop(key) for key in ("name", "kind")}
        for key in ("role", "rated_power_kw", "rollover_kwh"):
            told.pop(key, None)
        values = {key: str(value) for key, value in {**told, **options}.items()}
        settings = MeterSettings(**common, options=RawSection(values=values))
        opened.append(MeterKinds(installed()).open(settings))
        return opened[-1]

    yield make
    for each in opened:
        each.close()
