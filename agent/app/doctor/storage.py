"""The disk of the state folder: its room, its files, and what kind of file system it is."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.app.doctor import accounts
from agent.app.doctor.check import Check, Finding, failed, ok, warning

NAME = "disk"
# Below this the database cannot be trusted to write.
LEAST_BYTES = 64 * 1024**2
LEAST_INODES = 1000
_GIB = 1024**3
_IN_MEMORY = frozenset({"tmpfs", "ramfs", "overlay", "squashfs"})
_NETWORK = frozenset({"nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "glusterfs", "ceph"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """Is a file system; `inodes_free` is None where it does not count them."""

    free_bytes: int
    total_bytes: int
    inodes_free: int | None
    kind: str
    is_read_only: bool


def check(state_dir: Path, *, minimum_free_gib: float) -> Check:
    """Return the check of the disk that holds the state folder."""

    def look() -> Sequence[Finding]:
        place = nearest(state_dir)
        return judge(read(place), place=place, minimum_free_gib=minimum_free_gib)

    return Check(name=NAME, look=look, deadline_seconds=6.0)


def nearest(path: Path) -> Path:
    """Return the path, or the folder nearest above it that is there."""
    return next((each for each in (path, *path.parents) if accounts.is_there(each)), Path("/"))


def read(place: Path, *, mountinfo: Path = Path("/proc/self/mountinfo")) -> Disk:
    """Return what the kernel says of the file system below a path; may hang on a dead mount."""
    found = os.statvfs(place)
    return Disk(
        free_bytes=found.f_bavail * found.f_frsize,
        total_bytes=found.f_blocks * found.f_frsize,
        inodes_free=found.f_favail if found.f_files else None,
        kind=kind_of(mountinfo.read_text("utf-8", "replace"), device=os.stat(place).st_dev),  # noqa: PTH116 - one call, no object
        is_read_only=bool(found.f_flag & os.ST_RDONLY),
    )


def kind_of(mountinfo: str, *, device: int) -> str:
    """Return the type of the file system on a device number, "unknown" where none is. Pure."""
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in mountinfo.splitlines():
        before, separator, after = line.partition(" - ")
        fields = before.split(" ")
        if separator and len(fields) > 4 and fields[2] == wanted:
            return after.split(" ")[0]
    return "unknown"


def judge(disk: Disk, *, place: Path, minimum_free_gib: float) -> Sequence[Finding]:
    """Return what is good and bad about a disk. Pure."""
    inodes = "" if disk.inodes_free is None else f", {disk.inodes_free} files more"
    free, total = disk.free_bytes / _GIB, disk.total_bytes / _GIB
    found = f"{place}: {disk.kind}, {free:.1f} of {total:.1f} GiB free{inodes}"
    if disk.is_read_only:
        return [
            failed(f"{found}, read-only", advice=f"mount it writable: dmesg, mount | grep {place}")
        ]
    if disk.free_bytes < LEAST_BYTES:
        return [failed(found, advice=f"make room: du -xsh {place}/* | sort -h")]
    if disk.inodes_free is not None and disk.inodes_free < LEAST_INODES:
        return [failed(found, advice="make room: it has blocks, but no inodes for more files")]
    if disk.kind in _IN_MEMORY:
        advice = "what the agent keeps is gone at the next boot: put node.state_dir on a real disk"
        return [warning(found, advice=advice)]
    if disk.kind in _NETWORK:
        advice = "a database on a network file system may be damaged: put node.state_dir on a disk"
        return [warning(found, advice=advice)]
    if disk.free_bytes < minimum_free_gib * _GIB:
        advice = (
            f"packages are refused below {minimum_free_gib:g} GiB "
            "(workloads.download.minimum_free_gib): make room, or delete packages"
        )
        return [warning(found, advice=advice)]
    return [ok(found)]
