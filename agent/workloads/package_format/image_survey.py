"""What stands where in an image archive: one pass over it, with bounded memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from agent.workloads.package_format.archive import BLOCK_BYTES, MemberKind, read_members
from agent.workloads.package_format.errors import PackageRefused
from agent.workloads.package_format.limits import InspectionLimits
from agent.workloads.package_format.names import linked_name, shown
from agent.workloads.package_format.sources import (
    CHUNK_BYTES,
    GZIP_MAGIC,
    FileRegion,
    GzipStream,
    Source,
)

LARGEST_DOCUMENT_BYTES = 1024 * 1024
_DOCUMENTS_BYTES = 4 * 1024 * 1024
_MOST_LINKS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class SurveyedFile:
    """Is a file of an image archive; `head` are its first bytes, at most one tar block."""

    name: str
    size_bytes: int
    offset_bytes: int
    head: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """Holds what stands in an image archive.

    `links` leads from each link to the member that it names. `documents` are the contents of the
    small files that look like JSON. `inflated_bytes` is how large all files are without their
    compression, None where that was not measured. `what` names the archive in errors.
    """

    what: str
    is_compressed: bool
    files: Mapping[str, SurveyedFile]
    links: Mapping[str, str]
    documents: Mapping[str, bytes]
    inflated_bytes: int | None

    def find(self, name: str) -> SurveyedFile | None:
        """Return the file that a name leads to, over links too; None where there is none."""
        for _ in range(_MOST_LINKS + 1):
            if name in self.files:
                return self.files[name]
            if name not in self.links:
                return None
            name = self.links[name]
        return None

    def document(self, name: str) -> bytes:
        """Return the content of a small JSON file.

        Raises:
            PackageRefused: it is missing, too large, or something else.
        """
        file = self.find(name)
        if file is None:
            raise PackageRefused(f"{self.what} has no {shown(name)}")
        if file.size_bytes > LARGEST_DOCUMENT_BYTES:
            raise PackageRefused(
                f"{self.what}: {shown(name)} is larger than {LARGEST_DOCUMENT_BYTES} bytes"
            )
        content = self.documents.get(file.name)
        if content is None:
            raise PackageRefused(f"{self.what}: {shown(name)} is not JSON")
        return content


def open_source(region: FileRegion, *, what: str, limits: InspectionLimits) -> Source:
    """Return the tar of an image archive, whether or not it is in gzip; read it once."""
    head = region.part(offset_bytes=0, size_bytes=min(2, region.remaining_bytes)).read(2)
    if head != GZIP_MAGIC:
        return region.part(offset_bytes=0, size_bytes=region.remaining_bytes)
    return GzipStream(
        region.part(offset_bytes=0, size_bytes=region.remaining_bytes),
        what=what,
        maximum_bytes=limits.image_bytes,
        maximum_ratio=limits.inflation_ratio,
        free_bytes=limits.free_inflated_bytes,
    )


def survey(region: FileRegion, *, what: str, limits: InspectionLimits, measures: bool) -> Survey:
    """Return what stands in an image archive.

    With `measures`, what is in gzip in it is inflated to see how large it is and whether it is
    whole; without, only where the files are is found.

    Raises:
        PackageRefused: it is no tar, breaks a limit, or a link leaves it.
    """
    source = open_source(region, what=what, limits=limits)
    files: dict[str, SurveyedFile] = {}
    links: dict[str, str] = {}
    documents: dict[str, bytes] = {}
    kept_bytes = 0
    inflated_bytes = 0
    for member in read_members(
        source, what=what, maximum_members=limits.image_members, maximum_bytes=limits.image_bytes
    ):
        if member.link is not None:
            is_symbolic = member.kind is MemberKind.SYMBOLIC_LINK
            links[member.name] = linked_name(
                member.name, member.link, what=what, is_symbolic=is_symbolic
            )
        if member.kind is not MemberKind.FILE:
            continue
        head = source.read(min(BLOCK_BYTES, member.size_bytes))
        files[member.name] = SurveyedFile(
            name=member.name,
            size_bytes=member.size_bytes,
            offset_bytes=member.offset_bytes,
            head=head,
        )
        if head.lstrip()[:1] in {b"{", b"["} and member.size_bytes <= LARGEST_DOCUMENT_BYTES:
            kept_bytes += member.size_bytes
            if kept_bytes > _DOCUMENTS_BYTES:
                raise PackageRefused(f"{what} has more than {_DOCUMENTS_BYTES} bytes of JSON in it")
            documents[member.name] = head + source.read(member.size_bytes - len(head))
        if measures and head.startswith(GZIP_MAGIC):
            packed = _Rest(source, head=head, size_bytes=member.size_bytes)
            inner = f"{what}: {shown(member.name)}"
            left = limits.image_bytes - inflated_bytes
            inflated_bytes += _inflated_size(packed, what=inner, limits=limits, left_bytes=left)
        else:
            inflated_bytes += member.size_bytes
    return Survey(
        what=what,
        is_compressed=isinstance(source, GzipStream),
        files=files,
        links=links,
        documents=documents,
        inflated_bytes=inflated_bytes if measures else None,
    )


class _Rest:
    """Reads one member of an archive, whose head was read already."""

    def __init__(self, source: Source, *, head: bytes, size_bytes: int) -> None:
        self._source = source
        self._head = head
        self._left_bytes = size_bytes - len(head)
        self.position = 0

    def read(self, size_bytes: int) -> bytes:
        if self._head:
            content, self._head = self._head, b""
        else:
            content = self._source.read(min(size_bytes, self._left_bytes))
            self._left_bytes -= len(content)
        self.position += len(content)
        return content


def _inflated_size(packed: _Rest, *, what: str, limits: InspectionLimits, left_bytes: int) -> int:
    stream = GzipStream(
        packed,
        what=what,
        maximum_bytes=left_bytes,
        maximum_ratio=limits.inflation_ratio,
        free_bytes=limits.free_inflated_bytes,
    )
    if stream.read(len(GZIP_MAGIC)) == GZIP_MAGIC:
        raise PackageRefused(f"{what} is compressed twice")
    while stream.skip(CHUNK_BYTES):
        pass
    return stream.position
