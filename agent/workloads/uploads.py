"""Takes packages from files that somebody hands in."""

from __future__ import annotations

import contextlib
import io
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from agent.errors import TransientError
from agent.model.clock import Clock
from agent.model.workloads import Digests
from agent.transport.download import Cancellation
from agent.workloads import digests as digesting
from agent.workloads.arrival import Limits
from agent.workloads.package_folder import PackageFolder
from agent.workloads.part_file import PartFile

_PIECE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """Is a file that came whole and as announced; `check` raises if it is not wanted any more."""

    path: Path
    size_bytes: int
    check: Callable[[], None]


class Uploads:
    """Copies files into the folder of packages; safe in every thread."""

    def __init__(self, *, folder: PackageFolder, limits: Limits, clock: Clock) -> None:
        self._folder = folder
        self._limits = limits
        self._clock = clock
        self._lock = threading.Lock()
        self._running: set[Cancellation] = set()
        self._is_stopping = False

    @contextlib.contextmanager
    def receive(self, file: BinaryIO, generation: str, digests: Digests) -> Iterator[Upload]:
        """Give a copy of a file to the block; at its end the copy goes, unless it was renamed.

        Raises:
            PermanentError: it is not what was announced, or too large.
            NoRoomError, TransientError: it cannot be kept now.
        """
        cancellation = Cancellation()
        with self._lock:
            if self._is_stopping:
                raise TransientError("the agent stops")
            self._running.add(cancellation)
        try:
            size_bytes = self._copy(file, generation, digests, cancellation)
            yield Upload(
                path=self._folder.part(generation), size_bytes=size_bytes, check=cancellation.check
            )
        finally:
            with self._lock:
                self._running.discard(cancellation)
            self._folder.remove_part(generation)

    def stop(self) -> None:
        """End what is running, and take nothing more."""
        with self._lock:
            self._is_stopping = True
            for cancellation in self._running:
                cancellation.cancel("the agent stops")

    def _copy(
        self, file: BinaryIO, generation: str, digests: Digests, cancellation: Cancellation
    ) -> int:
        announced_bytes = _remaining_bytes(file)
        self._limits.check_size(announced_bytes)
        self._limits.space.check(announced_bytes)
        with PartFile(
            self._folder.part(generation),
            kept_bytes=0,
            digests=digests,
            clock=self._clock,
            on_synced=lambda _: None,
            check=cancellation.check,
        ) as part:
            while piece := _read(file):
                cancellation.check()
                self._limits.check_size(part.size_bytes + len(piece))
                part.write(piece)
            part.sync()
            digesting.compare(digests, part.digests(), size_bytes=part.size_bytes)
            return part.size_bytes


def _read(file: BinaryIO) -> bytes:
    try:
        return file.read(_PIECE_BYTES)
    except OSError as error:
        raise TransientError(f"the upload cannot be read: {error.strerror}") from error


def _remaining_bytes(file: BinaryIO) -> int:
    """Return how much a file still holds, 0 where it cannot tell."""
    try:
        here = file.tell()
        end = file.seek(0, io.SEEK_END)
        file.seek(here)
    except (OSError, ValueError):
        return 0
    return end - here
