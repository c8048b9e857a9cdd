"""Reads the database of an agent beside it, without changing anything."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from agent.errors import NotFoundError, TransientError
from agent.store.database import FILE_NAME

_BUSY_SECONDS = 5.0


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[sqlite3.Connection]:
    """Give a connection that can only read, for `node.state_dir`.

    Raises:
        NotFoundError: no agent ever kept anything there.
        TransientError: the file cannot be read now, by this user.
    """
    path = folder / FILE_NAME
    try:
        if not path.is_file():
            raise NotFoundError(f"there is no {path}")
        connection = sqlite3.connect(
            f"file:{quote(str(path.absolute()))}?mode=ro",
            uri=True,
            timeout=_BUSY_SECONDS,
            isolation_level=None,
        )
    except (OSError, sqlite3.Error) as error:
        raise TransientError(f"{path} cannot be read: {error}") from error
    with contextlib.closing(connection):
        connection.row_factory = sqlite3.Row
        try:
            yield connection
        except sqlite3.Error as error:
            raise TransientError(f"{path} cannot be read: {error}") from error


def instance(statements: sqlite3.Connection) -> str | None:
    """Return the name that the agent gives its containers, None before it first needed one."""
    row = statements.execute("SELECT value FROM meta WHERE key = 'instance'").fetchone()
    return None if row is None else str(row[0])
