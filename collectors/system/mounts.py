"""Which file systems are real: /proc/self/mountinfo (proc_pid_mountinfo(5)), read and judged.

Pure: nothing here touches a file system, because any of them may hang.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# File systems that keep data on devices of their own but have no device number of one.
_WITHOUT_DEVICE_NUMBER = frozenset({"btrfs", "bcachefs", "ubifs", "zfs"})

# Block devices do not make these storage of this node: images that are never written, and file
# systems whose block device is reached through other nodes.
_IMAGES = frozenset({"cramfs", "erofs", "iso9660", "romfs", "squashfs", "udf"})
_NETWORK = frozenset({"gfs", "gfs2", "lustre", "ocfs2"})

_LOOP_MAJOR = "7"
_MEMORY_DEVICE = re.compile(r"/dev/(z?ram)\d+$")
_ESCAPE = re.compile(rb"\\([0-3][0-7]{2})")
_FIELDS_BEFORE_OPTIONAL = 6
_FIELDS_AFTER_SEPARATOR = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """Is one line of mountinfo; `device` is `major:minor`, major 0 where no device is behind."""

    identifier: int
    parent_identifier: int
    device: str
    mount_path: str
    file_system: str
    source: str


def parse_mountinfo(content: bytes) -> list[Mount]:
    """Return every mount in the file's order; lines that are not in its form are left out."""
    mounts = []
    for line in content.split(b"\n"):
        fields = line.split(b" ")
        try:
            separator = fields.index(b"-", _FIELDS_BEFORE_OPTIONAL)
            identifier, parent_identifier = int(fields[0]), int(fields[1])
        except ValueError:
            continue
        if len(fields) < separator + 1 + _FIELDS_AFTER_SEPARATOR:
            continue
        mounts.append(
            Mount(
                identifier=identifier,
                parent_identifier=parent_identifier,
                device=_text(fields[2]),
                mount_path=_text(fields[4]),
                file_system=_text(fields[separator + 1]),
                source=_text(fields[separator + 2]),
            )
        )
    return mounts


def reachable(mounts: Iterable[Mount]) -> dict[str, Mount]:
    """Return the mounts that a path leads to, by mount path.

    A mount hides what was mounted at its path before, and everything below that: asking a hidden
    path would give the figures of another file system.
    """
    listed = list(mounts)
    parents = {mount.identifier: mount.parent_identifier for mount in listed}
    on_top = {mount.mount_path: mount for mount in listed}
    return {
        path: mount
        for path, mount in on_top.items()
        if _ancestors(mount, parents).issuperset(
            on_top[above].identifier for above in _paths_above(path) if above in on_top
        )
    }


def real_file_systems(mounts: Iterable[Mount]) -> list[tuple[str, ...]]:
    """Return the mount paths of each real file system, shortest first, one tuple a device.

    Real is what keeps data on storage of this node: a block device, or btrfs, zfs and the like.
    Left out are network file systems, memory (tmpfs, zram), the layers of containers (overlay),
    images (squashfs, everything on a loop device: its bytes lie in a file of another file system).
    A device counts once, whether it is mounted twice, bind-mounted or divided into subvolumes;
    of a zfs pool, whose data sets share one free space, it is the pool that counts once.

    `/` is always there, whatever it is: in a container or a virtual machine it may be an overlay
    or a share of the host, and a node without any disk would be no less wrong.
    """
    by_device: dict[str, list[str]] = {}
    for path, mount in reachable(mounts).items():
        if path == "/" or _is_real(mount):
            by_device.setdefault(_device_key(mount), []).append(path)
    groups = [tuple(sorted(paths, key=_by_length)) for paths in by_device.values()]
    if not any(paths[0] == "/" for paths in groups):
        groups.append(("/",))
    return sorted(groups)


def _is_real(mount: Mount) -> bool:
    major = mount.device.partition(":")[0]
    if mount.file_system in _IMAGES | _NETWORK or major == _LOOP_MAJOR:
        return False
    if _MEMORY_DEVICE.match(mount.source):
        return False
    return major != "0" or mount.file_system in _WITHOUT_DEVICE_NUMBER


def _device_key(mount: Mount) -> str:
    if mount.file_system == "zfs":
        return f"zfs {mount.source.partition('/')[0]}"
    return mount.device


def _by_length(path: str) -> tuple[int, str]:
    return len(path), path


def _paths_above(path: str) -> Sequence[str]:
    if path == "/":
        return ()
    parts = path.split("/")
    return ["/".join(parts[:count]) or "/" for count in range(1, len(parts))]


def _ancestors(mount: Mount, parents: dict[int, int]) -> set[int]:
    found: set[int] = set()
    identifier = mount.parent_identifier
    while identifier in parents and identifier not in found:
        found.add(identifier)
        identifier = parents[identifier]
    return found


def _text(field: bytes) -> str:
    """Return a field without its octal escapes, decoded as Python decodes paths."""
    return os.fsdecode(_ESCAPE.sub(lambda match: bytes([int(match[1], 8)]), field))
