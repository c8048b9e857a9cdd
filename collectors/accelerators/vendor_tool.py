"""Runs a vendor's command-line tool, or plays back what it once printed.

Tools hang when a driver hangs, write colours and GBK, and answer in the operator's language. All
of that ends here: a plugin gets text, or an error with what to do.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from agent.errors import NotPresent, ReadingUnavailable

MAX_OUTPUT_BYTES = 4 * 1024 * 1024
_REAP_SECONDS = 1.0
_LOOK_SECONDS = 0.02
_READ_BYTES = 1 << 16
# Python 3.10 has no argument for it.
_OWN_GROUP: dict[str, Any] = (
    {"process_group": 0} if sys.version_info >= (3, 11) else {"preexec_fn": os.setpgrp}
)
# Colours and cursor movements (ECMA-48), character sets, and the titles that some tools set.
_CONTROL_SEQUENCES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]+[0-~]|[@-Z\\-_])"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolAnswer:
    """Is what a tool printed, standard output and standard error together, and how it ended."""

    text: str
    exit_status: int


class Tool(Protocol):
    """Answers commands; the words are those after the program's name."""

    @property
    def program(self) -> str:
        """Return the name of the program."""

    def find(self) -> None:
        """Return if the tool is on this machine; runs nothing.

        Raises:
            NotPresent: it is not.
        """

    def run(self, *words: str) -> ToolAnswer:
        """Return what the tool answers; a status other than 0 is an answer too.

        Raises:
            ReadingUnavailable: it could not be started, passed its deadline or printed too much.
        """


class LiveTool:
    """Runs the program of this machine; one thread at a time.

    `program` is a name that PATH finds or a path. A run that passes `deadline_seconds` is killed
    with its whole process group; it stays in this process's session, so that whoever ends that
    ends the tool with it. One that cannot be killed, because it hangs in the kernel, is left alone,
    and nothing is started beside it until it has gone.
    """

    def __init__(
        self,
        program: str,
        *,
        deadline_seconds: float = 10.0,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._program = program
        self._deadline_seconds = deadline_seconds
        self._environment = os.environ if environment is None else environment
        self._stuck: subprocess.Popen[bytes] | None = None

    @property
    def program(self) -> str:
        """Return the name of the program."""
        return Path(self._program).name

    def find(self) -> None:
        """Return if the program is on this machine; runs nothing.

        Raises:
            NotPresent: it is not.
        """
        if shutil.which(self._program, path=self._environment.get("PATH")) is None:
            raise NotPresent(f"{self._program} is not on this machine")

    def run(self, *words: str) -> ToolAnswer:
        """Return what the tool answers; a status other than 0 is an answer too.

        Raises:
            ReadingUnavailable: it could not be started, passed its deadline or printed too much.
        """
        shown = " ".join((self.program, *words))
        if self._stuck is not None:
            if self._stuck.poll() is None:
                raise ReadingUnavailable(
                    f"an earlier {self.program} (process {self._stuck.pid}) hangs in the kernel",
                    hint="the driver is stuck: look at dmesg; often only a reboot helps",
                )
            self._stuck = None
        environment = {**self._environment, "LC_ALL": "C", "LANG": "C", "LANGUAGE": ""}
        environment.pop("COLUMNS", None)
        try:
            process = subprocess.Popen(  # noqa: S603 - the operator's own program
                [self._program, *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env={**environment, "NO_COLOR": "1", "TERM": "dumb"},
                **_OWN_GROUP,
            )
        except (OSError, ValueError) as error:  # the latter for a name with a NUL in it
            reason = getattr(error, "strerror", None) or error
            raise ReadingUnavailable(f"{shown} could not be started: {reason}") from error
        deadline = time.monotonic() + self._deadline_seconds
        output = _Output(process)
        try:
            in_time = output.read_until_end(deadline=deadline)
        finally:
            # What the tool left running goes with it. The tool has not been waited for yet, so
            # the number of its group belongs to nobody else.
            _kill_group(process)
            try:
                process.wait(_REAP_SECONDS)
            except subprocess.TimeoutExpired:
                self._stuck = process
            output.close()
        if output.is_too_long:
            raise ReadingUnavailable(f"{shown} printed more than {MAX_OUTPUT_BYTES} bytes")
        if not in_time:
            raise ReadingUnavailable(
                f"{shown} did not answer within {self._deadline_seconds:g} s",
                hint="run it by hand: if it hangs there too, the driver is stuck",
            )
        return ToolAnswer(text=decode(output.content), exit_status=process.returncode)


class _Output:
    """Reads a program's output while it runs: a full pipe would stop it."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None  # noqa: S101 - it was asked for
        self._process = process
        self._pipe = process.stdout
        os.set_blocking(self._pipe.fileno(), False)
        self._is_open = True
        self._content = bytearray()

    @property
    def content(self) -> bytes:
        """Return what was read."""
        return bytes(self._content)

    @property
    def is_too_long(self) -> bool:
        """Return whether it printed more than is taken."""
        return len(self._content) > MAX_OUTPUT_BYTES

    def read_until_end(self, *, deadline: float) -> bool:
        """Read until the program ends, prints too much or runs out of time; return False for that.

        The end of its output is no sign: what it leaves running may hold the pipe for ever.
        """
        poll = select.poll()
        poll.register(self._pipe, select.POLLIN)
        look = os.WEXITED | os.WNOHANG | os.WNOWAIT
        while os.waitid(os.P_PID, self._process.pid, look) is None and not self.is_too_long:
            left_seconds = deadline - time.monotonic()
            if left_seconds <= 0:
                return False
            wait_seconds = min(left_seconds, _LOOK_SECONDS)
            if not self._is_open:
                time.sleep(wait_seconds)
            elif poll.poll(wait_seconds * 1000.0):
                self._read()
        return True

    def close(self) -> None:
        """Take what is left in the pipe, and let go of it."""
        while self._is_open and not self.is_too_long and self._read():
            pass
        self._pipe.close()

    def _read(self) -> bool:
        """Read once; return whether there was anything."""
        try:
            chunk = os.read(self._pipe.fileno(), _READ_BYTES)
        except BlockingIOError:
            return False
        self._content += chunk
        self._is_open = bool(chunk)
        return self._is_open


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


class RecordedTool:
    """Plays back what a tool once printed; a command that was not recorded has no answer."""

    def __init__(self, program: str, answers: Mapping[tuple[str, ...], ToolAnswer]) -> None:
        self.program = program
        self._answers = answers

    def find(self) -> None:
        """Return if anything of this tool was recorded.

        Raises:
            NotPresent: nothing was.
        """
        if not self._answers:
            raise NotPresent(f"{self.program} is not in the recording")

    def run(self, *words: str) -> ToolAnswer:
        """Return the recorded answer.

        Raises:
            ReadingUnavailable: this command was not recorded.
        """
        try:
            return self._answers[words]
        except KeyError as error:
            shown = " ".join((self.program, *words))
            raise ReadingUnavailable(f"{shown} is not in the recording") from error


class RecordingTool:
    """Passes commands on to a tool and keeps what it answered."""

    def __init__(self, tool: Tool) -> None:
        self._tool = tool
        self.answers: dict[tuple[str, ...], ToolAnswer] = {}

    @property
    def program(self) -> str:
        """Return the name of the program."""
        return self._tool.program

    def find(self) -> None:
        """Return if the tool is on this machine; raises NotPresent if not."""
        self._tool.find()

    def run(self, *words: str) -> ToolAnswer:
        """Return what the tool answers, and keep it; raises ReadingUnavailable as the tool does."""
        answer = self._tool.run(*words)
        self.answers[words] = answer
        return answer


def decode(output: bytes) -> str:
    """Return a tool's bytes as text: UTF-8 or GBK, without colours and carriage returns."""
    try:
        text = output.decode("utf-8")
    except UnicodeDecodeError:
        text = output.decode("gb18030", errors="replace")
    text = _CONTROL_SEQUENCES.sub("", text)
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "")


_live_conforms: type[Tool] = LiveTool
_recorded_conforms: type[Tool] = RecordedTool
_recording_conforms: type[Tool] = RecordingTool
