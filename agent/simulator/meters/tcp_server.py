"""A TCP listener on which each connection has a thread, few at a time."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable

from agent.errors import PermanentError

IDLE_SECONDS = 300.0
MOST_CONNECTIONS = 64
_STOP_SECONDS = 5.0

Serve = Callable[[socket.socket], None]


class Gone(Exception):  # noqa: N818 - a state of what is simulated
    """Says that nobody is there: the connection is closed without a word."""


class TcpServer:
    """Hands each connection to `serve`, which returns when it is over; it is closed then."""

    def __init__(self, serve: Serve, *, listen: tuple[str, int], name: str) -> None:
        self._serve = serve
        self._listen = listen
        self._name = name
        self._listener: socket.socket | None = None
        self._lock = threading.Lock()
        self._connections: dict[socket.socket, threading.Thread] = {}
        self._accepting = threading.Thread(target=self._accept, name=name, daemon=True)

    @property
    def port(self) -> int:
        """The port that is listened on; the real one after `start` where 0 was given."""
        return self._listen[1]

    def start(self) -> None:
        """Listen.

        Raises:
            PermanentError: it cannot be listened there.
        """
        try:
            self._listener = socket.create_server(self._listen)
        except OSError as error:
            host, port = self._listen
            words = f"{self._name}: cannot listen on {host}:{port}: {error.strerror or error}"
            raise PermanentError(words) from error
        self._listen = self._listener.getsockname()[:2]
        self._accepting.start()

    def stop(self) -> None:
        """Close the listener and every connection; may be called twice."""
        listener, self._listener = self._listener, None
        if listener is None:
            return
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        self._accepting.join(_STOP_SECONDS)
        with self._lock:
            connections = dict(self._connections)
        for connection, thread in connections.items():
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            thread.join(_STOP_SECONDS)

    def _accept(self) -> None:
        listener = self._listener
        while listener is not None:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connection.settimeout(IDLE_SECONDS)
            thread = threading.Thread(
                target=self._run, args=(connection,), name=self._name, daemon=True
            )
            with self._lock:
                is_full = len(self._connections) >= MOST_CONNECTIONS
                if not is_full:
                    self._connections[connection] = thread
            if is_full:
                connection.close()
                continue
            thread.start()

    def _run(self, connection: socket.socket) -> None:
        try:
            # A peer that goes away, or says nothing for too long, ends its own connection only.
            with connection, contextlib.suppress(OSError, Gone):
                self._serve(connection)
        finally:
            with self._lock:
                del self._connections[connection]


def receive_exactly(connection: socket.socket, count: int) -> bytes:
    """Return so many bytes; raises ConnectionError where the peer ends before."""
    received = bytearray()
    while len(received) < count:
        data = connection.recv(count - len(received))
        if not data:
            raise ConnectionError("the peer closed the connection")
        received += data
    return bytes(received)
