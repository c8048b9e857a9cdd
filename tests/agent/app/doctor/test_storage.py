"""The disk of the state folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.app.doctor import storage
from agent.app.doctor.check import State
from agent.app.doctor.storage import Disk

GIB = 1024**3


def disk(**changes):
    values = {
        "free_bytes": 50 * GIB,
        "total_bytes": 100 * GIB,
        "inodes_free": 100_000,
        "kind": "ext4",
        "is_read_only": False,
    }
    return Disk(**{**values, **changes})


def judge(one):
    (found,) = storage.judge(one, place=Path("/var/lib"), minimum_free_gib=2.0)
    return found


@pytest.mark.parametrize(
    ("changes", "state", "says"),
    [
        ({}, State.OK, None),
        ({"inodes_free": None, "kind": "btrfs"}, State.OK, None),
        ({"free_bytes": GIB}, State.WARNING, "packages are refused below 2 GiB"),
        ({"free_bytes": 1000}, State.FAILED, "make room"),
        ({"inodes_free": 3}, State.FAILED, "no inodes"),
        ({"is_read_only": True}, State.FAILED, "mount it writable"),
        ({"kind": "tmpfs"}, State.WARNING, "gone at the next boot"),
        ({"kind": "nfs4"}, State.WARNING, "network file system"),
    ],
)
def test_what_a_disk_lacks_is_told(changes, state, says):
    found = judge(disk(**changes))
    assert found.state is state
    assert (found.advice is None) if says is None else (says in found.advice)


def test_the_disk_of_a_folder_that_is_not_there_yet_is_that_of_the_nearest(tmp_path):
    assert storage.nearest(tmp_path / "a/b/c") == tmp_path
    found = storage.read(storage.nearest(tmp_path / "a/b/c"))
    assert found.total_bytes >= found.free_bytes > 0


def test_the_kind_of_a_file_system_is_found_by_its_device():
    text = (
        "22 28 0:20 / /sys rw,nosuid shared:7 - sysfs sysfs rw\n"
        "28 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
        "broken line\n"
    )
    assert storage.kind_of(text, device=os.makedev(8, 1)) == "ext4"
    assert storage.kind_of(text, device=os.makedev(9, 9)) == "unknown"
