from __future__ import annotations

import os
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.system.mounts import Mount, parse_mountinfo, reachable, real_file_systems


def mount(path, *, device="8:1", file_system="ext4", source="/dev/sda1", identifier=0, parent=1):
    return Mount(
        identifier=identifier or zlib.crc32(path.encode()),
        parent_identifier=parent,
        device=device,
        mount_path=path,
        file_system=file_system,
        source=source,
    )


ROOT = mount("/", device="8:2", source="/dev/sda2", identifier=1, parent=0)


def listed(*mounts):
    return real_file_systems([ROOT, *mounts])


def escaped(field: bytes) -> bytes:
    """Write a field as the kernel does (mangle in fs/proc_namespace)."""
    return b"".join(b"\\%03o" % byte if byte in b" \t\n\\#" else bytes([byte]) for byte in field)


texts = st.binary(max_size=20).map(lambda raw: raw.replace(b"\0", b""))
words = st.text("abcz.", min_size=1, max_size=8).map(str.encode)


@given(
    path=texts,
    source=texts,
    file_system=words,
    optional=st.lists(st.sampled_from([b"shared:1", b"master:2", b"unbindable"]), max_size=3),
)
def test_what_the_kernel_wrote_is_read_back(path, source, file_system, optional):
    fields = [b"36", b"35", b"98:0", b"/sub", escaped(b"/" + path), b"rw,noatime", *optional]
    fields += [b"-", file_system, escaped(source), b"rw"]

    [parsed] = parse_mountinfo(b" ".join(fields) + b"\n")

    assert parsed == Mount(
        identifier=36,
        parent_identifier=35,
        device="98:0",
        mount_path=os.fsdecode(b"/" + path),
        file_system=file_system.decode(),
        source=os.fsdecode(source),
    )


@given(st.binary())
def test_any_bytes_are_read_or_left_out(content):
    real_file_systems(parse_mountinfo(content))


@given(
    st.lists(
        st.builds(
            mount,
            st.sampled_from(["/", "/a", "/a/b", "/a/b/c", "/d"]),
            identifier=st.integers(min_value=1, max_value=8),
            parent=st.integers(min_value=0, max_value=8),
            device=st.sampled_from(["0:1", "8:1", "8:2"]),
        )
    )
)
def test_root_is_always_listed_and_no_path_twice(mounts):
    paths = [path for paths in real_file_systems(mounts) for path in paths]

    assert paths[0] == "/"
    assert len(paths) == len(set(paths))


def test_an_octal_escape_is_a_byte():
    content = rb"1 0 8:1 / /mnt/my\040disk\134x rw - ext4 /dev/sda1 rw" + b"\n"

    assert parse_mountinfo(content)[0].mount_path == "/mnt/my disk\\x"


@pytest.mark.parametrize(
    "other",
    [
        mount("/nas", device="0:50", file_system="nfs4", source="server:/x"),
        mount("/share", device="0:50", file_system="cifs", source="//server/x"),
        mount("/ssh", device="0:50", file_system="fuse.sshfs", source="user@server:"),
        mount("/ceph", device="0:50", file_system="ceph", source="10.0.0.1:/"),
        mount("/gluster", device="0:50", file_system="fuse.glusterfs", source="server:/v"),
        mount("/lustre", device="0:50", file_system="lustre", source="mgs@tcp:/fs"),
        mount("/run", device="0:24", file_system="tmpfs", source="tmpfs"),
        mount("/proc", device="0:4", file_system="proc", source="proc"),
        mount("/var/lib/docker/overlay2/x/merged", device="0:60", file_system="overlay"),
        mount("/snap/core/1", device="7:3", file_system="squashfs", source="/dev/loop3"),
        mount("/mnt/image", device="7:4", file_system="ext4", source="/dev/loop4"),
        mount("/media/cd", device="11:0", file_system="iso9660", source="/dev/sr0"),
        mount("/var/log", device="253:1", file_system="ext4", source="/dev/zram1"),
        mount("/mnt/9p", device="0:70", file_system="9p", source="share"),
    ],
)
def test_what_is_no_storage_of_this_node_is_left_out(other):
    assert listed(other) == [("/",)]


@pytest.mark.parametrize(
    "other",
    [
        mount("/data", file_system="xfs", device="259:3", source="/dev/nvme0n1p3"),
        mount("/data", file_system="ext4", device="253:0", source="/dev/mapper/vg-lv"),
        mount("/data", file_system="fuseblk", device="8:17", source="/dev/sdb1"),
        mount("/data", file_system="btrfs", device="0:40", source="/dev/sdc"),
        mount("/data", file_system="zfs", device="0:41", source="tank/data"),
        mount("/data", file_system="ubifs", device="0:42", source="ubi0:data"),
        mount("/data", file_system="vfat", device="179:1", source="/dev/mmcblk0p1"),
    ],
)
def test_what_keeps_data_on_storage_of_this_node_is_listed(other):
    assert listed(other) == [("/",), ("/data",)]


def test_a_device_is_listed_once_under_its_shortest_path():
    assert listed(
        mount("/var/lib/kubelet/pods/1", device="8:9"),
        mount("/srv", device="8:9"),
        mount("/home", device="8:2"),  # a bind mount of the root device
        mount("/large/sub", device="0:40", file_system="btrfs", source="/dev/sdc"),
        mount("/big", device="0:40", file_system="btrfs", source="/dev/sdc"),
    ) == [("/", "/home"), ("/big", "/large/sub"), ("/srv", "/var/lib/kubelet/pods/1")]


def test_the_data_sets_of_a_pool_share_its_space_and_count_once():
    assert listed(
        mount("/tank", device="0:41", file_system="zfs", source="tank"),
        mount("/mnt/a", device="0:42", file_system="zfs", source="tank/a"),
        mount("/other", device="0:43", file_system="zfs", source="pool2/x"),
    ) == [("/",), ("/other",), ("/tank", "/mnt/a")]


@pytest.mark.parametrize("file_system", ["overlay", "9p", "virtiofs", "nfs4", "tmpfs", "squashfs"])
def test_root_is_listed_whatever_it_is(file_system):
    root = mount("/", device="0:30", file_system=file_system, source="x", identifier=1)

    assert real_file_systems([root]) == [("/",)]
    assert real_file_systems([]) == [("/",)]


def test_a_hidden_mount_is_not_taken_for_the_one_above_it():
    below = mount("/mnt", device="8:20", identifier=10)
    inner = mount("/mnt/inner", device="8:21", identifier=11, parent=10)
    above = mount("/mnt", device="8:22", identifier=12, parent=10)
    own = mount("/mnt/own", device="8:23", identifier=13, parent=12)

    assert reachable([ROOT, below, inner, above, own]) == {
        "/": ROOT,
        "/mnt": above,
        "/mnt/own": own,
    }
