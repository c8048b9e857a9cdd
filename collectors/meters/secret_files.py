"""Files that hold one secret each: a password, a community, a token."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from agent.errors import ReadingUnavailable
from agent.model.secret import Secret

_MAXIMUM_BYTES = 4096


def read_secret(path: str) -> Secret:
    """Return the secret in a file, without one newline at its end; a FIFO is not waited for.

    It is read anew for each reading, so that a changed password needs no restart.

    Raises:
        ReadingUnavailable: it cannot be read, is empty or too long, or holds control characters.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        try:
            is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
            content = os.read(descriptor, _MAXIMUM_BYTES + 1) if is_file else b""
        finally:
            os.close(descriptor)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a path"
        raise ReadingUnavailable(
            f"{path}: {reason}", hint="write the secret into it, readable for the agent alone"
        ) from error
    if not is_file:
        raise ReadingUnavailable(f"{path} is not a regular file")
    if len(content) > _MAXIMUM_BYTES:
        raise ReadingUnavailable(f"{path} is longer than {_MAXIMUM_BYTES} bytes")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        # `from None`: the error's own fields hold the secret.
        raise ReadingUnavailable(f"{path} is not UTF-8") from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise ReadingUnavailable(f"{Path(path).name} is empty", hint="write the secret into it")
    if any(ord(one) < ord(" ") or one == "\x7f" for one in text):
        raise ReadingUnavailable(f"{path} holds a line break or another control character")
    return Secret(text)
