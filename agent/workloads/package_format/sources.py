"""Bytes of an archive in their order: a part of a file, or what is in a gzip stream."""

from __future__ import annotations

import os
import zlib
from typing import Protocol

from agent.workloads.package_format.errors import PackageRefused

# Large enough that a piece costs more than the call; each is in memory several times on its way.
CHUNK_BYTES = 256 * 1024
GZIP_MAGIC = b"\x1f\x8b"
_GZIP_WINDOW = 31  # zlib's word for "a gzip header and its check sum"


class Packed(Protocol):
    """Gives the bytes of a gzip stream in their order."""

    @property
    def position(self) -> int:
        """How many bytes were read."""

    def read(self, size_bytes: int) -> bytes:
        """Return the next bytes, at least one; none at the end."""


class Source(Protocol):
    """Gives bytes in their order; belongs to one thread."""

    @property
    def position(self) -> int:
        """How many bytes were read or skipped."""

    @property
    def remaining_bytes(self) -> int | None:
        """How many bytes are left; None where that shows only at the end."""

    def read(self, size_bytes: int) -> bytes:
        """Return the next bytes; fewer than asked for only at the end."""

    def skip(self, size_bytes: int) -> int:
        """Pass over bytes and return how many there were; fewer only at the end."""


class FileRegion:
    """Reads a part of a file, and leaves the file's own position alone."""

    def __init__(self, descriptor: int, *, offset_bytes: int, size_bytes: int) -> None:
        self._descriptor = descriptor
        self._offset_bytes = offset_bytes
        self._size_bytes = size_bytes
        self._position = 0

    @property
    def position(self) -> int:
        """How many bytes were read or skipped."""
        return self._position

    @property
    def remaining_bytes(self) -> int:
        """How many bytes are left."""
        return self._size_bytes - self._position

    def read(self, size_bytes: int) -> bytes:
        """Return the next bytes.

        Raises:
            PackageRefused: the file is shorter than it was.
        """
        wanted = min(size_bytes, self.remaining_bytes)
        content = os.pread(self._descriptor, wanted, self._offset_bytes + self._position)
        self._position += len(content)
        while len(content) < wanted:
            more = os.pread(
                self._descriptor, wanted - len(content), self._offset_bytes + self._position
            )
            if not more:
                raise PackageRefused("the file became shorter while it was read")
            self._position += len(more)
            content += more
        return content

    def skip(self, size_bytes: int) -> int:
        """Pass over bytes without reading them."""
        passed = min(size_bytes, self.remaining_bytes)
        self._position += passed
        return passed

    def part(self, *, offset_bytes: int, size_bytes: int) -> FileRegion:
        """Return a part of this part, which must lie in it."""
        if offset_bytes < 0 or size_bytes < 0 or offset_bytes + size_bytes > self._size_bytes:
            raise PackageRefused("an archive says that a member reaches beyond its end")
        return FileRegion(
            self._descriptor, offset_bytes=self._offset_bytes + offset_bytes, size_bytes=size_bytes
        )


class GzipStream:
    """Inflates a gzip stream within bounds, and checks its sums.

    `maximum_bytes` bounds what comes out of it in all. Beyond `free_bytes`, `maximum_ratio` bounds
    what comes out for each byte that went in: a stream of nothing but zeros has about 1000.
    """

    def __init__(
        self,
        packed: Packed,
        *,
        what: str,
        maximum_bytes: int,
        maximum_ratio: float,
        free_bytes: int,
    ) -> None:
        self._packed = packed
        self._what = what
        self._maximum_bytes = maximum_bytes
        self._maximum_ratio = maximum_ratio
        self._free_bytes = free_bytes
        self._inflater = zlib.decompressobj(_GZIP_WINDOW)
        self._unread = b""
        self._inflated_bytes = 0
        self._position = 0
        self._is_over = False
        self._input = b""

    @property
    def position(self) -> int:
        """How many bytes were read or skipped."""
        return self._position

    @property
    def remaining_bytes(self) -> None:
        """Is not known before the end."""
        return

    def read(self, size_bytes: int) -> bytes:
        """Return the next bytes.

        Raises:
            PackageRefused: the stream is cut off or broken, or more comes out than is allowed.
        """
        parts = [self._unread[:size_bytes]]
        self._unread = self._unread[size_bytes:]
        missing = size_bytes - len(parts[0])
        while missing > 0 and not self._is_over:
            content = self._inflate()
            parts.append(content[:missing])
            if len(content) > missing:
                self._unread = content[missing:]
            missing -= len(parts[-1])
        content = b"".join(parts)
        self._position += len(content)
        return content

    def skip(self, size_bytes: int) -> int:
        """Pass over bytes, which have to be inflated all the same."""
        passed = 0
        while passed < size_bytes:
            content = self.read(min(CHUNK_BYTES, size_bytes - passed))
            if not content:
                break
            passed += len(content)
        return passed

    def _inflate(self) -> bytes:
        if not self._input:
            self._input = self._packed.read(CHUNK_BYTES)
            if not self._input:
                raise PackageRefused(f"{self._what} is cut off: its gzip stream has no end")
        try:
            content = self._inflater.decompress(self._input, CHUNK_BYTES)
        except zlib.error as error:
            raise PackageRefused(f"{self._what} is damaged: its gzip stream is broken") from error
        self._input = self._inflater.unconsumed_tail
        if self._inflater.eof:
            self._begin_another(self._inflater.unused_data)
        self._inflated_bytes += len(content)
        self._check_bounds()
        return content

    def _begin_another(self, rest: bytes) -> None:
        """Go on with the next gzip stream, if there is one behind the one that ended.

        Zeros may follow, as tape blocks leave them.
        """
        while not rest.strip(b"\0"):
            rest = self._packed.read(CHUNK_BYTES)
            if not rest:
                self._is_over = True
                return
        rest = rest.lstrip(b"\0") + self._packed.read(1)
        if not rest.startswith(GZIP_MAGIC):
            raise PackageRefused(f"{self._what} has something else behind its gzip stream")
        self._inflater = zlib.decompressobj(_GZIP_WINDOW)
        self._input = rest

    def _check_bounds(self) -> None:
        if self._inflated_bytes > self._maximum_bytes:
            raise PackageRefused(
                f"{self._what} inflates to more than {self._maximum_bytes} bytes, which is more "
                "than this agent takes"
            )
        allowed = self._free_bytes + self._maximum_ratio * self._packed.position
        if self._inflated_bytes > allowed:
            raise PackageRefused(
                f"{self._what} inflates to more than {self._maximum_ratio:g} times its size"
            )
