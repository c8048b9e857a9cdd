"""An engine that dies, comes back and hangs, and a disk that runs full, under a running agent."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from workload_site import (
    CODE,
    Agent,
    Docker,
    Failed,
    PackageFile,
    Platform,
    identities,
    make_package,
    say,
    wait_until,
)

from agent.app import local_client
from agent.app.local_socket import SOCKET_NAME
from agent.app.workloads.questions import PUSH_PACKAGE
from agent.errors import AgentError, NoRoomError
from agent.simulator.refusal import Refusal

FIRST = "1101080000505000000120260101080000000011"
SECOND = "1101080000505000000120260101080000000012"
LARGE_MIB = 48.0
DISK_MIB = 96
HANGS_SECONDS = 35.0


class Site:
    """Does what a platform does, and waits until it is done."""

    def __init__(self, platform: Platform, agent: Agent, docker: Docker) -> None:
        self.platform = platform
        self.simulator = platform.simulator
        self.agent = agent
        self.docker = docker

    def start(self) -> None:
        """Start the agent, and wait until it is registered."""
        self.agent.start()
        self.agent.wait_ready()
        wait_until(self.is_registered, what="a node that is registered")

    def is_registered(self) -> bool:
        """Tell whether the agent says that its platform holds it as registered."""
        platforms = self.agent.status().get("platforms", ())
        return any(each["is_registered"] for each in platforms)

    def push(self, package_id: str, package: PackageFile) -> None:
        self.simulator.add_package(package.path, package_id=package_id)
        self.simulator.push(CODE, package_id)
        self.wait_for_package(package_id, "ready")

    def wait_for_package(self, package_id: str, state: str) -> None:
        wait_until(
            lambda: self.agent.packages().get(package_id, {}).get("state") == state,
            what=f"package {package_id} that is {state}",
        )

    def load(self, package_id: str, *, replicas: int) -> str:
        return self.simulator.load(CODE, package_id, replicas=replicas)

    def states(self) -> set[str]:
        """Return the states in which the platform reads the services."""
        return {each["Status"] for each in self.simulator.services(CODE)}

    def wait_for_states(self, *states: str) -> None:
        def are_there() -> bool:
            try:
                return self.states() == set(states)
            except Refusal:
                return False

        wait_until(are_there, what=f"services that are {states}")

    def wait_running(self, count: int) -> None:
        """Wait until so many containers run, no more are there, and the platform reads it."""
        wait_until(lambda: self._running() == (count, count), what=f"{count} containers that run")
        self.wait_for_states(*(["RUNNING"] if count else []))

    def _running(self) -> tuple[int, int]:
        containers = self.docker.containers(self.agent.instance).values()
        return sum(each["State"]["Running"] for each in containers), len(containers)

    def take_away(self, *package_ids: str) -> None:
        """Unload and delete, and wait until nothing is left."""
        for package_id in package_ids:
            self.simulator.unload(CODE, package_id)
        self.wait_running(0)
        for package_id in package_ids:
            self.simulator.delete(CODE, package_id)
        wait_until(
            lambda: not (self.docker.images() or list((self.agent.state / "packages").iterdir())),
            what="neither images nor files",
        )


class EngineTest:
    """Kills and stops a dockerd at work."""

    def __init__(self, folder: Path, site: Site) -> None:
        self._site = site
        self._engine = site.docker.engine
        self._small = make_package(folder / "engine-small", size_mib=1, salt=b"small")
        self._large = make_package(folder / "engine-large", size_mib=LARGE_MIB, salt=b"large")

    def run(self) -> None:
        """Play everything."""
        site, engine = self._site, self._engine
        site.start()
        say("engine", "killed while two replicas run")
        site.push(FIRST, self._small)
        site.load(FIRST, replicas=2)
        site.wait_running(2)
        engine.kill()
        site.wait_for_states("UNSPECIFIED")
        self._back(containers=2)

        say("engine", "killed while it loads an image")
        site.push(SECOND, self._large)
        since = site.agent.log_size()
        site.load(SECOND, replicas=1)
        self._wait_for_log("image_load_begins", since=since)
        engine.kill()
        if site.agent.has_logged("image_loaded", since=since):
            raise Failed("the image was loaded before the engine could be killed")
        self._back(containers=3)

        say("engine", "killed while it starts four containers")
        since = site.agent.log_size()
        site.load(FIRST, replicas=4)
        self._wait_for_log("container_started", since=since)
        self._back(containers=7)

        say("engine", f"stopped for {HANGS_SECONDS:g} s")
        before = identities(site.docker.containers(site.agent.instance))
        engine.signal(signal.SIGSTOP)
        stopped_at = time.monotonic()
        try:
            # What is asked for meanwhile is written down at once.
            service_id = site.load(FIRST, replicas=1)
            site.wait_for_states("UNSPECIFIED")
            say("engine", f"UNSPECIFIED after {time.monotonic() - stopped_at:.0f} s")
            if not site.agent.status().get("platforms"):
                raise Failed("the agent tells no status while the engine hangs")
            threading.Event().wait(max(0.0, stopped_at + HANGS_SECONDS - time.monotonic()))
        finally:
            engine.signal(signal.SIGCONT)
        site.wait_running(8)
        after = identities(site.docker.containers(site.agent.instance))
        touched = {name for name in before if after.get(name) != before[name]}
        if touched or f"computility-{service_id}-0" not in after:
            raise Failed(f"containers that ran were touched: {touched}")
        site.take_away(FIRST, SECOND)
        site.agent.stop()

    def _back(self, *, containers: int) -> None:
        """Kill the engine, if it lives, and start it; wait until everything runs again."""
        self._engine.kill()
        threading.Event().wait(1.0)
        self._engine.start()
        began = time.monotonic()
        self._site.wait_running(containers)
        say("engine", f"everything runs {time.monotonic() - began:.1f} s after its return")

    def _wait_for_log(self, text: str, *, since: int) -> None:
        wait_until(lambda: self._site.agent.has_logged(text, since=since), what=text)


class DiskTest:
    """Fills the disk that the agent keeps everything on."""

    def __init__(self, folder: Path, disk: Path, site: Site) -> None:
        self._disk = disk
        self._site = site
        self._small = make_package(folder / "disk-small", size_mib=1, salt=b"small")
        self._large = make_package(folder / "disk-large", size_mib=LARGE_MIB, salt=b"large")
        self._filler = disk / "filler"

    def run(self) -> None:
        """Play everything."""
        site, agent = self._site, self._site.agent
        site.start()
        site.push(FIRST, self._small)
        site.load(FIRST, replicas=1)
        site.wait_running(1)

        say("disk", "a package that does not fit now")
        self._fill(leave_bytes=20 << 20)
        site.simulator.add_package(self._large.path, package_id=SECOND)
        site.simulator.push(CODE, SECOND)
        reason = wait_until(
            lambda: agent.packages()[SECOND].get("error"), what="words about the room"
        )
        (told,) = [
            each for each in site.simulator.packages(CODE) if each["AlgoFilePackageID"] == SECOND
        ]
        say("disk", f"Status {told['Status']}: {told.get('DownloadErrorMessage')}")
        if told["Status"] != 1 or "no room" not in reason:
            raise Failed(f"a package that does not fit: {told}")

        say("disk", "pushes are answered until not one byte is free")
        self._fill(leave_bytes=400_000)
        answered = self._push_until_full()
        self._fill(leave_bytes=0)
        say("disk", f"{len(answered)} pushes were answered, then: no room")
        self._expect_507(lambda: site.load(FIRST, replicas=1), what="a load")
        if not agent.status().get("platforms"):
            raise Failed("the agent tells no status while the disk is full")
        self._check_answered(answered)

        say("disk", "killed and started again while it is full")
        agent.kill()
        site.start()
        self._check_answered(answered)
        site.wait_running(1)

        say("disk", "there is room again")
        self._filler.unlink()
        site.push(SECOND, self._large)
        site.load(SECOND, replicas=1)
        site.wait_running(2)
        for package_id in answered:
            site.simulator.delete(CODE, package_id)
        site.take_away(FIRST, SECOND)
        agent.stop()

    def _fill(self, *, leave_bytes: int) -> None:
        with self._filler.open("ab", buffering=0) as filler:
            while True:
                free = os.statvfs(self._disk)
                room = free.f_bavail * free.f_frsize - leave_bytes
                try:
                    if room <= 0 or not filler.write(b"\0" * min(room, 1 << 20)):
                        break
                except OSError:
                    break
            os.fsync(filler.fileno())

    def _push_until_full(self) -> list[str]:
        """Push packages from nowhere until the database cannot take another."""
        answered: list[str] = []
        for number in range(5000):
            package_id = f"full-{number}"
            fields = {"package_id": package_id, "url": "http://127.0.0.1:9/" + "x" * 3000}
            try:
                local_client.ask(self._site.agent.state / SOCKET_NAME, PUSH_PACKAGE, fields=fields)
            except NoRoomError:
                return answered
            answered.append(package_id)
        raise Failed("the disk is full, and the database takes everything")

    def _check_answered(self, answered: list[str]) -> None:
        packages = wait_until(self._site.agent.packages, what="a list of packages")
        wanted = {FIRST, SECOND, *answered}
        if set(packages) != wanted:
            raise Failed(f"packages: lost {wanted - set(packages)}, new {set(packages) - wanted}")
        if packages[FIRST]["state"] != "ready" or len(self._site.agent.services()) != 1:
            raise Failed(f"what was there is not: {packages[FIRST]}")

    def _expect_507(self, wish: Any, *, what: str) -> None:
        try:
            wish()
        except Refusal as refusal:
            if "HTTP 507" in refusal.message:
                say("disk", f"{what}: {refusal.message}")
                return
            raise Failed(f"{what} on a full disk: {refusal.message}") from refusal
        except AgentError as error:
            raise Failed(f"{what} on a full disk: {error}") from error
        raise Failed(f"{what} was taken on a full disk")


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Mount a file system of its own in a file, until the end of the block."""
    image, place = folder / "disk.img", folder / "disk"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(DISK_MIB << 20)
    # No blocks are kept for root, who is the agent here.
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", image], check=True, timeout=60)
    subprocess.run(["mount", "-o", "loop", image, place], check=True, timeout=60)
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True, timeout=60)
