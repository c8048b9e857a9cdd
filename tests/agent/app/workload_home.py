"""The packages and services of an agent in this process, over an engine in memory."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path

from agent.app.build_workloads import assemble
from agent.app.wiring import Wiring
from agent.app.workloads.parts import Workloads
from agent.config.settings import (
    CollectSettings,
    DownloadSettings,
    NodeSettings,
    Settings,
    WorkloadSettings,
)
from agent.model.clock import SystemClock
from runtimes.fake.runtime import FakeRuntime
from tests.agent.workloads.package_format import samples

PATIENCE_SECONDS = 30.0
CODE = "11010800005020000001"


def package(*, name: str = "person-structure", version: str = "1.0.0") -> bytes:
    """Return a package of a few bytes that an agent takes."""
    algo = samples.ALGO.replace(b"person-structure", name.encode()).replace(
        b"1.0.0", version.encode()
    )
    return samples.tar([("algo.yaml", algo), ("image.tar", samples.docker_image().archive())])


def until(condition, *, what="what was waited for"):
    """Return the first true value of a condition."""
    ends_at = time.monotonic() + PATIENCE_SECONDS
    while not (value := condition()):
        assert time.monotonic() < ends_at, what
        threading.Event().wait(0.01)
    return value


class Home:
    """Is a node with packages and services; its engine outlives every reload and restart."""

    def __init__(self, folder: Path) -> None:
        self.settings = Settings(
            node=NodeSettings(code=CODE, type="AI_BOX", state_dir=str(folder)),
            workloads=WorkloadSettings(download=DownloadSettings(minimum_free_gib=0)),
            collect=CollectSettings(interval_seconds=0.05),
        )
        self.engine = FakeRuntime()
        self.runtimes_built = 0
        self.wiring = Wiring(clock=SystemClock())
        self.wiring.settings = self.settings
        self.workloads = self.make(self.settings)

    def make(self, settings: Settings) -> Workloads:
        """Return the part under test; the test starts it."""
        return Workloads(
            settings,
            assemble=lambda settings, database: assemble(
                settings, database=database, wiring=self.wiring, build_runtime=self._build
            ),
            retry_seconds=0.02,
        )

    def start(self) -> None:
        """Start, and let the others ask."""
        self.workloads.start()
        self.wiring.workloads = self.workloads

    def stop(self) -> None:
        """Stop; may be called twice."""
        self.workloads.stop(timeout_seconds=PATIENCE_SECONDS)

    def changed(self, **workloads: object) -> Settings:
        """Return the settings with others for packages and services."""
        return replace(self.settings, workloads=replace(self.settings.workloads, **workloads))

    def service(self, service_id: str):
        """Return a service as it was last seen."""
        return next(each for each in self.workloads.seen() if each.desired.service_id == service_id)

    def _build(self, _settings: object) -> FakeRuntime:
        self.runtimes_built += 1
        self.engine._closed = False
        return self.engine
