"""Runs one program with a deadline; what it leaves running goes with it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from agent.errors import NotPresent, ReadingUnavailable

_MOST_BYTES = 64 * 1024
_REAP_SECONDS = 1.0
# Python 3.10 has no argument for it.
_OWN_GROUP: dict[str, Any] = (
    {"process_group": 0} if sys.version_info >= (3, 11) else {"preexec_fn": os.setpgrp}
)


class Program:
    """Is a program that PATH finds, or a path; one thread at a time.

    One that cannot be killed, because it hangs in the kernel, is left alone, and nothing is started
    beside it until it has gone.
    """

    def __init__(self, name: str, *, environment: Mapping[str, str] | None = None) -> None:
        self._name = name
        self._environment = os.environ if environment is None else environment
        self._stuck: subprocess.Popen[bytes] | None = None

    def find(self) -> None:
        """Return if it is on this machine; raises NotPresent if not."""
        if shutil.which(self._name, path=self._environment.get("PATH")) is None:
            raise NotPresent(
                f"{self._name} is not on this machine", hint="install it, or set tool: its path"
            )

    def run(self, words: Sequence[str], *, deadline_seconds: float) -> tuple[int, str]:
        """Return its exit status and the beginning of what it prints, errors included.

        Raises:
            ReadingUnavailable: it cannot be started, or does not end in time.
        """
        if self._stuck is not None and self._stuck.poll() is None:
            raise ReadingUnavailable(
                f"an earlier {self._name} (process {self._stuck.pid}) hangs in the kernel",
                hint="the driver is stuck: look at dmesg; often only a reboot helps",
            )
        self._stuck = None
        # A file and no pipe: a pipe may be held open by what the program leaves running.
        with tempfile.TemporaryFile() as output:
            try:
                process = subprocess.Popen(  # noqa: S603 - the operator's own program
                    [self._name, *words],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env={**self._environment, "LC_ALL": "C", "LANG": "C", "LANGUAGE": ""},
                    **_OWN_GROUP,
                )
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or error
                raise ReadingUnavailable(f"{self._name} cannot be started: {reason}") from error
            try:
                status = process.wait(deadline_seconds)
            except subprocess.TimeoutExpired as error:
                raise ReadingUnavailable(
                    f"{self._name} did not end within {deadline_seconds:g} s",
                    hint="run it by hand; if it hangs there too, the controller or driver is stuck",
                ) from error
            finally:
                self._end(process)
            output.seek(0)
            return status, output.read(_MOST_BYTES).decode("utf-8", errors="replace")

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        try:
            process.wait(_REAP_SECONDS)
        except subprocess.TimeoutExpired:
            self._stuck = process
