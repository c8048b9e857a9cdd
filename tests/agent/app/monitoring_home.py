"""An agent's reporting in this process, with platforms on real sockets and a clock of its own."""

from __future__ import annotations

import json
import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from agent.app import build, local_client
from agent.app.local_socket import SOCKET_NAME
from agent.app.parts import Parts
from agent.app.wiring import Wiring
from agent.config.load import load
from agent.config.settings import Settings
from tests.agent.protocols.tc609.fake_platform import PASSWORD, USERNAME, FakePlatform

CENTRE = "示例算力中心"
PROJECT = "示例项目"
PATIENCE_SECONDS = 20.0


class Clock:
    """Is a clock that goes with this machine's, from a date of its own, and can be moved."""

    def __init__(self, now: datetime) -> None:
        self._lock = threading.Lock()
        self.wall = now
        self.seconds = 1000.0

    def monotonic(self) -> float:
        with self._lock:
            return self.seconds

    def now(self) -> datetime:
        with self._lock:
            return self.wall

    def advance(self, **span: float) -> None:
        with self._lock:
            step = timedelta(**span)
            self.wall += step
            self.seconds += step.total_seconds()

    def set(self, now: datetime) -> None:
        """Set the wall clock alone, as an operator or a time server does."""
        with self._lock:
            self.wall = now


class Home:
    """Is a folder with a configuration, and the parts of the agent that report."""

    def __init__(self, folder: Path, *, now: datetime) -> None:
        self.folder = folder
        self.clock = Clock(now)
        self.wiring = Wiring(clock=self.clock)
        self.parts = Parts()
        self.platforms: dict[str, FakePlatform] = {}
        self.sections: dict[str, Any] = {}
        self.monitoring: list[dict[str, Any]] = []
        self._write("password", PASSWORD)

    def add(self, name: str, *, has_centre: bool = True, **changed: Any) -> FakePlatform:
        """Start a platform and configure it; with the centre it has the id 1 already."""
        platform = FakePlatform()
        if has_centre:
            platform.centres[1] = {"name": CENTRE}
        self.platforms[name] = platform
        self.monitoring.append(
            {
                "name": name,
                "url": platform.url,
                "username": USERNAME,
                "password_file": "password",
                "figures_file": "figures.yaml",
                "projects": [{"name": PROJECT, "province": "440000", "cluster": "4"}],
                "centre": {
                    "name": CENTRE,
                    "projects": [PROJECT],
                    "province": "440000",
                    "city": "440200",
                    "longitude": 113.5,
                    "latitude": 24.8,
                    "production_date": "2024-01-09",
                },
                "report": {"delay_hours": 24, "months": 3},
                **changed,
            }
        )
        return platform

    def figures(self, **months: dict[str, Any]) -> None:
        """Fill in the file; a month is written like m2026_01."""
        self._write(
            "figures.yaml",
            json.dumps(
                {
                    "project": {"project_status": "已投产"},
                    "always": {"racks": 1200},
                    "months": {
                        name[1:].replace("_", "-"): values for name, values in months.items()
                    },
                },
                ensure_ascii=False,
            ),
        )

    def settings(self) -> Settings:
        return load(self.config(), environment={"SECRET": "open sesame"}).settings

    def config(self) -> Path:
        return self._write(
            "config.yaml",
            json.dumps(
                {
                    "node": {
                        "code": "11010800005020000001",
                        "type": "AI_BOX",
                        "state_dir": str(self.folder),
                    },
                    "runtime": {"kind": "none"},
                    "monitoring": self.monitoring,
                    **self.sections,
                },
                ensure_ascii=False,
            ),
        )

    def start(self) -> None:
        self.parts.start(self._plans())

    def reload(self) -> tuple[str, ...]:
        return self.parts.change(self._plans())

    def stop(self) -> None:
        self.parts.stop()
        for platform in self.platforms.values():
            platform.close()

    def ask(self, name: str, **fields: Any) -> dict[str, Any]:
        """Ask on the local socket, as the commands do."""
        path = self.folder / SOCKET_NAME
        return local_client.ask(path, name, fields=fields, answer_seconds=PATIENCE_SECONDS)

    def status(self, name: str) -> dict[str, Any]:
        document = self.wiring.status_document()["monitoring"]
        return next(each for each in document["platforms"] if each["name"] == name)

    def look(self) -> None:
        """Let the calendar look at all months now, at the time of the clock."""
        assert self.wiring.outbox is not None
        self.wiring.outbox.calendar.plan()

    def wake(self) -> None:
        for each in self.wiring.reporting:
            each.wake()

    def _plans(self) -> tuple[Any, ...]:
        wanted = ("local socket", "outbox", "monitoring", "meters")
        plans = build.plan(self.settings(), wiring=self.wiring)
        return tuple(each for each in plans if each.name.startswith(wanted))

    def _write(self, name: str, text: str) -> Path:
        # In one step: half a file is read as one with a fault.
        new = self.folder / f"{name}.new"
        new.write_text(text, encoding="utf-8")
        new.chmod(0o600)
        return new.rename(self.folder / name)


def utc(*fields: int) -> datetime:
    return datetime(*fields, tzinfo=timezone.utc)  # type: ignore[misc, arg-type]
