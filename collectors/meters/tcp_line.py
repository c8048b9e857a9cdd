"""A TCP connection to a meter, or to the gateway before it, that keeps to deadlines."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
from typing import Any

from agent.errors import ReadingUnavailable
from agent.model.clock import Clock

_CHUNK_BYTES = 4096
# What may lie in the buffer from before a question; more is a peer that never stops talking.
_MOST_STALE_BYTES = 64 * 1024


class TcpLine:
    """Holds one connection, opened when it is needed and closed after every fault.

    Each call ends by its deadline, in seconds of the clock's `monotonic`, whatever the peer does.
    Every fault is a ReadingUnavailable that names the address. One thread reads; `close` may come
    from another, and ends a call that waits.
    """

    def __init__(self, host: str, *, port: int, clock: Clock) -> None:
        self._host = host
        self._port = port
        self._clock = clock
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()

    @property
    def place(self) -> str:
        """Is the peer's address in words."""
        return f"{self._host}:{self._port}"

    def open(self, *, deadline: float) -> bool:
        """Connect where there is no connection; tell whether it is a new one.

        What an earlier question left in the buffer is thrown away.

        Raises:
            ReadingUnavailable: nobody can be reached there.
        """
        if self._socket is not None and self._drain(self._socket):
            return False
        self.close()
        connected = self._connect(deadline)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        with self._lock:
            self._socket = connected
        return True

    def send(self, data: bytes, *, deadline: float) -> None:
        """Send all of it.

        Raises:
            ReadingUnavailable: the connection broke, the peer takes nothing, or it is too late.
        """
        connected = self._connected()
        if deadline <= self._clock.monotonic():
            raise ReadingUnavailable(
                f"{self.place} used all the time up before it was asked everything",
                hint="raise timeout_seconds",
            )
        try:
            connected.settimeout(self._left(deadline))
            connected.sendall(data)
        except OSError as error:
            self.close()
            raise self._broken(error) from error

    def receive(self, *, deadline: float) -> bytes:
        """Return what comes next, one byte or more; b"" once the deadline has passed.

        Raises:
            ReadingUnavailable: the peer closed the connection, or it broke.
        """
        connected = self._connected()
        try:
            connected.settimeout(self._left(deadline))
            data = connected.recv(_CHUNK_BYTES)
        except TimeoutError:
            return b""
        except OSError as error:
            self.close()
            raise self._broken(error) from error
        if not data:
            self.close()
            raise ReadingUnavailable(
                f"{self.place} closed the connection before it answered",
                hint="a gateway often serves one client only: is another program connected to it?",
            )
        return data

    def close(self) -> None:
        """Close the connection; may be called twice, and from another thread."""
        with self._lock:
            connected, self._socket = self._socket, None
        if connected is None:
            return
        with contextlib.suppress(OSError):
            # Wakes a thread that waits in `receive`.
            connected.shutdown(socket.SHUT_RDWR)
        connected.close()

    def _left(self, deadline: float) -> float:
        left = deadline - self._clock.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline has passed")
        return left

    def _connected(self) -> socket.socket:
        connected = self._socket
        if connected is None:
            raise ReadingUnavailable(f"the connection to {self.place} is closed")
        return connected

    def _broken(self, error: OSError) -> ReadingUnavailable:
        if isinstance(error, TimeoutError):
            return ReadingUnavailable(f"{self.place} takes no data")
        return ReadingUnavailable(f"the connection to {self.place} broke: {_words(error)}")

    def _drain(self, connected: socket.socket) -> bool:
        """Throw away what is in the buffer; tell whether the connection can still be used."""
        drained = 0
        try:
            connected.settimeout(0)
            while drained < _MOST_STALE_BYTES:
                data = connected.recv(_CHUNK_BYTES)
                if not data:
                    return False
                drained += len(data)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def _connect(self, deadline: float) -> socket.socket:
        fault: OSError | None = None
        for family, kind, protocol, _, address in self._addresses(deadline):
            connecting = socket.socket(family, kind, protocol)
            try:
                connecting.settimeout(self._left(deadline))
                connecting.connect(address)
            except OSError as error:
                connecting.close()
                fault = error
            else:
                return connecting
        if isinstance(fault, TimeoutError):
            reason = f"{self.place} did not accept a connection in time"
        elif isinstance(fault, ConnectionRefusedError):
            reason = f"{self.place} refused the connection"
        else:
            words = _words(fault) if fault else "its name has no address"
            reason = f"{self.place} cannot be reached: {words}"
        raise ReadingUnavailable(
            reason, hint="check host and port, that the meter or gateway is on, and the firewall"
        ) from fault

    def _addresses(self, deadline: float) -> list[Any]:
        """Look the host up in a thread: a name server's silence knows no deadline of ours."""
        answers: queue.SimpleQueue[list[Any] | OSError | ValueError] = queue.SimpleQueue()

        def look_up() -> None:
            try:
                answers.put(socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM))
            except (OSError, ValueError) as error:
                answers.put(error)

        threading.Thread(target=look_up, name="meter-address", daemon=True).start()
        try:
            answer = answers.get(timeout=self._left(deadline))
        except (queue.Empty, TimeoutError) as error:
            raise ReadingUnavailable(
                f"the name {self._host} was not resolved in time", hint="check the name server"
            ) from error
        if not isinstance(answer, list):
            raise ReadingUnavailable(
                f"the name {self._host} cannot be resolved: {_words(answer)}",
                hint="check host, or write its IP address",
            ) from answer
        return answer


def _words(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
