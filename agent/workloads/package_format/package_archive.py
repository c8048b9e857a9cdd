"""The file of a package: a plain tar with algo.yaml at its root."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from agent.errors import TransientError
from agent.model.workloads import Manifest
from agent.workloads.package_format.archive import Member, MemberKind, read_members
from agent.workloads.package_format.errors import PackageRefused
from agent.workloads.package_format.limits import InspectionLimits
from agent.workloads.package_format.manifest import LARGEST_MANIFEST_BYTES, MANIFEST_NAME
from agent.workloads.package_format.names import shown
from agent.workloads.package_format.sources import FileRegion

PACKAGE = "the package"
_HEAD_BYTES = 512
_BEGINNINGS = (
    (
        b"\x1f\x8b",
        "is compressed with gzip; unpack it first (gunzip), or compress the image in it instead: a "
        "package is a plain tar, so that nothing has to be unpacked to read it",
    ),
    (b"PK\x03\x04", "is a ZIP archive, not a tar"),
    (b"\x28\xb5\x2f\xfd", "is compressed with zstd; a package is a plain tar"),
    (b"\xfd7zXZ", "is compressed with xz; a package is a plain tar"),
    (b"BZh", "is compressed with bzip2; a package is a plain tar"),
    (b"7z\xbc\xaf", "is a 7-Zip archive, not a tar"),
    (b"Rar!", "is a RAR archive, not a tar"),
    (b"<", "is a web page or XML, not a tar; does its address want a login?"),
    (b"{", "is JSON, not a tar; does its address answer with an error?"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageContents:
    """Is what stands in a package; `manifest` is algo.yaml as it is written."""

    manifest: bytes
    members: tuple[Member, ...]


@contextmanager
def open_package(path: Path) -> Iterator[FileRegion]:
    """Open a package's file for reading.

    Raises:
        PackageRefused: it is no regular file, or empty.
        TransientError: it cannot be read; says why.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "this is no path"
        raise TransientError(f"{path} cannot be opened: {reason}") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise PackageRefused(f"{PACKAGE} is no regular file")
        if status.st_size == 0:
            raise PackageRefused(f"{PACKAGE} is empty")
        yield FileRegion(descriptor, offset_bytes=0, size_bytes=status.st_size)
    except OSError as error:
        raise TransientError(f"{path} cannot be read: {error.strerror}") from error
    finally:
        os.close(descriptor)


def read_contents(region: FileRegion, *, limits: InspectionLimits) -> PackageContents:
    """Return what stands in a package; what its members hold is skipped.

    Raises:
        PackageRefused: it is no tar, has a member that no package needs, or no algo.yaml.
    """
    size_bytes = region.remaining_bytes
    head = region.part(offset_bytes=0, size_bytes=min(_HEAD_BYTES, size_bytes)).read(_HEAD_BYTES)
    for beginning, words in _BEGINNINGS:
        # A member may have such a name; then a tar's header stands around it.
        if head.lstrip().startswith(beginning) and head[257:262] != b"ustar":
            raise PackageRefused(f"{PACKAGE} {words}")
    source = region.part(offset_bytes=0, size_bytes=size_bytes)
    members: list[Member] = []
    manifest: bytes | None = None
    for member in read_members(
        source,
        what=PACKAGE,
        maximum_members=limits.package_members,
        maximum_bytes=size_bytes,
    ):
        if member.link is not None:
            raise PackageRefused(f"{PACKAGE}: {shown(member.name)} is a {member.kind.value}")
        if member.name == MANIFEST_NAME and member.kind is MemberKind.FILE:
            if member.size_bytes > LARGEST_MANIFEST_BYTES:
                raise PackageRefused(
                    f"{MANIFEST_NAME} is larger than {LARGEST_MANIFEST_BYTES} bytes"
                )
            manifest = source.read(member.size_bytes)
        members.append(member)
    if manifest is None:
        raise PackageRefused(_missing_manifest(members))
    return PackageContents(manifest=manifest, members=tuple(members))


def _missing_manifest(members: list[Member]) -> str:
    said = f"{PACKAGE} has no {MANIFEST_NAME} at its root"
    for member in members:
        if member.name.endswith("/" + MANIFEST_NAME) or member.name == "algo.yml":
            return f"{said}; there is {shown(member.name)}"
    if any(member.name in {"manifest.json", "index.json"} for member in members):
        return f"{said}; it is an image archive, which belongs into a package"
    return said


def find_member(contents: PackageContents, manifest: Manifest) -> Member:
    """Return the member that algo.yaml names.

    Raises:
        PackageRefused: the package does not have it, or it is no file.
    """
    key = manifest.type.value
    for member in contents.members:
        if member.name == manifest.member and member.kind is MemberKind.FILE:
            return member
    raise PackageRefused(
        f"{PACKAGE} has no file {shown(manifest.member)}, which {MANIFEST_NAME} names as its {key}"
    )
