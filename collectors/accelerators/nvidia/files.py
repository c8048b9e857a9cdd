"""The door to the kernel's files (/proc, /sys, /dev): read here, recorded, or played back."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

_LONGEST = 64 * 1024


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Is a file that gave no text: the `errno` of the attempt."""

    code: int


FileText = str | Unreadable
MISSING = Unreadable(errno.ENOENT)


class Files(Protocol):
    """Answers for files by their absolute path."""

    def read(self, path: str) -> FileText:
        """Return a file's text without blanks around it, or why it gave none."""

    def names(self, folder: str, *, prefix: str) -> tuple[str, ...]:
        """Return a folder's names that begin with a prefix, sorted; () if it cannot be read."""


class LiveFiles:
    """Reads this machine's files, or those under another root."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root

    def read(self, path: str) -> FileText:
        """Return a file's text without blanks around it, or why it gave none."""
        try:
            with self._below(path).open("rb") as file:
                content = file.read(_LONGEST)
        except OSError as error:
            return Unreadable(error.errno or errno.EIO)
        return content.decode("utf-8", "replace").strip()

    def names(self, folder: str, *, prefix: str) -> tuple[str, ...]:
        """Return a folder's names that begin with a prefix, sorted; () if it cannot be read."""
        try:
            found = [path.name for path in self._below(folder).iterdir()]
        except OSError:
            return ()
        return tuple(sorted(name for name in found if name.startswith(prefix)))

    def _below(self, path: str) -> Path:
        return self._root / path.lstrip("/")


class RecordingFiles:
    """Reads files and keeps each answer in `answers`, by call."""

    def __init__(self, files: Files, answers: dict[str, Any]) -> None:
        self._files = files
        self._answers = answers

    def read(self, path: str) -> FileText:
        """Return a file's text as `Files` does, and keep it."""
        text = self._files.read(path)
        self._answers[_read_text(path)] = (
            {"code": text.code, "value": None}
            if isinstance(text, Unreadable)
            else {"code": 0, "value": text}
        )
        return text

    def names(self, folder: str, *, prefix: str) -> tuple[str, ...]:
        """Return names as `Files` does, and keep them."""
        found = self._files.names(folder, prefix=prefix)
        self._answers[_names_text(folder, prefix)] = {"code": 0, "value": list(found)}
        return found


class RecordedFiles:
    """Plays back what files once held; one that was not recorded is missing."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self._answers = answers

    def read(self, path: str) -> FileText:
        """Return the recorded text."""
        answer = self._answers.get(_read_text(path))
        if answer is None:
            return MISSING
        return Unreadable(answer["code"]) if answer["code"] != 0 else str(answer["value"])

    def names(self, folder: str, *, prefix: str) -> tuple[str, ...]:
        """Return the recorded names."""
        answer = self._answers.get(_names_text(folder, prefix))
        return () if answer is None else tuple(str(each) for each in answer["value"])


def _read_text(path: str) -> str:
    return f"read({path})"


def _names_text(folder: str, prefix: str) -> str:
    return f"names({folder}/{prefix}*)"


_live_conforms: type[Files] = LiveFiles
_recording_conforms: type[Files] = RecordingFiles
_recorded_conforms: type[Files] = RecordedFiles
