"""The members of a tar, read one after the other; nothing is ever extracted.

What no package needs is refused and not repaired: two programs that read a broken archive in two
ways could otherwise be shown two packages in one file.
"""

from __future__ import annotations

import enum
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from agent.workloads.package_format.errors import PackageRefused
from agent.workloads.package_format.names import clean_name, shown
from agent.workloads.package_format.sources import Source

BLOCK_BYTES = tarfile.BLOCKSIZE
_LARGEST_EXTENSION_BYTES = 64 * 1024
_LONGEST_LENGTH = 8  # the digits before a PAX record, and the space
_MOST_EXTENSIONS = 8  # headers before one member: a long name, a long link, two of PAX
_LARGEST_TAIL_BYTES = 1024 * 1024
_ZERO_BLOCK = bytes(BLOCK_BYTES)

_PAX_LOCAL = {b"x", b"X"}
_PAX_GLOBAL = b"g"
_LONG_NAME, _LONG_LINK = b"L", b"K"
_EXTENSIONS = {*_PAX_LOCAL, _PAX_GLOBAL, _LONG_NAME, _LONG_LINK}
_SPECIAL = {
    b"3": "a device",
    b"4": "a device",
    b"6": "a named pipe",
    b"S": "a sparse file",
}


class MemberKind(enum.Enum):
    """Says what a member is; everything else is refused."""

    FILE = "file"
    FOLDER = "folder"
    SYMBOLIC_LINK = "symbolic link"
    HARD_LINK = "hard link"


_KINDS = {
    b"0": MemberKind.FILE,
    b"\0": MemberKind.FILE,
    b"7": MemberKind.FILE,
    b"5": MemberKind.FOLDER,
    b"2": MemberKind.SYMBOLIC_LINK,
    b"1": MemberKind.HARD_LINK,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """Is a member of an archive.

    `name` is a relative path without `.`, `..` or an empty part, "" for the archive's own root.
    `link` is where a link points to as it is written, None for what is no link. `offset_bytes` is
    where its content begins in the archive.
    """

    name: str
    kind: MemberKind
    size_bytes: int
    offset_bytes: int
    link: str | None = None


def read_members(
    source: Source, *, what: str, maximum_members: int, maximum_bytes: int
) -> Iterator[Member]:
    """Yield the members of a tar in their order.

    While a member is the last one yielded, the caller may read its content from `source`, which
    stands at its first byte; what is not read is skipped. `what` names the archive in errors,
    `maximum_bytes` bounds all contents together.

    Raises:
        PackageRefused: it is no tar, is cut off, or holds what no package needs.
    """
    seen: dict[str, MemberKind] = {}
    total_bytes = 0
    while True:
        member = _next_member(source, what=what)
        if member is None:
            break
        _check_unique(member, seen, what=what)
        if len(seen) > maximum_members:
            raise PackageRefused(f"{what} has more than {maximum_members} members")
        left = source.remaining_bytes
        if left is not None and member.size_bytes > left:
            raise _cut_off(what)
        total_bytes += member.size_bytes
        if total_bytes > maximum_bytes:
            raise PackageRefused(
                f"{what} holds more than {maximum_bytes} bytes, which is more than this agent takes"
            )
        end = member.offset_bytes + _padded(member.size_bytes)
        yield member
        rest = end - source.position
        # The padding of the last member may be missing: the end is missing then, too.
        if source.skip(rest) != rest:
            raise _cut_off(what)
    if not seen:
        raise PackageRefused(f"{what} is an archive without members")
    _check_tail(source, what=what)


def _check_unique(member: Member, seen: dict[str, MemberKind], *, what: str) -> None:
    before = seen.get(member.name)
    if before is not None and not (before is member.kind is MemberKind.FOLDER):
        raise PackageRefused(f"{what} has two members {shown(member.name)}")
    seen[member.name] = member.kind


def _check_tail(source: Source, *, what: str) -> None:
    """Let nothing but the zeros of the last tape block follow."""
    tail = source.read(_LARGEST_TAIL_BYTES + 1)
    if len(tail) > _LARGEST_TAIL_BYTES or tail.strip(b"\0"):
        raise PackageRefused(f"{what} has something else behind its end")


def _cut_off(what: str) -> PackageRefused:
    return PackageRefused(f"{what} is cut off, or a member's size in it is wrong")


def _next_member(source: Source, *, what: str) -> Member | None:
    name: str | None = None
    link: str | None = None
    pax: dict[str, str] = {}
    for _ in range(_MOST_EXTENSIONS + 1):
        block = source.read(BLOCK_BYTES)
        if len(block) < BLOCK_BYTES:
            if source.position < BLOCK_BYTES:
                raise PackageRefused(f"{what} is no tar: it has {len(block)} bytes")
            raise _cut_off(what)
        if block == _ZERO_BLOCK:
            if name is not None or link is not None or pax:
                raise _cut_off(what)
            return None
        header = _parse_header(block, what=what, at=source.position - BLOCK_BYTES)
        kind = block[156:157]
        if kind not in _EXTENSIONS:
            return _member(header, kind, source.position, _Extended(name, link, pax), what=what)
        content = _extension(source, header.size, what=what)
        if kind == _LONG_NAME:
            name = _text(content.rstrip(b"\0"), what=what)
        elif kind == _LONG_LINK:
            link = _text(content.rstrip(b"\0"), what=what)
        else:
            pax |= _parse_pax(content, is_global=kind == _PAX_GLOBAL, what=what)
    raise PackageRefused(f"{what} has too many extended headers before a member")


@dataclass(frozen=True, slots=True)
class _Extended:
    """Is what extended headers say of the member behind them."""

    name: str | None
    link: str | None
    pax: Mapping[str, str]


def _parse_header(block: bytes, *, what: str, at: int) -> tarfile.TarInfo:
    try:
        return tarfile.TarInfo.frombuf(block, "utf-8", "strict")
    except UnicodeDecodeError as error:
        raise PackageRefused(f"{what} has a name in it that is not UTF-8") from error
    except (tarfile.TarError, ValueError, ArithmeticError) as error:
        where = "is no tar" if at == 0 else f"is damaged at byte {at}"
        raise PackageRefused(f"{what} {where}: there is no valid header") from error


def _extension(source: Source, size_bytes: int, *, what: str) -> bytes:
    if not 0 <= size_bytes <= _LARGEST_EXTENSION_BYTES:
        raise PackageRefused(
            f"{what} has an extended header of {size_bytes} bytes; at most "
            f"{_LARGEST_EXTENSION_BYTES} are taken"
        )
    content = source.read(_padded(size_bytes))
    if len(content) < _padded(size_bytes):
        raise _cut_off(what)
    return content[:size_bytes]


def _parse_pax(content: bytes, *, is_global: bool, what: str) -> dict[str, str]:
    """Return path, linkpath and size of a PAX header; the others change nothing that is read."""
    found: dict[str, str] = {}
    broken = PackageRefused(f"{what} has a PAX header that is broken")
    start = 0
    while start < len(content):
        space = content.find(b" ", start, start + _LONGEST_LENGTH)
        digits = content[start : max(space, start)]
        end = start + int(digits) if digits.isdigit() else 0
        record = content[space + 1 : end]
        keyword, equals, value = record.partition(b"=")
        if end > len(content) or not record.endswith(b"\n") or not equals:
            raise broken
        start = end
        if keyword.startswith(b"GNU.sparse."):
            raise PackageRefused(f"{what} holds a sparse file; pack it without --sparse")
        if keyword in {b"path", b"linkpath", b"size"}:
            if is_global:
                raise PackageRefused(f"{what} has a PAX header that renames every member")
            found[keyword.decode()] = _text(value[:-1], what=what)
    return found


def _text(content: bytes, *, what: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise PackageRefused(f"{what} has a name in it that is not UTF-8") from error


def _member(
    header: tarfile.TarInfo, type_flag: bytes, offset: int, extended: _Extended, *, what: str
) -> Member:
    raw = extended.pax.get("path", extended.name if extended.name is not None else header.name)
    name = clean_name(raw, what=what)
    # Archives of the seventh edition write a folder as a file with a slash behind its name.
    kind = _KINDS.get(b"5" if header.isdir() else type_flag)
    if kind is None:
        is_what = _SPECIAL.get(type_flag, "of a kind that no package needs")
        raise PackageRefused(f"{what}: {shown(name)} is {is_what}")
    size_bytes = header.size
    if "size" in extended.pax:
        digits = extended.pax["size"]
        size_bytes = (
            int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 20 else -1
        )
    if size_bytes < 0:
        raise PackageRefused(f"{what}: the size of {shown(name)} is no number of bytes")
    if kind is not MemberKind.FILE and size_bytes > 0:
        raise PackageRefused(f"{what}: {shown(name)} is a {kind.value} with a content")
    if kind is MemberKind.FILE and not name:
        raise PackageRefused(f"{what} has a file without a name")
    link = None
    if kind in {MemberKind.SYMBOLIC_LINK, MemberKind.HARD_LINK}:
        written = extended.link if extended.link is not None else header.linkname
        link = extended.pax.get("linkpath", written)
    return Member(name=name, kind=kind, size_bytes=size_bytes, offset_bytes=offset, link=link)


def _padded(size_bytes: int) -> int:
    return -(-size_bytes // BLOCK_BYTES) * BLOCK_BYTES
