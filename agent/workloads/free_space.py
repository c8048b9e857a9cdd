"""Watches the room on the disk that packages are kept on."""

from __future__ import annotations

import os
from pathlib import Path

from agent.errors import NoRoomError, PermanentError, TransientError

_MIB = 1 << 20


class FreeSpace:
    """Tells whether a file still fits, and leaves `minimum_free_bytes` for everybody else."""

    def __init__(self, folder: Path, *, minimum_free_bytes: int) -> None:
        self._folder = folder
        self._minimum_free_bytes = minimum_free_bytes

    def usable_bytes(self) -> int:
        """Return what may still be written, below 0 where the disk is too full already."""
        status = self._status()
        return status.f_bavail * status.f_frsize - self._minimum_free_bytes

    def check(self, needed_bytes: int) -> None:
        """Raise NoRoomError unless so many bytes fit now."""
        usable_bytes = self.usable_bytes()
        if usable_bytes < max(needed_bytes, 0):
            raise NoRoomError(
                f"no room: {_mib(needed_bytes)} more are needed and {_mib(usable_bytes)} may be "
                f"used on the disk of {self._folder} ({_mib(self._minimum_free_bytes)} stay free)"
            )

    def check_ever(self, size_bytes: int) -> None:
        """Raise PermanentError where a file of this size would not even fit on the empty disk."""
        status = self._status()
        whole_bytes = status.f_blocks * status.f_frsize - self._minimum_free_bytes
        if size_bytes > whole_bytes:
            raise PermanentError(
                f"the package of {_mib(size_bytes)} can never fit on the disk of {self._folder}, "
                f"of which {_mib(max(whole_bytes, 0))} may be used"
            )

    def _status(self) -> os.statvfs_result:
        try:
            return os.statvfs(self._folder)
        except OSError as error:
            raise TransientError(f"{self._folder} cannot be asked: {error.strerror}") from error


def _mib(count_bytes: int) -> str:
    return f"{count_bytes / _MIB:.1f} MiB"
