"""Keeps a file on its way in, and the digests of what is there of it."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType

from agent.errors import AgentError, NoRoomError, TransientError
from agent.model.clock import Clock
from agent.model.workloads import Digests
from agent.workloads import digests as digesting

_PIECE_BYTES = 1 << 20
_SYNC_BYTES = 64 << 20
_SYNC_SECONDS = 5.0
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class PartFile:
    """Is a file of which the first bytes are here; of one thread at a time.

    It opens with at most `kept_bytes` of what is there, since only so much is known to have reached
    the disk, and reads them for the digests; `check` is called meanwhile, and what it raises ends
    that. Now and then what was written is brought to the disk beside the writing, and `on_synced`
    told how much: from another thread, one at a time.

    Raises:
        NoRoomError: the disk is full.
        TransientError: the disk does not work now.
        PermanentError: this machine cannot compute one of the digests.
    """

    def __init__(
        self,
        path: Path,
        *,
        kept_bytes: int,
        digests: Digests,
        clock: Clock,
        on_synced: Callable[[int], None],
        check: Callable[[], None],
    ) -> None:
        self.path = path
        self._digests = digests
        self._clock = clock
        self._on_synced = on_synced
        self._hashes = digesting.new_hashes(digests)
        self._sync_thread: threading.Thread | None = None
        self._sync_failure: AgentError | None = None
        self._synced_at = clock.monotonic()
        with _disk_words(path):
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            with _disk_words(path):
                self.size_bytes = min(os.fstat(self._descriptor).st_size, kept_bytes)
                os.ftruncate(self._descriptor, self.size_bytes)
                sync_folder(path.parent)
                self._read_again(check)
        except BaseException:
            os.close(self._descriptor)
            raise
        self._sync_began_bytes = self.size_bytes
        # What the row says; None where it has yet to be told.
        self._synced_bytes: int | None = None

    def __enter__(self) -> PartFile:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.close()

    def write(self, piece: bytes) -> None:
        """Append bytes; after an error, `size_bytes` of them are there."""
        self._raise_sync_failure()
        view = memoryview(piece)
        done = 0
        try:
            with _disk_words(self.path):
                while done < len(view):
                    done += os.write(self._descriptor, view[done:])
        finally:
            for each in self._hashes.values():
                each.update(view[:done])
            self.size_bytes += done
        self._sync_beside()

    def restart(self) -> None:
        """Throw away what is there."""
        self._wait_for_sync()
        self._sync_failure = None
        # The row first: it must never promise bytes that are not those of this beginning. Where
        # the disk has no room for the row, the file has to make some.
        with contextlib.suppress(NoRoomError):
            self._on_synced(0)
        with _disk_words(self.path):
            os.ftruncate(self._descriptor, 0)
            os.lseek(self._descriptor, 0, os.SEEK_SET)
        self.size_bytes = self._sync_began_bytes = 0
        self._synced_bytes = None
        self._hashes = digesting.new_hashes(self._digests)

    def sync(self) -> None:
        """Return when everything written is on the disk."""
        self._wait_for_sync()
        self._raise_sync_failure()
        if self._synced_bytes == self.size_bytes:
            return
        with _disk_words(self.path):
            os.fsync(self._descriptor)
        self._on_synced(self.size_bytes)
        self._synced_bytes = self._sync_began_bytes = self.size_bytes

    def computes(self, digests: Digests) -> bool:
        """Tell whether it computes what these digests are to be compared with."""
        return digesting.given(digests).keys() <= self._hashes.keys()

    def digests(self) -> dict[str, str]:
        """Return the digests of what is there, by the name of the algorithm."""
        return {name: each.hexdigest() for name, each in self._hashes.items()}

    def close(self) -> None:
        """Close the file; may be called twice."""
        self._wait_for_sync()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _read_again(self, check: Callable[[], None]) -> None:
        buffer = memoryview(bytearray(_PIECE_BYTES))
        read_bytes = 0
        while read_bytes < self.size_bytes:
            check()
            count = os.readv(self._descriptor, [buffer[: self.size_bytes - read_bytes]])
            if count == 0:
                raise OSError(errno.EIO, "the file became shorter while it was read")
            for each in self._hashes.values():
                each.update(buffer[:count])
            read_bytes += count

    def _sync_beside(self) -> None:
        now = self._clock.monotonic()
        is_due = (
            self.size_bytes - self._sync_began_bytes >= _SYNC_BYTES
            or now - self._synced_at >= _SYNC_SECONDS
        )
        if not is_due or (self._sync_thread is not None and self._sync_thread.is_alive()):
            return
        self._synced_at = now
        self._sync_began_bytes = self.size_bytes
        self._sync_thread = threading.Thread(
            target=self._sync_so_far, args=(self.size_bytes,), name="package-sync", daemon=True
        )
        self._sync_thread.start()

    def _sync_so_far(self, size_bytes: int) -> None:
        try:
            with _disk_words(self.path):
                os.fsync(self._descriptor)
            self._on_synced(size_bytes)
            self._synced_bytes = size_bytes
        except AgentError as error:
            self._sync_failure = error

    def _wait_for_sync(self) -> None:
        if self._sync_thread is not None:
            self._sync_thread.join()
            self._sync_thread = None

    def _raise_sync_failure(self) -> None:
        failure, self._sync_failure = self._sync_failure, None
        if failure is not None:
            raise failure


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _disk_words(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise NoRoomError(f"no room on the disk of {path.parent}") from error
        raise TransientError(f"{path.name} in {path.parent}: {error.strerror}") from error
