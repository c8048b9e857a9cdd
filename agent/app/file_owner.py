"""Lets a command that root runs leave files that the agent can use."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def owner_of(folder: Path) -> Iterator[None]:
    """Let files that root makes belong to the owner of a folder, who has to use them later."""
    before = (os.geteuid(), os.getegid())
    try:
        owner = folder.stat()
    except OSError:
        owner = None
    if before[0] != 0 or owner is None or owner.st_uid == 0:
        yield
        return
    os.setegid(owner.st_gid)
    os.seteuid(owner.st_uid)
    try:
        yield
    finally:
        os.seteuid(before[0])
        os.setegid(before[1])
