"""Small files and folders of the kernel (/sys, /proc, /dev): of this machine, or recorded."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

_MOST_BYTES = 65536


class MachineFiles(Protocol):
    """Answers for paths that begin with `/`."""

    def read(self, path: str) -> str:
        """Return a file's text without blanks around it; raises OSError as the kernel does."""

    def names(self, path: str) -> list[str]:
        """Return the sorted names in a folder; raises OSError as the kernel does."""

    def exists(self, path: str) -> bool:
        """Return whether there is anything at the path."""


class LiveFiles:
    """Reads the files of this machine, below `root`."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root

    def read(self, path: str) -> str:
        """Return a file's text without blanks around it; raises OSError as the kernel does."""
        with self._at(path).open("rb") as file:
            text = file.read(_MOST_BYTES).decode("utf-8", "replace")
        # A text of the device tree ends with the character zero.
        return text.rstrip("\0").strip()

    def names(self, path: str) -> list[str]:
        """Return the sorted names in a folder; raises OSError as the kernel does."""
        return sorted(entry.name for entry in self._at(path).iterdir())

    def exists(self, path: str) -> bool:
        """Return whether there is anything at the path."""
        return self._at(path).exists()

    def _at(self, path: str) -> Path:
        return self._root / path.lstrip("/")


class RecordedFiles:
    """Plays back what `RecordingFiles` kept; what was not asked then is not there now."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self._answers = answers

    def read(self, path: str) -> str:
        """Return the recorded text; raises the recorded OSError."""
        return str(self._answer(f"read({path})", path))

    def names(self, path: str) -> list[str]:
        """Return the recorded names; raises the recorded OSError."""
        answer = self._answer(f"names({path})", path)
        return [str(name) for name in answer] if isinstance(answer, list) else []

    def exists(self, path: str) -> bool:
        """Return whether the recorded machine had anything at the path."""
        answer = self._answers.get(f"exists({path})")
        return isinstance(answer, Mapping) and answer.get("value") is True

    def _answer(self, call: str, path: str) -> Any:
        answer = self._answers.get(call)
        if not isinstance(answer, Mapping):
            raise FileNotFoundError(errno.ENOENT, "not in the recording", path)
        code = answer.get("code")
        if isinstance(code, int) and code != 0:
            raise OSError(code, os.strerror(code), path)
        return answer.get("value", "")


class RecordingFiles:
    """Passes questions on and keeps the answers, as a recording's library answers."""

    def __init__(self, files: MachineFiles) -> None:
        self._files = files
        self.answers: dict[str, dict[str, Any]] = {}

    def read(self, path: str) -> str:
        """Return the file's text and keep it; raises OSError as the files do, and keeps that."""
        call = f"read({path})"
        try:
            text = self._files.read(path)
        except OSError as error:
            self.answers[call] = {"code": error.errno or errno.EIO}
            raise
        self.answers[call] = {"code": 0, "value": text}
        return text

    def names(self, path: str) -> list[str]:
        """Return the folder's names and keep them; raises OSError likewise."""
        call = f"names({path})"
        try:
            names = self._files.names(path)
        except OSError as error:
            self.answers[call] = {"code": error.errno or errno.EIO}
            raise
        self.answers[call] = {"code": 0, "value": names}
        return names

    def exists(self, path: str) -> bool:
        """Return whether there is anything at the path, and keep that."""
        there = self._files.exists(path)
        self.answers[f"exists({path})"] = {"code": 0, "value": there}
        return there


_live_conforms: type[MachineFiles] = LiveFiles
_recorded_conforms: type[MachineFiles] = RecordedFiles
_recording_conforms: type[MachineFiles] = RecordingFiles
