"""Small files with keys and passwords, read so that a wrong path can do no harm."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from agent.security.errors import SecretFileError

MAXIMUM_BYTES = 65536


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallFile:
    """Is a file as it was read; `mode` holds its permission bits. The text is not shown."""

    text: str = field(repr=False)
    mode: int


def read_small_file(path: str | Path, *, maximum_bytes: int = MAXIMUM_BYTES) -> SmallFile:
    """Return the text of a regular file; a byte order mark in front is dropped.

    A FIFO or a device is refused without waiting for it.

    Raises:
        SecretFileError: it is missing, forbidden, not a regular file, empty, too long or not UTF-8.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except (OSError, ValueError) as error:
        raise SecretFileError(f"{path}: {_words(error)}") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise SecretFileError(f"{path}: not a regular file")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(maximum_bytes + 1)
    except OSError as error:
        raise SecretFileError(f"{path}: {_words(error)}") from error
    finally:
        os.close(descriptor)
    if not data:
        raise SecretFileError(f"{path}: the file is empty")
    if len(data) > maximum_bytes:
        raise SecretFileError(f"{path}: longer than {maximum_bytes} bytes; is it the right file?")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # `from None`: the error's own text and fields hold the secret.
        place = error.start
        raise SecretFileError(f"{path}: not UTF-8 (byte {place + 1})") from None
    return SmallFile(text=text, mode=stat.S_IMODE(status.st_mode))


def write_private_file(path: str | Path, text: str) -> None:
    """Write a new file that only its owner may read.

    Raises:
        SecretFileError: it exists already, or cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise SecretFileError(f"{path}: {_words(error)}") from error


def _words(error: OSError | ValueError) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror[0].lower() + error.strerror[1:]
    return "not a path"
