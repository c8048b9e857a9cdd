"""Bodies too large for memory: who may send one, and where it lies until it is answered."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from agent.errors import NoRoomError, TransientError
from agent.transport.refusals import Refusal

# Free space is looked at again after so much, so that others who fill the disk are noticed.
_LOOK_EVERY_BYTES = 64 * 1024 * 1024
_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadAllowance:
    """Is the permission to send one large body.

    Every stretch of the listener's `request_seconds` has to bring `minimum_bytes_per_second`.
    `granted_to` is handed to the application as `computility.granted_to` in its environment: what
    was found out about the caller at the headers holds until the body is whole.
    """

    maximum_bytes: int
    minimum_bytes_per_second: int
    granted_to: object = None


# (method, path, headers, address of the client) → an allowance; a refusal; or None, and then the
# listener's ordinary limit holds. Header names are in upper case with underscores, as in WSGI.
# Called in the listener's thread, at the end of the headers of a body that may be large.
Admit = Callable[[str, str, Mapping[str, str], str], "UploadAllowance | Refusal | None"]


class UploadFolder:
    """Keeps large bodies on disk while they come in and are answered; safe in every thread.

    Their files have no name: they are gone when they are closed, and after a power cut. A body is
    let in only while there is room for it twice, since what is taken from it is written once more,
    and `minimum_free_bytes` stay free.
    """

    def __init__(self, path: Path, *, minimum_free_bytes: int, parallel: int = 2) -> None:
        self._path = path
        self._minimum_free_bytes = minimum_free_bytes
        self._parallel = parallel
        self._lock = threading.Lock()
        self._open: set[Spool] = set()

    @property
    def open_count(self) -> int:
        """Return how many bodies are kept now."""
        return len(self._open)

    def prepare(self) -> None:
        """Make the folder, and empty it of what another program left.

        Raises:
            OSError: the folder cannot be made or read.
        """
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in self._path.iterdir():
            left.unlink()

    def open(self, *, expected_bytes: int | None) -> Spool:
        """Return a place for one body, whose length is None where it is not known.

        Raises:
            TransientError: as many bodies as may be are coming in already.
            NoRoomError: the disk has no room for it.
        """
        with self._lock:
            if len(self._open) >= self._parallel:
                raise TransientError(
                    f"{self._parallel} uploads are on their way already; try again later",
                    retry_after_seconds=30,
                )
            try:
                self._check_room(expected_bytes or 0)
                file = tempfile.TemporaryFile(dir=self._path, buffering=0)  # noqa: SIM115
            except OSError as error:
                raise NoRoomError(f"no room for the upload: {error.strerror}") from error
            spool = Spool(file, folder=self, expected_bytes=expected_bytes or 0)
            self._open.add(spool)
            return spool

    def check_room(self, spool: Spool) -> None:
        """Return if there is room for what is still to come of a body; else raise NoRoomError."""
        with self._lock:
            if spool in self._open:
                self._check_room(0)

    def released(self, spool: Spool) -> None:
        """Note that a body is no longer kept."""
        with self._lock:
            self._open.discard(spool)

    def _check_room(self, more_bytes: int) -> None:
        status = os.statvfs(self._path)
        free_bytes = status.f_bavail * status.f_frsize
        promised_bytes = sum(each.owed_bytes for each in self._open)
        missing = promised_bytes + 2 * more_bytes + self._minimum_free_bytes - free_bytes
        if missing > 0:
            raise NoRoomError(
                f"the disk lacks {-(-missing // _MIB)} MiB for this upload: it needs twice its "
                f"length, and {self._minimum_free_bytes // _MIB} MiB stay free"
            )


class Spool:
    """Is one large body on disk: the buffer that waitress' receivers write to.

    The listener's thread appends; one worker reads when all is there. Closing it, by either, frees
    disk and place.
    """

    def __init__(self, file: IO[bytes], *, folder: UploadFolder, expected_bytes: int) -> None:
        self._file = file
        self._folder = folder
        self._expected_bytes = expected_bytes
        self._written_bytes = 0
        self._look_at_bytes = _LOOK_EVERY_BYTES

    def __len__(self) -> int:
        return self._written_bytes

    @property
    def owed_bytes(self) -> int:
        """Return how much more of the disk this body is going to take."""
        longest = max(self._expected_bytes, self._written_bytes)
        return 2 * longest - self._written_bytes

    def append(self, data: bytes) -> None:
        """Add to the end.

        Raises:
            NoRoomError: the disk has no room for more.
        """
        rest = memoryview(data)
        try:
            while rest:
                written = self._file.write(rest)
                self._written_bytes += written
                rest = rest[written:]
        except (OSError, ValueError) as error:
            raise NoRoomError(f"the upload cannot be written: {error}") from error
        if self._written_bytes >= self._look_at_bytes:
            self._look_at_bytes = self._written_bytes + _LOOK_EVERY_BYTES
            self._folder.check_room(self)

    def getfile(self) -> IO[bytes]:
        """Return the file, at its beginning."""
        self._file.seek(0)
        return self._file

    def close(self) -> None:
        """Give the disk back; may be called twice."""
        self._file.close()
        self._folder.released(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Uploads:
    """Is what a listener needs to take large bodies: who may send them, and where they lie."""

    admit: Admit
    folder: UploadFolder
