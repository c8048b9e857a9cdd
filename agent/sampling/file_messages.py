"""How a recording travels between the daemon and a plugin's child process: in pieces, a line each.

A recording is longer than a line may be. Either side sends it, and the side that receives believes
nothing: names are plain file names, and number and length of the files are bounded. Pure; a child
imports it only when it records or replays.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from agent.errors import ReadingUnavailable

FILE = "file"
FILES_END = "files_end"

MAX_FILES = 512
MAX_CHARACTERS = 8 * 1024 * 1024
# A character takes up to twelve bytes in a line of ASCII, and a line has 1 MiB.
_PIECE_CHARACTERS = 1 << 16
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,119}")


def is_file_name(name: object) -> bool:
    """Return whether this is a name that can stand in one folder and nowhere else."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def pieces(files: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Return the bodies of the messages that carry these files, in order.

    Raises:
        ReadingUnavailable: there are too many of them, they are too long, or one is no text.
    """
    check = ReceivedFiles()
    for name, text in files.items():
        if not isinstance(text, str):
            raise ReadingUnavailable(f"{name} of the recording is not a text")
        starts = range(0, len(text), _PIECE_CHARACTERS) if text else (0,)
        for start in starts:
            body = {"name": name, "text": text[start : start + _PIECE_CHARACTERS]}
            check.add(body)
            yield body


class ReceivedFiles:
    """Puts the pieces together again."""

    def __init__(self) -> None:
        self._pieces: dict[str, list[str]] = {}
        self._characters = 0

    def add(self, body: Mapping[str, Any]) -> None:
        """Take one piece.

        Raises:
            ReadingUnavailable: it makes no sense, or there are too many of them.
        """
        name, text = body.get("name"), body.get("text")
        if not isinstance(name, str) or not is_file_name(name):
            raise ReadingUnavailable(f"a recording may not have a file called {name!r:.80}")
        if not isinstance(text, str):
            raise ReadingUnavailable(f"{name} of the recording is not a text")
        self._pieces.setdefault(name, []).append(text)
        self._characters += len(text)
        if self._characters > MAX_CHARACTERS or len(self._pieces) > MAX_FILES:
            raise ReadingUnavailable(
                f"a recording has at most {MAX_FILES} files and {MAX_CHARACTERS} characters"
            )

    def files(self) -> dict[str, str]:
        """Return what has arrived, as texts by file name."""
        return {name: "".join(texts) for name, texts in self._pieces.items()}
