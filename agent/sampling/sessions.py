"""Kills everything that a plugin's child process started.

The child leads a session. A vendor's tool runs in a process group of its own inside it, so that the
plugin can end a tool without ending itself; whoever ends the child has to end the whole session.
"""

from __future__ import annotations

import contextlib
import os
import signal

_SESSION_FIELD = 3  # of /proc/PID/stat, counted after the command's closing parenthesis


def kill_session(leader: int) -> None:
    """Send SIGKILL to every process of the session; the leader's own comes last.

    The caller must not have waited for the leader yet: until then its number belongs to nobody
    else. A process that leaves the session on purpose is not found.
    """
    for process in _members(leader):
        if process != leader:
            _kill(process)
    _kill(leader)


def _members(leader: int) -> list[int]:
    members = []
    for name in os.listdir("/proc"):  # noqa: PTH208 - a Path for each process costs more
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123 - likewise
                fields = file.read().rpartition(b")")[2].split()
        except OSError:
            continue
        if len(fields) > _SESSION_FIELD and fields[_SESSION_FIELD] == str(leader).encode():
            members.append(int(name))
    return members


def _kill(process: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(process, signal.SIGKILL)
