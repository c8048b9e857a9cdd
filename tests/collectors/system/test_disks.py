from __future__ import annotations

import os
import subprocess
import threading
import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import NotPresent, ReadingUnavailable
from collectors.system.disks import (
    DiskCollector,
    DiskConfig,
    FileSystemSize,
    file_system_size,
    measure,
)

MOUNTS = """\
1 0 8:1 / / rw - ext4 /dev/sda1 rw
2 1 8:2 / /data rw - xfs /dev/sda2 rw
3 1 0:50 / /nas rw - nfs4 server:/export rw
4 1 0:24 / /run rw - tmpfs tmpfs rw
"""
SIZE = FileSystemSize(total_bytes=100, used_bytes=40)


class Disks:
    """Plays file systems that answer, fail, or hang until they are released."""

    def __init__(self):
        self.asked = []
        self.hanging = {}
        self.failing = {}
        self.files = set()

    def hang(self, path):
        self.hanging[path] = threading.Event()

    def measure(self, path):
        self.asked.append(path)
        if path in self.hanging:
            assert self.hanging[path].wait(30)
        if path in self.failing:
            raise self.failing[path]
        return None if path in self.files else SIZE


@pytest.fixture
def disks():
    played = Disks()
    yield played
    for event in played.hanging.values():
        event.set()


@pytest.fixture
def collect(tmp_path, disks):
    """Return a function that makes a collector of these mounts and returns its `collect`."""

    def make(configured="auto", *, mounts=MOUNTS, deadline_seconds=30.0):
        (tmp_path / "self").mkdir(exist_ok=True)
        (tmp_path / "self/mountinfo").write_text(mounts)
        collector = DiskCollector(
            DiskConfig(disks=configured),
            proc=tmp_path,
            measure=disks.measure,
            deadline_seconds=deadline_seconds,
        )
        return collector.collect

    return make


def by_path(readings):
    return {reading.mount_path: reading for reading in readings}


def stuck_threads():
    return [each for each in threading.enumerate() if each.name.startswith("disk /")]


def test_real_file_systems_are_read(collect):
    readings = collect()()

    assert [(each.mount_path, each.total_bytes, each.used_bytes) for each in readings] == [
        ("/", 100, 40),
        ("/data", 100, 40),
    ]


def test_a_mount_that_hangs_costs_only_itself_and_is_asked_once(collect, disks, caplog):
    disks.hang("/data")
    read = collect(deadline_seconds=0.1)

    first, second = by_path(read()), by_path(read())

    for readings in (first, second):
        assert readings["/"].used_bytes == 40
        assert readings["/data"].used_bytes is readings["/data"].total_bytes is None
        assert "has not answered" in readings["/data"].unknown["used_bytes"]
    assert disks.asked.count("/data") == 1
    assert disks.asked.count("/") == 2
    assert [each.levelname for each in caplog.records] == ["WARNING"]


def test_a_mount_that_answers_again_is_read_again(collect, disks, caplog):
    caplog.set_level("INFO")
    disks.hang("/data")
    read = collect(deadline_seconds=0.1)
    read()

    disks.hanging.pop("/data").set()
    for thread in stuck_threads():
        thread.join(10)
    readings = by_path(read())

    assert readings["/data"].used_bytes == 40
    assert disks.asked.count("/data") == 2
    assert [each.levelname for each in caplog.records] == ["WARNING", "INFO"]


def test_all_hanging_mounts_together_take_one_deadline(collect, disks):
    lines = [f"{10 + i} 1 9:{i} / /disk{i} rw - ext4 /dev/md{i} rw\n" for i in range(40)]
    for i in range(40):
        disks.hang(f"/disk{i}")
    read = collect(mounts=MOUNTS + "".join(lines), deadline_seconds=0.5)

    started = time.monotonic()
    assert len(read()) == 42
    assert time.monotonic() - started < 10


def test_a_mount_that_is_known_to_hang_delays_no_later_sample(collect, disks):
    disks.hang("/data")
    read = collect(deadline_seconds=1.0)
    read()

    started = time.monotonic()
    read()
    assert time.monotonic() - started < 0.9


def test_only_a_directory_has_a_size_of_its_own(tmp_path):
    (tmp_path / "file").touch()

    assert measure(str(tmp_path / "file")) is None
    assert measure(str(tmp_path)).total_bytes > 0
    with pytest.raises(FileNotFoundError):
        measure(str(tmp_path / "nowhere"))


def test_a_failing_mount_is_unknown_in_the_systems_own_words(collect, disks):
    disks.failing["/data"] = OSError(5, "Input/output error")
    disks.failing["/"] = ReadingUnavailable("the file system tells no size")

    readings = by_path(collect()())

    assert readings["/data"].unknown["total_bytes"] == "Input/output error"
    assert readings["/"].unknown["used_bytes"] == "the file system tells no size"


def test_a_file_that_a_container_was_given_is_no_disk(collect, disks):
    disks.files = {"/etc/hosts", "/etc/hostname"}
    mounts = """\
1 0 0:30 / / rw - overlay overlay rw
2 1 8:1 /h /etc/hosts rw - ext4 /dev/sda1 rw
3 1 8:1 /n /etc/hostname rw - ext4 /dev/sda1 rw
4 1 8:1 /v /mnt/volume rw - ext4 /dev/sda1 rw
"""

    assert list(by_path(collect(mounts=mounts)())) == ["/", "/mnt/volume"]


def test_configured_paths_are_read_in_their_order_network_ones_too(collect):
    readings = collect(("/nas/", "//data", "/nas"))()

    assert [each.mount_path for each in readings] == ["/nas", "/data"]
    assert all(each.used_bytes == 40 for each in readings)


def test_a_configured_path_without_a_mount_is_unknown_and_not_its_parent(collect, disks):
    [reading] = collect(("/data/models",))()

    assert reading.mount_path == "/data/models"
    assert reading.total_bytes is None
    assert reading.unknown["total_bytes"] == "nothing is mounted there"
    assert disks.asked == []


def test_a_path_that_is_no_text_can_still_be_shown(collect, disks, tmp_path):
    read = collect()
    with (tmp_path / "self/mountinfo").open("ab") as file:
        file.write(b"9 1 8:9 / /mnt/\xff\\040x rw - ext4 /dev/sdx rw\n")

    paths = [each.mount_path for each in read()]

    assert "/mnt/? x" in paths
    assert os.fsdecode(b"/mnt/\xff x") in disks.asked


@given(
    blocks=st.integers(min_value=-1, max_value=2**64 - 1),
    free_blocks=st.integers(min_value=-1, max_value=2**64 - 1),
    block_bytes=st.integers(min_value=0, max_value=2**20),
)
def test_a_size_is_plausible_or_unknown(blocks, free_blocks, block_bytes):
    with suppress(ReadingUnavailable):
        size = file_system_size(blocks=blocks, free_blocks=free_blocks, block_bytes=block_bytes)
        assert 0 <= size.used_bytes <= size.total_bytes
        assert size.total_bytes - size.used_bytes == free_blocks * block_bytes


def test_a_machine_without_proc_is_told_what_to_do(tmp_path):
    collector = DiskCollector(DiskConfig(), proc=tmp_path)

    with pytest.raises(NotPresent):
        collector.probe()
    with pytest.raises(ReadingUnavailable):
        collector.collect()


@pytest.mark.peer
def test_this_machine_agrees_with_df(require_program):
    readings = DiskCollector(DiskConfig()).collect()
    paths = [each.mount_path for each in readings]

    done = subprocess.run(
        [require_program("df"), "--block-size=1", "--output=target,size,used", "--", *paths],
        capture_output=True,
        check=True,
        text=True,
        timeout=30,
    )
    rows = [line.rsplit(maxsplit=2) for line in done.stdout.splitlines()[1:]]

    assert paths[0] == "/"
    assert [row[0] for row in rows] == paths
    for reading, (_, size, used) in zip(readings, rows, strict=True):
        assert reading.total_bytes == int(size)
        assert reading.used_bytes == pytest.approx(int(used), abs=256 * 2**20)
