"""Is forked again and again by test_packages_killed.py, to be killed at any moment.

Reads "folder seed port..." from its standard input, forks, and lets the child ask for one thing
after another, telling on standard output what it asks for and what was answered.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import random
import sys
import threading
from pathlib import Path

from agent.config.settings import DownloadSettings, WorkloadSettings
from agent.errors import NotFoundError
from agent.model.clock import SystemClock
from agent.model.workloads import Digests, Manifest, PackageState, PackageType
from agent.store.database import Database
from agent.transport.download import Downloader
from agent.workloads import part_file
from agent.workloads.attempts import Attempts
from agent.workloads.packages import PackagePush, Packages

IDS = ("a", "b")


def contents() -> list[bytes]:
    return [random.Random(number).randbytes(400_000 + 100_000 * number) for number in range(3)]


def say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def make(folder: Path) -> Packages:
    part_file._SYNC_BYTES = 32 << 10
    clock = SystemClock()
    return Packages(
        database=Database(folder),
        folder=folder / "packages",
        settings=WorkloadSettings(download=DownloadSettings(minimum_free_gib=0)),
        clock=clock,
        downloader=Downloader(user_agent="test/1", credentials_for=lambda origin: None),
        inspect=lambda path: Manifest(
            name=hashlib.md5(path.read_bytes()).hexdigest(),
            version="1",
            type=PackageType.IMAGE,
            member="image.tar",
        ),
        on_change=lambda: None,
        attempts=Attempts(clock=clock, first_seconds=0.005, most_seconds=0.02),
    )


def work(folder: Path, seed: int, ports: list[int]) -> None:
    packages = make(folder)
    packages.start()
    say("started")
    files, chance = contents(), random.Random(seed)
    while True:
        package_id, number = chance.choice(IDS), chance.randrange(len(files))
        digests = Digests(md5=hashlib.md5(files[number]).hexdigest())
        deed = chance.choice(["push", "push", "push", "receive", "delete"])
        say("try", package_id, "none" if deed == "delete" else digests.md5)
        if deed == "push":
            url = f"http://127.0.0.1:{ports[number]}/"
            packages.push(PackagePush(package_id=package_id, url=url, digests=digests))
        elif deed == "receive":
            packages.receive(package_id, file=io.BytesIO(files[number]), digests=digests)
        else:
            with contextlib.suppress(NotFoundError):
                packages.delete(package_id)
        say("done", package_id)
        threading.Event().wait(chance.choice([0.0, 0.0, 0.01, 0.1]))


def settle(folder: Path) -> None:
    """Let everything arrive and say what there is."""
    packages = make(folder)
    packages.start()
    while any(each.state is PackageState.DOWNLOADING for each in packages.list()):
        threading.Event().wait(0.01)
    for package in packages.list():
        installed = packages.installed(package.package_id)
        assert installed is not None, package
        digest = hashlib.md5(Path(installed.file).read_bytes()).hexdigest()
        say("is", package.package_id, package.state.value, digest, installed.manifest.name)
    packages.stop(timeout_seconds=10)


def main() -> None:
    for line in sys.stdin:
        folder, seed, *ports = line.split()
        child = os.fork()
        if child == 0:
            try:
                if seed == "settle":
                    settle(Path(folder))
                else:
                    work(Path(folder), int(seed), [int(port) for port in ports])
            except BaseException as error:  # noqa: BLE001 - told to the test
                say("broken", repr(error))
            finally:
                os._exit(0)
        say("pid", child)
        os.waitpid(child, 0)
        say("end")


main()
