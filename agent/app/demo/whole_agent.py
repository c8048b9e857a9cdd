"""The whole agent in this process, its meters and hours by a clock that the demonstration moves."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from agent.app import build, logs, named_files
from agent.app.centre import meter_kinds
from agent.app.centre.parts import CentreService
from agent.app.demo.clock import StampedMeters, SteppedClock
from agent.app.held import Held
from agent.app.parts import Parts
from agent.app.wiring import Wiring
from agent.config.settings import Settings
from agent.model.clock import SystemClock

CODE = "11010800005020000001"
READ_SECONDS = 300


def write_configuration(folder: Path, sections: Mapping[str, Any]) -> Path:
    """Return the file of a configuration with these sections."""
    config = folder / "config.yaml"
    document = {
        "node": {"code": CODE, "type": "AI_CLOUD", "state_dir": os.fspath(folder)},
        "runtime": {"kind": "none"},
        "log": {"level": "error"},
        **sections,
    }
    # JSON is YAML.
    config.write_text(json.dumps(document, ensure_ascii=False, indent=1), encoding="utf-8")
    return config


@contextlib.contextmanager
def running(config: Path, *, clock: SteppedClock) -> Iterator[Wiring]:
    """Run the agent until the end of the block; meters and hours by `clock`, the rest by ours.

    Raises:
        AgentError: it cannot be started; its text says what to do.
    """
    settings = named_files.load_checked(config).settings
    logs.configure(settings.log)
    wiring = Wiring(clock=SystemClock())
    plans = [
        dataclasses.replace(plan, build=lambda: _meters(settings, wiring=wiring, clock=clock))
        if plan.name == "meters"
        else plan
        for plan in build.plan(settings, wiring=wiring)
    ]
    parts = Parts()
    parts.start(plans)
    try:
        yield wiring
    finally:
        clock.end()
        parts.stop()


def _meters(settings: Settings, *, wiring: Wiring, clock: SteppedClock) -> Held:
    kinds = meter_kinds.MeterKinds(meter_kinds.installed(), view=wiring.view)
    service = CentreService(
        settings,
        kinds=StampedMeters(kinds.open, clock=clock),
        clock=clock,
        pause=clock.pause,
    )
    return Held(service, wiring=wiring, name="centre")
