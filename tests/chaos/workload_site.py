"""What the chaos of workloads plays with: a platform, an agent, an engine, and their packages."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker.errors
import own_tests  # noqa: F401 - finds `tests`

from agent.app import local_client
from agent.app.local_socket import SOCKET_NAME
from agent.app.workloads.questions import LIST_PACKAGES, LIST_SERVICES
from agent.errors import TransientError
from agent.simulator.refusal import Refusal
from agent.simulator.simulator import Simulator, SimulatorSettings
from agent.workloads import labels
from agent.workloads.package_format import building
from agent.workloads.package_format.limits import InspectionLimits
from tests.docker_engine import BUSYBOX, PrivateEngine, docker_archive, private_engine_of

__all__ = ["BUSYBOX", "PrivateEngine", "private_engine_of"]

CODE = "11010800005020000001"
PATIENCE_SECONDS = 90.0
IMAGES = "computility-agent/package"
PLUGINS = (
    *("amd", "ascend", "axera", "cambricon", "enflame", "hygon"),
    *("iluvatar", "kunlun", "metax", "mthreads", "nvidia", "sophgo"),
)
BEGIN = time.monotonic()


class Failed(Exception):  # noqa: N818 - named by what it says
    """Says that something is not as it was promised."""


class Unanswered(Exception):  # noqa: N818 - named by what it says
    """Says that nobody knows whether something was done."""


def say(who: str, text: str) -> None:
    print(f"{time.monotonic() - BEGIN:6.1f} s  {who:<9} {text}", flush=True)


def wait_until(
    condition: Callable[[], Any], *, what: str, within_seconds: float = PATIENCE_SECONDS
) -> Any:
    """Return the first true value of a condition; raise Failed when it never comes."""
    pause, ends = threading.Event(), time.monotonic() + within_seconds
    while not (value := condition()):
        if time.monotonic() > ends:
            raise Failed(f"waited {within_seconds:g} s in vain: {what}")
        pause.wait(0.02)
    return value


@dataclass(frozen=True, kw_only=True)
class PackageFile:
    """Is a package's file on the platform."""

    path: Path
    md5: str
    size_bytes: int


def make_package(folder: Path, *, size_mib: float, salt: bytes) -> PackageFile:
    """Make a package whose image sleeps, and is new to every engine; `licence_path` is declared."""
    folder.mkdir()
    filling = salt + os.urandom(int(size_mib * 1024 * 1024))
    (folder / "image.tar").write_bytes(docker_archive(reference=None, salt=filling))
    (folder / "algo.yaml").write_text(
        json.dumps(
            {
                "name": "chaos",
                "version": "1.0.0",
                "image": "image.tar",
                "env": [{"name": "AUTH_SERVER_ADDR", "value": "/etc/algo/licence.dat"}],
                "command": ["/bin/sleep", "100000"],
            }
        )
    )
    path = folder.with_suffix(".tar")
    building.build(folder, output=path, limits=InspectionLimits())
    content = path.read_bytes()
    return PackageFile(path=path, md5=hashlib.md5(content).hexdigest(), size_bytes=len(content))


class Platform:
    """Is the simulated platform; it notes when the node was heard of."""

    def __init__(self) -> None:
        self.simulator = Simulator(
            SimulatorSettings(
                listen=("127.0.0.1", 0), control_listen=None, poll_seconds=2, require_token=True
            ),
            on_event=self._note,
        )
        self._contacts: list[float] = []

    def _note(self, event: dict[str, Any]) -> None:
        if event["kind"] == "request" and event["accepted"]:
            self._contacts.append(time.monotonic())

    def forget_contacts(self) -> None:
        """Count gaps from now on."""
        self._contacts = [time.monotonic()]

    def worst_gap_seconds(self) -> float:
        """Return the longest time between two contacts, the one that is still open included."""
        moments = [*self._contacts, time.monotonic()]
        return max(after - before for before, after in itertools.pairwise(moments))

    def ask(self, call: Callable[[], Any]) -> Any:
        """Return what the device answered to a call.

        Raises:
            Unanswered: nobody knows whether it did it.
            Refusal: it said no.
        """
        try:
            return call()
        except Refusal as refusal:
            if "the device answered HTTP" in refusal.message:
                raise
            raise Unanswered(refusal.message) from refusal


class Agent:
    """Is an agent with its configuration, started and killed again and again."""

    def __init__(
        self,
        folder: Path,
        platform: Platform,
        *,
        engine: PrivateEngine,
        state: Path,
        minimum_free_gib: float = 0.0,
    ) -> None:
        self.state = state
        self.log = folder / "agent.log"
        self.port = _free_port()
        self._config = folder / "agent.json"
        self.process: subprocess.Popen[bytes] | None = None
        folder.mkdir(exist_ok=True)
        password, key = folder / "password", folder / "platform.pem"
        password.write_text("chaos-password")
        password.chmod(0o600)
        key.write_text(platform.simulator.public_key.to_pem())
        self._config.write_text(
            json.dumps(
                {
                    "node": {"code": CODE, "type": "AI_BOX", "state_dir": str(state)},
                    "device_api": {
                        "listen": f"127.0.0.1:{self.port}",
                        "password_file": str(password),
                    },
                    "acsmp": [
                        {
                            "name": "city",
                            "url": platform.simulator.url,
                            "sm2_public_key_file": str(key),
                        }
                    ],
                    "accelerators": {name: {"enabled": False} for name in PLUGINS},
                    "runtime": {"socket": engine.socket},
                    "workloads": {"download": {"minimum_free_gib": minimum_free_gib}},
                }
            )
        )

    def start(self) -> None:
        """Start it, and wait for nothing."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-m", "agent", "run", "--config", str(self._config)],
                stderr=log,
            )

    def kill(self) -> None:
        """End it with SIGKILL."""
        self._signal(signal.SIGKILL)

    def stop(self) -> None:
        """End it as systemd does."""
        self._signal(signal.SIGTERM)

    def _signal(self, number: signal.Signals) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def is_ready(self) -> bool:
        """Tell whether its device API accepts connections."""
        assert self.process is not None
        if self.process.poll() is not None:
            raise Failed(f"the agent ended with {self.process.returncode}:\n{self.log_tail()}")
        with socket.socket() as probe:
            probe.settimeout(5)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def wait_ready(self) -> None:
        """Wait until it can be asked."""
        wait_until(self.is_ready, what="an agent that listens")

    def ask(self, question: str) -> dict[str, Any]:
        """Return what it answers on its local socket, {} while it does not."""
        try:
            return local_client.ask(self.state / SOCKET_NAME, question)
        except TransientError:
            return {}

    def status(self) -> dict[str, Any]:
        """Return its status, {} while it gives none."""
        try:
            return local_client.read_status(self.state / SOCKET_NAME)
        except TransientError:
            return {}

    def packages(self) -> dict[str, dict[str, Any]]:
        """Return its packages as `packages list` has them, by id."""
        return {each["package_id"]: each for each in self.ask(LIST_PACKAGES).get("packages", ())}

    def services(self) -> dict[str, dict[str, Any]]:
        """Return its services as `services list` has them, by id."""
        return {each["service_id"]: each for each in self.ask(LIST_SERVICES).get("services", ())}

    def rows(self, statement: str) -> list[sqlite3.Row]:
        """Return rows of its database, which it may be writing."""
        path = self.state / "state.db"
        if not path.exists():
            return []
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)
        connection.row_factory = sqlite3.Row
        try:
            return connection.execute(statement).fetchall()
        except sqlite3.OperationalError:
            return []
        finally:
            connection.close()

    @property
    def instance(self) -> str:
        """Return the name on its containers."""
        rows = self.rows("SELECT value FROM meta WHERE key = 'instance'")
        return str(rows[0][0]) if rows else ""

    def log_size(self) -> int:
        """Return how long its log is."""
        return self.log.stat().st_size if self.log.exists() else 0

    def has_logged(self, text: str, *, since: int) -> bool:
        """Tell whether its log says something behind a place in it."""
        return self.count_logged(text, since=since) > 0

    def count_logged(self, text: str, *, since: int) -> int:
        """Return how often its log says something behind a place in it."""
        with self.log.open("rb") as log:
            log.seek(since)
            return log.read().count(text.encode())

    def log_tail(self) -> str:
        """Return the end of its log."""
        return self.log.read_text(errors="replace")[-4000:]


class Docker:
    """Shows what an engine holds of an agent, and of others."""

    def __init__(self, engine: PrivateEngine) -> None:
        self.engine = engine

    def containers(self, instance: str) -> dict[str, dict[str, Any]]:
        """Return the containers of an agent, by name."""
        with self.engine.api() as api:
            listed = api.containers(all=True, filters={"label": f"{labels.AGENT}={instance}"})
            found = {}
            for each in listed:
                try:
                    document = api.inspect_container(each["Id"])
                except docker.errors.NotFound:
                    continue
                found[document["Name"].lstrip("/")] = document
            return found

    def images(self) -> set[str]:
        """Return the generations of the packages whose images are here."""
        with self.engine.api() as api:
            found = api.images(name=IMAGES)
        return {tag.rpartition(":")[2] for each in found for tag in each["RepoTags"] or ()}

    def run_others(self) -> dict[str, tuple[str, str]]:
        """Start a container of somebody else, and one of another agent; return who they are."""
        image = self.engine.busybox_image()
        with self.engine.api() as api:
            for name, its_labels in (
                ("somebody-else", {}),
                ("another-agent", {labels.SERVICE: "7", labels.AGENT: "another"}),
            ):
                made = api.create_container(image=image, name=name, labels=its_labels)
                api.start(made["Id"])
        return self.others()

    def others(self) -> dict[str, tuple[str, str]]:
        """Return id and start of the two, by name."""
        found = {}
        with self.engine.api() as api:
            for name in ("somebody-else", "another-agent"):
                try:
                    document = api.inspect_container(name)
                except docker.errors.NotFound:
                    continue
                if document["State"]["Running"]:
                    found[name] = (document["Id"], document["State"]["StartedAt"])
        return found


def identities(containers: Mapping[str, Mapping[str, Any]]) -> dict[str, tuple[str, str]]:
    """Return id and start of each container, by name."""
    return {
        name: (str(each["Id"]), str(each["State"]["StartedAt"]))
        for name, each in containers.items()
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
