"""The daemon's end of a plugin's child process: starts it, talks to it, ends it.

Belongs to one thread; another wakes it through the file descriptor that it is given.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import IO, Any

from agent.errors import AgentError, ReadingUnavailable
from agent.sampling import child_messages
from agent.sampling.sessions import kill_session

_KEPT_STDERR_LINES = 5
_READ_BYTES = 1 << 16
_ENDING_SECONDS = 0.5

# The service manager's business with the daemon; a child that spoke to it would be believed.
_NOT_HANDED_ON = frozenset(
    {
        "CREDENTIALS_DIRECTORY",
        "INVOCATION_ID",
        "JOURNAL_STREAM",
        "LISTEN_FDNAMES",
        "LISTEN_FDS",
        "LISTEN_PID",
        "MAINPID",
        "NOTIFY_SOCKET",
        "WATCHDOG_PID",
        "WATCHDOG_USEC",
    }
)
_SECRET_WORDS = ("PASSWORD", "PASSWD", "SECRET", "TOKEN", "CREDENTIAL")


class DeadlineMissed(AgentError):  # noqa: N818 - what happened, not a fault of ours
    """Says that the child gave no answer in time."""


class ChildEnded(AgentError):  # noqa: N818 - likewise
    """Says that the child is gone; the text says how, and what it last wrote."""


class Interrupted(AgentError):  # noqa: N818 - likewise
    """Says that the agent stops and the answer is no longer waited for."""


class ChildProcess:
    """Is one running child, leader of a session and process group of its own.

    What it writes to standard error is read whenever it is spoken to; the last lines are kept.
    """

    def __init__(
        self, arguments: Sequence[str], *, environment: Mapping[str, str], interrupt_fd: int
    ) -> None:
        """Start it; `interrupt_fd` becomes readable when nobody shall wait any more."""
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-I", "-m", "agent.sampling.plugin_host", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env=dict(environment),
            start_new_session=True,
        )
        self._stdin, self._stdout, self._stderr = _pipes(self._process)
        for pipe in (self._stdin, self._stdout, self._stderr):
            os.set_blocking(pipe.fileno(), False)
        self._interrupt_fd: int | None = interrupt_fd
        self._received = bytearray()
        self._complaints: deque[str] = deque(maxlen=_KEPT_STDERR_LINES)
        self._stderr_open = True

    @property
    def pid(self) -> int:
        """Is the process id, which is the id of its group too."""
        return self._process.pid

    def exchange(self, message: Mapping[str, Any], *, timeout_seconds: float) -> dict[str, Any]:
        """Send a message and return the answer.

        Time is real time here, whatever clock the agent is given: it is another process that is
        waited for.

        Raises:
            DeadlineMissed: no complete answer came in time.
            ChildEnded: the process ended instead.
            Interrupted: nobody waits any more.
            ReadingUnavailable: the answer makes no sense.
        """
        deadline = time.monotonic() + timeout_seconds
        self.send(message, deadline=deadline)
        return self.receive(deadline=deadline)

    def send(self, message: Mapping[str, Any], *, deadline: float) -> None:
        """Send one message by the moment `deadline` of the monotonic clock; raises as above."""
        self._send(child_messages.encode_line(message), deadline=deadline)

    def receive(self, *, deadline: float) -> dict[str, Any]:
        """Return the next message, which comes by the moment `deadline`; raises as above."""
        return child_messages.decode_line(self._receive_line(deadline=deadline))

    def complaint(self) -> str | None:
        """Return the last lines of its standard error as one, None if there are none."""
        return child_messages.clean_text(" | ".join(self._complaints))

    def end(self, *, polite_seconds: float = 0.0, forced_seconds: float = 2.0) -> bool:
        """End it and all that it started; return whether it is gone.

        With `polite_seconds` it is first asked to close. False means that it is stuck in the
        kernel, where no signal reaches it: it goes on its own time, see `is_gone`.
        """
        if polite_seconds:
            self._interrupt_fd = None
            # Whatever fails here, the signal below does not.
            with contextlib.suppress(AgentError, OSError):
                self.exchange({"op": child_messages.OP_CLOSE}, timeout_seconds=polite_seconds)
        self._kill_group()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(forced_seconds)
        for pipe in (self._stdin, self._stdout, self._stderr):
            with contextlib.suppress(OSError):
                pipe.close()
        return self.is_gone()

    def is_gone(self) -> bool:
        """Return whether the process has ended; never blocks."""
        return self._process.poll() is not None

    def _kill_group(self) -> None:
        # Until the leader is waited for, its id, and with it the group's, belongs to nobody else.
        if self._process.returncode is None:
            kill_session(self._process.pid)

    def _send(self, line: bytes, *, deadline: float) -> None:
        while line:
            self._wait(self._stdin, select.POLLOUT, deadline=deadline)
            try:
                line = line[os.write(self._stdin.fileno(), line) :]
            except BlockingIOError:
                continue
            except BrokenPipeError as error:
                raise self._ended() from error

    def _receive_line(self, *, deadline: float) -> bytes:
        searched = 0
        while (end := self._received.find(b"\n", searched)) < 0:
            searched = len(self._received)
            if searched > child_messages.MAX_LINE_BYTES:
                raise ReadingUnavailable("the plugin's process sent a line without end")
            self._wait(self._stdout, select.POLLIN, deadline=deadline)
            try:
                chunk = os.read(self._stdout.fileno(), _READ_BYTES)
            except BlockingIOError:
                continue
            if not chunk:
                raise self._ended()
            self._received += chunk
        line = bytes(self._received[:end])
        del self._received[: end + 1]
        return line

    def _wait(self, pipe: IO[bytes], event: int, *, deadline: float) -> None:
        """Wait until the pipe is ready, reading standard error meanwhile."""
        poll = select.poll()
        if self._interrupt_fd is not None:
            poll.register(self._interrupt_fd, select.POLLIN)
        poll.register(pipe, event)
        if self._stderr_open:
            poll.register(self._stderr, select.POLLIN)
        while True:
            left_seconds = deadline - time.monotonic()
            if left_seconds <= 0:
                raise DeadlineMissed
            ready = {fd for fd, _ in poll.poll(left_seconds * 1000.0)}
            if self._interrupt_fd in ready:
                raise Interrupted
            if self._stderr.fileno() in ready and not self._listen():
                poll.unregister(self._stderr)
            if pipe.fileno() in ready:
                return

    def _listen(self) -> bool:
        """Keep the last lines of one load of standard error; return whether more may come."""
        try:
            written = os.read(self._stderr.fileno(), _READ_BYTES)
        except BlockingIOError:
            return True
        lines = written.decode("utf-8", "replace").splitlines()
        self._complaints += [line.strip() for line in lines if line.strip()]
        self._stderr_open = bool(written)
        return self._stderr_open

    def _ended(self) -> ChildEnded:
        """Return what became of the child, whose end of the pipe is closed."""
        ending = time.monotonic() + _ENDING_SECONDS
        # Looked at without taking its status: what it started is still to be killed by its group.
        look = os.WEXITED | os.WNOHANG | os.WNOWAIT
        while os.waitid(os.P_PID, self._process.pid, look) is None:
            if time.monotonic() > ending:
                return ChildEnded("the plugin's process closed its output and does not end")
            time.sleep(_ENDING_SECONDS / 100)
        if self._stderr_open:
            self._listen()
        self._kill_group()
        status = self._process.wait()
        complaint = self.complaint()
        return ChildEnded(_ending(status) + (f": {complaint}" if complaint else ""))


def environment(inherited: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a child: the daemon's, without secrets, in the C locale.

    Vendors' libraries need variables of their own names (search paths, visible devices), so all
    are handed on but those that are the service manager's or look like a secret.
    """
    kept = {
        name: value
        for name, value in inherited.items()
        if name not in _NOT_HANDED_ON and not any(word in name.upper() for word in _SECRET_WORDS)
    }
    # One arena: the second thread of the child would otherwise cost memory for nothing.
    return {**kept, "LC_ALL": "C", "MALLOC_ARENA_MAX": "1"}


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes], IO[bytes]]:
    stdin, stdout, stderr = process.stdin, process.stdout, process.stderr
    if stdin is None or stdout is None or stderr is None:
        raise AssertionError("every stream was asked for")
    return stdin, stdout, stderr


def _ending(status: int) -> str:
    """Return an exit status in words."""
    if status < 0:
        try:
            name = signal.Signals(-status).name
        except ValueError:
            name = f"signal {-status}"
        return f"the plugin's process was ended by {name}"
    return f"the plugin's process ended with exit status {status}"
