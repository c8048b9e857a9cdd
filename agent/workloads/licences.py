"""The licences of offline authorisation: fetched once, kept, and shown to containers."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import threading
from collections.abc import Collection
from pathlib import Path
from typing import Protocol

from agent.errors import PermanentError, TransientError
from agent.model.workloads import DesiredService
from agent.transport import addresses

_log = logging.getLogger(__name__)

MAXIMUM_BYTES = 2 * 2**20

_SERVICE_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_PARTIAL = ".part"
# On this node the folder keeps everybody out. In a container only the file is to be seen, and
# whoever the image runs as has to read it: some other user, or root without its capabilities,
# who is not the owner where the agent is not root.
_FOLDER_MODE = 0o700
_FILE_MODE = 0o444


class Fetch(Protocol):
    """Gets a small file over HTTP."""

    def __call__(self, url: str, *, maximum_bytes: int) -> bytes:
        """Return what is at a URL; raises TransientError, or PermanentError where it is longer."""


class Licences:
    """Keeps a file for each service that has a licence; safe in every thread.

    Once a licence is there it is never asked for again: what was authorised starts offline.
    """

    def __init__(self, folder: Path, *, fetch: Fetch) -> None:
        self._folder = folder
        self._fetch = fetch
        self._writing = threading.Lock()

    def ensure(self, service: DesiredService) -> Path:
        """Return the file with a service's licence, on the disk; fetches it where it is not here.

        Raises:
            TransientError: it cannot be had or kept now.
            PermanentError: what is there is no licence, or the service has none.
        """
        if service.licence_url is None:
            raise PermanentError(f"service {service.service_id} has no licence")
        path = self.path(service.service_id)
        if path.is_file():
            return path
        content = self._fetch(service.licence_url, maximum_bytes=MAXIMUM_BYTES)
        shown = addresses.masked(service.licence_url)
        if len(content) > MAXIMUM_BYTES:
            raise PermanentError(f"{shown} is longer than the {MAXIMUM_BYTES} bytes of a licence")
        if not content:
            raise PermanentError(f"{shown} is empty")
        try:
            with self._writing:
                self._write(path, content)
        except OSError as error:
            raise TransientError(f"{path} cannot be written: {error.strerror}") from error
        _log.info(
            "event=licence_kept service=%s source=%s bytes=%d",
            service.service_id,
            shown,
            len(content),
        )
        return path

    def path(self, service_id: str) -> Path:
        """Return where the licence of a service lies, or will lie."""
        if not _SERVICE_ID.fullmatch(service_id):
            raise PermanentError("a service's id is a UUID")
        return self._folder / service_id

    def remove(self, service_id: str) -> None:
        """Remove the licence of a service; one that is not there is fine.

        Raises:
            TransientError: the disk does not work now.
        """
        self._remove(self.path(service_id))

    def keep_only(self, service_ids: Collection[str]) -> None:
        """Remove every licence but those of these services, and what a crash left half-written.

        Raises:
            TransientError: the disk does not work now.
        """
        try:
            paths = list(self._folder.iterdir())
        except FileNotFoundError:
            return
        except OSError as error:
            raise TransientError(f"{self._folder}: {error.strerror}") from error
        with self._writing:
            for path in paths:
                if path.name not in service_ids:
                    self._remove(path)

    def _remove(self, path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
        except IsADirectoryError:
            # Nothing of ours; an engine makes one where it looks for a file that is not there.
            with contextlib.suppress(OSError):
                path.rmdir()
        except OSError as error:
            raise TransientError(f"{path} cannot be removed: {error.strerror}") from error

    def _write(self, path: Path, content: bytes) -> None:
        """Write a file that is there whole or not at all, whenever the power goes."""
        if not self._folder.is_dir():
            self._folder.mkdir(parents=True, exist_ok=True, mode=_FOLDER_MODE)
            _sync_folder(self._folder.parent)
        self._folder.chmod(_FOLDER_MODE)
        partial = path.with_name(path.name + _PARTIAL)
        self._remove(partial)
        self._remove_folder(path)
        try:
            with open(partial, "xb", opener=_open_privately) as file:
                file.write(content)
                file.flush()
                os.fchmod(file.fileno(), _FILE_MODE)
                os.fsync(file.fileno())
            partial.replace(path)
        except OSError:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
            raise
        _sync_folder(self._folder)

    def _remove_folder(self, path: Path) -> None:
        if path.is_dir() and not path.is_symlink():
            path.rmdir()


def _open_privately(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
