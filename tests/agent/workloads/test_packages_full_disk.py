"""A disk that runs full under the packages, or under everything."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import threading
import time
from pathlib import Path

import pytest

from agent.config.settings import DownloadSettings, WorkloadSettings
from agent.errors import NoRoomError
from agent.model.clock import SystemClock
from agent.model.workloads import Digests, Manifest, PackageState, PackageType
from agent.store.database import Database
from agent.transport.download import Downloader
from agent.workloads.attempts import Attempts
from agent.workloads.packages import PackagePush, Packages
from tests.conftest import missing
from tests.file_server import FileServer

PATIENCE_SECONDS = 30.0
DISK_MIB = 8
CONTENT = random.Random(1).randbytes(5 << 20)


@pytest.fixture
def disk(tmp_path):
    """Return a file system of 8 MiB."""
    if os.geteuid() != 0:
        missing("a small file system is mounted by root alone")
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "none", folder],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    if mounted.returncode != 0:
        missing(f"no file system can be mounted here: {mounted.stderr}")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.fixture
def server():
    server = FileServer(CONTENT)
    yield server
    server.close()


@pytest.fixture
def packages_on():
    made = []

    def make(state: Path, folder: Path, *, minimum_free_mib=0.0) -> Packages:
        clock = SystemClock()
        database = Database(state)
        packages = Packages(
            database=database,
            folder=folder / "packages",
            settings=WorkloadSettings(
                download=DownloadSettings(minimum_free_gib=minimum_free_mib / 1024)
            ),
            clock=clock,
            downloader=Downloader(user_agent="test/1", credentials_for=lambda origin: None),
            inspect=lambda path: Manifest(
                name="a", version="1", type=PackageType.IMAGE, member="image.tar"
            ),
            on_change=lambda: None,
            attempts=Attempts(clock=clock, first_seconds=0.01, most_seconds=0.05),
        )
        packages.start()
        made.append((packages, database))
        return packages

    yield make
    for packages, database in made:
        packages.stop(timeout_seconds=PATIENCE_SECONDS)
        database.close()


def push(packages, server):
    digests = Digests(md5=hashlib.md5(CONTENT).hexdigest())
    packages.push(PackagePush(package_id="a", url=server.url, digests=digests))


def until(packages, condition):
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition(package := packages.get("a")):
        assert time.monotonic() < end, package
        threading.Event().wait(0.005)
    return package


def fill(disk, *, leave_bytes):
    free = os.statvfs(disk)
    (disk / "filler").write_bytes(b"x" * (free.f_bavail * free.f_frsize - leave_bytes))


def is_ready(package):
    return package.state is PackageState.READY


def test_a_package_that_does_not_fit_waits_for_room(disk, server, packages_on, tmp_path):
    fill(disk, leave_bytes=3 << 20)
    packages = packages_on(tmp_path / "state", disk)
    push(packages, server)
    package = until(packages, lambda each: "no room" in (each.error or ""))
    assert package.state is PackageState.DOWNLOADING
    assert "5.0 MiB more are needed" in package.error
    (disk / "filler").unlink()
    until(packages, is_ready)


def test_a_package_that_can_never_fit_has_failed(disk, server, packages_on, tmp_path):
    packages = packages_on(tmp_path / "state", disk, minimum_free_mib=4)
    push(packages, server)
    package = until(packages, lambda each: each.state is PackageState.FAILED)
    assert "can never fit" in package.error
    until(packages, lambda each: not list((disk / "packages").iterdir()))


@pytest.mark.parametrize("knows_parts", [True, False])
def test_a_disk_that_others_fill_meanwhile_is_waited_for(
    disk, server, packages_on, tmp_path, knows_parts
):
    server.knows_parts = knows_parts
    served = server.serve

    def answer(asked, sock):
        if len(server.asked) == 1:
            # It would have fitted when it was asked for.
            fill(disk, leave_bytes=5 << 20)
            threading.Timer(0.0, fill_more).start()
            held.wait(PATIENCE_SECONDS)
        served(asked, sock)

    held = threading.Event()

    def fill_more():
        (disk / "more").write_bytes(b"x" * (2 << 20))
        held.set()

    server.answer = answer
    packages = packages_on(tmp_path / "state", disk)
    push(packages, server)
    until(packages, lambda each: "no room" in (each.error or ""))
    for name in ("filler", "more"):
        (disk / name).unlink()
    until(packages, is_ready)


def test_a_file_of_unknown_size_is_not_left_to_fill_the_disk(disk, server, packages_on, tmp_path):
    server.always(b"HTTP/1.1 200 OK\r\n\r\n" + CONTENT)
    fill(disk, leave_bytes=3 << 20)
    packages = packages_on(tmp_path / "state", disk)
    push(packages, server)
    package = until(
        packages, lambda each: "no room" in (each.error or "") and each.received_bytes == 0
    )
    assert package.state is PackageState.DOWNLOADING
    asked = len(server.asked)
    until(packages, lambda each: "are needed" in (each.error or ""))
    # It is not fetched again before there is more room than it filled.
    assert len(server.asked) == asked
    (disk / "filler").unlink()
    until(packages, is_ready)


def test_a_full_disk_under_the_database_costs_nothing_that_was_answered(disk, server, packages_on):
    packages = packages_on(disk / "state", disk)
    push(packages, server)
    until(packages, is_ready)
    fill(disk, leave_bytes=0)

    def push_until_it_is_full():
        for number in range(1000):
            digests = Digests(md5=f"{number:032}")
            url = "http://localhost:1/" + "x" * 4000
            packages.push(PackagePush(package_id=f"p{number}", url=url, digests=digests))

    with pytest.raises(NoRoomError):
        push_until_it_is_full()
    assert packages.get("a").state is PackageState.READY
    (disk / "filler").unlink()
    packages.delete("a")
    push(packages, server)
    until(packages, is_ready)
