"""Keeps a second process out of what belongs to one at a time."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from agent.errors import PermanentError, TransientError


class FileLock:
    """Holds a lock in a folder until `release`; it ends with its process, however that ends.

    Raises:
        PermanentError: the folder cannot be used.
        TransientError: another process holds it.
    """

    def __init__(self, folder: Path, name: str) -> None:
        path = folder / name
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o750)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise PermanentError(
                f"{folder} cannot be used: {error.strerror}; check node.state_dir and who owns it"
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            raise TransientError(
                f"{path} is held by another process: an agent that starts or stops, or a command"
            ) from error
        self._descriptor: int | None = descriptor

    def release(self) -> None:
        """Let others have it; may be called twice."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)
