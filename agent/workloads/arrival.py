"""Takes a package from the network to its file, within all limits."""

from __future__ import annotations

from collections.abc import Callable

from agent.errors import PermanentError
from agent.transport.download import Beginning, Cancellation
from agent.workloads.free_space import FreeSpace
from agent.workloads.part_file import PartFile
from agent.workloads.rates import TokenBucket

# Between two looks at the disk.
_LOOK_BYTES = 16 << 20


class TooLarge(PermanentError):  # noqa: N818 - named by what it says
    """Says that a package is larger than this node takes; what is there of it is of no use."""


class Limits:
    """Holds what bounds every package that comes in: its size, the disk, and the rate."""

    def __init__(self, *, maximum_bytes: int, space: FreeSpace, bucket: TokenBucket) -> None:
        self.maximum_bytes = maximum_bytes
        self.space = space
        self.bucket = bucket

    def check_size(self, size_bytes: int) -> None:
        """Raise TooLarge for a package that this node can never take."""
        if size_bytes > self.maximum_bytes:
            raise TooLarge(
                f"the package is larger than {self.maximum_bytes} bytes, the limit of "
                "workloads.package_maximum_gib"
            )
        try:
            self.space.check_ever(size_bytes)
        except PermanentError as error:
            raise TooLarge(error.reason) from error


class Arrival:
    """Is the sink of one transfer.

    `on_beginning` is told what the server says of the file, `on_bytes` how much is here after each
    piece.
    """

    def __init__(
        self,
        part: PartFile,
        *,
        limits: Limits,
        cancellation: Cancellation,
        on_beginning: Callable[[Beginning], None],
        on_bytes: Callable[[int], None],
    ) -> None:
        self._part = part
        self._limits = limits
        self._cancellation = cancellation
        self._on_beginning = on_beginning
        self._on_bytes = on_bytes
        self._size_bytes: int | None = None
        self._looked_at_bytes = 0

    def begin(self, beginning: Beginning) -> None:
        """Make ready for the bytes from this offset."""
        if beginning.total_bytes is not None:
            self._limits.check_size(beginning.total_bytes)
        if beginning.offset_bytes == 0:
            self._part.restart()
        self._size_bytes = beginning.total_bytes
        self._on_beginning(beginning)
        self._look()

    def write(self, piece: bytes) -> None:
        """Take the next bytes, and wait where they came faster than all may together."""
        self._cancellation.check()
        if self._part.size_bytes + len(piece) > self._limits.maximum_bytes:
            self._limits.check_size(self._part.size_bytes + len(piece))
        self._part.write(piece)
        self._on_bytes(self._part.size_bytes)
        if self._part.size_bytes - self._looked_at_bytes >= _LOOK_BYTES:
            self._look()
        wait_seconds = self._limits.bucket.take(len(piece))
        if wait_seconds > 0.0:
            self._cancellation.pause(wait_seconds)

    def _look(self) -> None:
        here_bytes = self._part.size_bytes
        self._looked_at_bytes = here_bytes
        self._limits.space.check(0 if self._size_bytes is None else self._size_bytes - here_bytes)
