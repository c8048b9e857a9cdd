"""A real agent in a process of its own, and platforms for it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.app.local_client import read_status
from agent.app.local_socket import SOCKET_NAME
from agent.errors import TransientError
from agent.simulator.simulator import Simulator, SimulatorSettings

CODE = "11010800005020000001"
PASSWORD = "Pässwort-密码"
WAIT_SECONDS = 30.0


class Platform:
    """Is a simulated platform whose events can be waited for."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.events: list[dict[str, Any]] = []
        self._changed = threading.Condition()
        self.simulator = Simulator(
            SimulatorSettings(
                **{
                    "listen": ("127.0.0.1", 0),
                    "control_listen": None,
                    "poll_seconds": None,
                    "require_token": True,
                    **settings,
                }
            ),
            on_event=self._note,
        )
        self.simulator.start()
        self.key = folder / f"{id(self)}.pem"
        self.key.write_text(self.simulator.public_key.to_pem())

    def _note(self, event: dict[str, Any]) -> None:
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    def wait_for(self, operation: str, *, count: int = 1, accepted: bool = True) -> dict[str, Any]:
        """Return the count-th event of an operation that was (or was not) accepted."""

        def found() -> list[dict[str, Any]]:
            return [
                event
                for event in self.events
                if event["operation"] == operation and event["accepted"] is accepted
            ]

        with self._changed:
            assert self._changed.wait_for(lambda: len(found()) >= count, WAIT_SECONDS), self.events
            return found()[count - 1]

    def accepted(self, operation: str) -> int:
        """Return how often an operation was accepted."""
        with self._changed:
            return sum(
                event["operation"] == operation and event["accepted"] is True
                for event in self.events
            )


class Box:
    """Is a folder with a configuration, and the agent that runs with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "config.yaml"
        self.log = folder / "log"
        self.process: subprocess.Popen[bytes] | None = None
        secret = folder / "device.password"
        secret.write_text(PASSWORD + "\n")
        secret.chmod(0o600)
        self.settings: dict[str, Any] = {
            "node": {"code": CODE, "type": "AI_BOX", "state_dir": str(folder)},
            "device_api": {"listen": "127.0.0.1:0", "password_file": str(secret)},
            "acsmp": [],
            "collect": {"interval_seconds": 1},
        }

    def add_platform(self, platform: Platform, name: str, **settings: Any) -> None:
        """Register the box with a platform, at one beat a second."""
        self.settings["acsmp"].append(
            {
                "name": name,
                "url": platform.simulator.url,
                "sm2_public_key_file": str(platform.key),
                "keepalive_seconds": 1,
                **settings,
            }
        )

    def write(self) -> Path:
        """Write the configuration; JSON is YAML."""
        self.config.write_text(json.dumps(self.settings, ensure_ascii=False), encoding="utf-8")
        return self.config

    def start(self, **environment: str) -> None:
        """Start the agent and wait until it answers on its local socket."""
        self.write()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command("run"), stderr=log, env={**os.environ, **environment}
            )
        self.wait_until(lambda: bool(self.status()))

    def command(self, *words: str) -> list[str]:
        """Return a command line of the agent on this configuration."""
        return [sys.executable, "-I", "-m", "agent", *words, "--config", str(self.config)]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            self.command(*words), capture_output=True, text=True, timeout=60, check=False
        )

    def status(self) -> dict[str, Any]:
        """Return the running agent's status, {} while there is none."""
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()
        try:
            return read_status(self.folder / SOCKET_NAME)
        except TransientError:
            return {}

    def device_url(self, *, scheme: str = "http") -> str:
        """Return the base URL of the device API."""
        self.wait_until(lambda: self.status().get("device_api"))
        return f"{scheme}://{self.status()['device_api']}"

    def wait_until(self, condition: Callable[[], Any]) -> None:
        """Ask again and again until something holds; fail after half a minute."""
        end = time.monotonic() + WAIT_SECONDS
        while not condition():
            assert time.monotonic() < end, self.log.read_text()
            threading.Event().wait(0.05)

    def wait_for_log(self, text: str) -> None:
        """Wait until the log holds a text."""
        self.wait_until(lambda: text in self.log.read_text())

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Stop the agent and return its exit status."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(WAIT_SECONDS)


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    one = Box(tmp_path)
    yield one
    if one.process is not None and one.process.poll() is None:
        one.process.kill()
        one.process.wait()


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Callable[..., Platform]]:
    """Return a function that starts a platform."""
    started: list[Platform] = []

    def start(**settings: Any) -> Platform:
        started.append(Platform(tmp_path, **settings))
        return started[-1]

    yield start
    for each in started:
        each.simulator.stop()
