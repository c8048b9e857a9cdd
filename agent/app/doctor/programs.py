"""Runs a program of the operating system for its answer, with limits on time and length."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence

from agent.errors import NotPresent, TransientError

ANSWER_SECONDS = 8.0
MOST_CHARACTERS = 4_000_000
# Where administrators' tools stand, also for a user whose PATH lacks it.
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


def answer(words: Sequence[str], *, seconds: float = ANSWER_SECONDS) -> str:
    """Return what a program prints, cut at 4 MB; its exit status is no matter.

    Raises:
        NotPresent: it is not on this machine.
        TransientError: it did not end in time, or could not be started.
    """
    program = shutil.which(words[0], path=f"{os.environ.get('PATH', '')}:{_PATH}")
    if program is None:
        raise NotPresent(f"{words[0]} is not on this machine")
    try:
        ended = subprocess.run(  # noqa: S603 - words of our own, no shell
            [program, *words[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=seconds,
            check=False,
            env={**os.environ, "LC_ALL": "C", "SYSTEMD_PAGER": "", "SYSTEMD_COLORS": "0"},
        )
    except subprocess.TimeoutExpired as error:
        raise TransientError(f"{words[0]} did not answer within {seconds:.0f} s") from error
    except OSError as error:
        raise TransientError(f"{words[0]} cannot be started: {error.strerror}") from error
    return ended.stdout[-MOST_CHARACTERS:].decode("utf-8", "replace")
