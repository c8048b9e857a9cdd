"""One exchange under a deadline that covers all of it.

The work runs in a thread of its own. At the deadline its socket is shut down from outside, which
wakes it wherever it is; only a thread inside the resolver of the C library cannot be woken.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from agent.errors import TransientError

# (host, port) → what socket.getaddrinfo returns.
Resolver = Callable[[str, int], Sequence[tuple[Any, ...]]]

# A path that swallows everything shows after this long, not after the kernel's 15 minutes.
_UNACKNOWLEDGED_MILLISECONDS = 5000


class Exchange:
    """Is one piece of work for the network; the worker and the caller share it under its lock."""

    def __init__(self, *, deadline_seconds: float) -> None:
        self._deadline = time.monotonic() + deadline_seconds
        self._deadline_seconds = deadline_seconds
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._cut_reason: str | None = None
        self._watched: list[socket.socket] = []
        self._result: Any = None
        self._error: BaseException | None = None
        # What the worker is at, in words; and whether it has a connection made for this attempt.
        self.stage = "starting"
        self.is_fresh = False

    @property
    def remaining_seconds(self) -> float:
        """Return the time left, above 0: sockets understand 0 as something else."""
        return max(0.001, self._deadline - time.monotonic())

    @property
    def socket_seconds(self) -> float:
        """Return a timeout for sockets: past the deadline, whose words are the better ones."""
        return self.remaining_seconds + 1.0

    def run(self, work: Callable[[Exchange], Any]) -> None:
        """Do the work and keep how it ended; the whole life of a worker thread."""
        try:
            self._result = work(self)
        except BaseException as error:  # noqa: BLE001 - handed to the caller's thread
            self._error = error
        finally:
            self._unwatch()
            self._done.set()

    def result(self) -> Any:
        """Wait for the work and return its result, or raise its error; at the deadline cut it.

        The deadline raises TransientError.
        """
        finished = self._done.wait(self.remaining_seconds)
        if not finished:
            self.cut(f"no answer within {self._deadline_seconds:g} s, while {self.stage}")
        if self._cut_reason is not None:
            raise TransientError(self._cut_reason)
        if self._error is not None:
            raise self._error
        return self._result

    def cut(self, reason: str) -> None:
        """End the work from outside; any thread, any number of times."""
        with self._lock:
            if self._cut_reason is None:
                self._cut_reason = reason
            for sock in self._watched:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
        self._done.set()

    def watch(self, sock: socket.socket) -> None:
        """Remember the connection, so that `cut` reaches it whatever TLS wraps around it."""
        with self._lock:
            if self._cut_reason is not None:
                raise TransientError(self._cut_reason)
            # Not dup(): it is refused for sockets under TLS.
            self._watched.append(socket.fromfd(sock.fileno(), sock.family, sock.type))

    def _unwatch(self) -> None:
        with self._lock:
            for sock in self._watched:
                sock.close()
            self._watched.clear()

    def connect(self, addresses: Sequence[tuple[Any, ...]]) -> socket.socket:
        """Connect to the first address that answers; a silent one leaves time for the others.

        Raises OSError of the last address.
        """
        self.stage = "connecting"
        failure: OSError = OSError("the name has no address")
        for position, (family, kind, protocol, _, address) in enumerate(addresses):
            sock = socket.socket(family, kind, protocol)
            try:
                others = len(addresses) - position - 1
                sock.settimeout(
                    self.remaining_seconds / (others + 1) if others else self.socket_seconds
                )
                self.watch(sock)
                sock.connect(address)
                _notice_silence(sock)
                sock.settimeout(self.socket_seconds)
            except OSError as error:
                sock.close()
                failure = error
            except BaseException:
                sock.close()
                raise
            else:
                self.is_fresh = True
                return sock
        raise failure


def resolve(host: str, port: int) -> Sequence[tuple[Any, ...]]:
    """Ask the resolver of the system; may hang for as long as it likes."""
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


def _notice_silence(sock: socket.socket) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNACKNOWLEDGED_MILLISECONDS)
