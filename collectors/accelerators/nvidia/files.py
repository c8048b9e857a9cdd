"""The kernel's files as answers: a text, or the reason that there is none."""

from __future__ import annotations

import errno
from dataclasses import dataclass

from collectors.accelerators.machine_files import MachineFiles


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Is a file that gave no text: the `errno` of the attempt."""

    code: int


FileText = str | Unreadable
MISSING = Unreadable(errno.ENOENT)


class KernelFiles:
    """Asks for files by their absolute path; a file that fails is an answer, and no exception."""

    def __init__(self, files: MachineFiles) -> None:
        self._files = files

    def read(self, path: str) -> FileText:
        """Return a file's text without blanks around it, or why it gave none."""
        try:
            return self._files.read(path)
        except OSError as error:
            return Unreadable(error.errno or errno.EIO)

    def names(self, folder: str) -> tuple[str, ...]:
        """Return the sorted names in a folder; () if it cannot be read."""
        try:
            return tuple(self._files.names(folder))
        except OSError:
            return ()

    def exists(self, path: str) -> bool:
        """Return whether there is anything at the path."""
        return self._files.exists(path)
