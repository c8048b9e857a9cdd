"""What the engine tells as it happens: logs and events. Decoding is apart from reading."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from agent.errors import TransientError
from runtimes.docker.exchange import Exchange

_HEADER_BYTES = 8
_KINDS = (0, 1, 2)
_LINE_BYTES = 1 << 20


class OpenExchanges:
    """Holds what is under way, so that closing the runtime ends all of it; safe in every thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: set[Exchange] = set()
        self._is_closed = False

    def add(self, exchange: Exchange) -> Exchange:
        """Take an exchange in; it is closed at once where all of them are.

        Raises:
            TransientError: everything was closed.
        """
        with self._lock:
            if self._is_closed:
                raise TransientError("the runtime was closed")
            self._open.add(exchange)
        return exchange

    def remove(self, exchange: Exchange) -> None:
        """Forget an exchange that ended."""
        with self._lock:
            self._open.discard(exchange)

    def close(self) -> None:
        """End all of them."""
        with self._lock:
            self._is_closed = True
            ending = tuple(self._open)
        for exchange in ending:
            exchange.close()


class Demultiplexer:
    """Takes output and errors out of the frames in which the engine sends them.

    Each frame has a head of eight bytes: the stream (1 output, 2 errors), three zeros, the length.
    The parts of a frame are passed on as they come, so that no frame has to fit into memory.
    """

    def __init__(self) -> None:
        self._head = b""
        self._left_bytes = 0

    def feed(self, data: bytes) -> list[bytes]:
        """Return what a part of the stream holds of the container's own bytes.

        Raises:
            ValueError: this is not such a stream.
        """
        found = []
        position = 0
        while position < len(data):
            if self._left_bytes:
                part = data[position : position + self._left_bytes]
                self._left_bytes -= len(part)
                position += len(part)
                found.append(part)
                continue
            wanted = _HEADER_BYTES - len(self._head)
            self._head += data[position : position + wanted]
            position += wanted
            if len(self._head) == _HEADER_BYTES:
                if self._head[0] not in _KINDS or self._head[1:4] != b"\0\0\0":
                    raise ValueError("the engine's log is not in frames")
                self._left_bytes = int.from_bytes(self._head[4:], "big")
                self._head = b""
        return found


class EventLines:
    """Takes JSON objects out of a stream of them, one a line."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """Return the objects that are complete now; what is no object is left out.

        Raises:
            ValueError: a line has no end.
        """
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _LINE_BYTES:
            raise ValueError("the engine's event has no end")
        found = []
        for line in lines:
            try:
                document = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(document, dict):
                found.append(document)
        return found


class LogStream(Iterator[bytes]):
    """Yields a container's output; one thread reads, any thread may close it."""

    def __init__(
        self, exchange: Exchange, *, is_framed: bool, on_end: Callable[[Exchange], None]
    ) -> None:
        self._exchange = exchange
        self._on_end = on_end
        self._demultiplexer = Demultiplexer() if is_framed else None
        self._ready: deque[bytes] = deque()
        self._is_over = False

    def __next__(self) -> bytes:
        while not self._ready:
            if self._is_over:
                raise StopIteration
            try:
                data = self._exchange.read()
                if not data:
                    self._end()
                elif self._demultiplexer is None:
                    self._ready.append(data)
                else:
                    self._ready.extend(self._demultiplexer.feed(data))
            except ValueError as error:
                self._end()
                raise TransientError(str(error)) from error
            except TransientError:
                self._end()
                raise
        return self._ready.popleft()

    def close(self) -> None:
        """End it, also while another thread waits for its next chunk; may be called twice."""
        self._exchange.close()

    def _end(self) -> None:
        self._is_over = True
        self._exchange.close()
        self._on_end(self._exchange)


class ChangeStream(Iterator[None]):
    """Yields once for each event that matters, and first when it begins to listen.

    Whoever looks at everything at each of them misses nothing that happens meanwhile. An engine
    that stands still sends nothing and does not end the stream: looking again from time to time
    is for that.
    """

    def __init__(
        self,
        exchange: Exchange,
        *,
        matters: Callable[[dict[str, Any]], bool],
        on_end: Callable[[Exchange], None],
    ) -> None:
        self._exchange = exchange
        self._matters = matters
        self._on_end = on_end
        self._lines = EventLines()
        self._ready = 1
        self._is_over = False

    def __next__(self) -> None:
        while not self._ready:
            if self._is_over:
                raise StopIteration
            try:
                data = self._exchange.read()
                if data:
                    self._ready = sum(self._matters(event) for event in self._lines.feed(data))
                    continue
            except (TransientError, ValueError):
                pass
            self._is_over = True
            self._exchange.close()
            self._on_end(self._exchange)
        self._ready -= 1

    def close(self) -> None:
        """End it, also while another thread waits for the next change; may be called twice."""
        self._exchange.close()
