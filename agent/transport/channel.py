"""One connection of a client: waitress' channel, with deadlines."""

from __future__ import annotations

import functools
import logging
import socket
import time
from typing import Any

from waitress.channel import HTTPChannel

from agent.transport.answers import ApplicationAnswer, RefusalAnswer
from agent.transport.limits import ServerLimits
from agent.transport.refusals import Refusal
from agent.transport.request_parser import StrictRequestParser

_logger = logging.getLogger(__name__)

# A client that is refused in the middle of its upload gets this long to notice: a socket closed
# with unread data resets the connection, and the reset can overtake the answer.
_DRAIN_SECONDS = 2.0
_UPLOAD_PIECE_BYTES = 512 * 1024


class Channel(HTTPChannel):  # type: ignore[misc] # waitress has no types
    """Is one connection.

    The listener's thread reads, sweeps and closes; a worker runs the application and writes. Only
    whole attributes are handed between them, and the buffers have waitress' own locks.
    """

    parser_class: Any
    task_class = ApplicationAnswer
    error_task_class = RefusalAnswer
    logger = _logger
    request: Any = None

    def __init__(
        self,
        server: Any,
        sock: socket.socket,
        addr: Any,
        adj: Any,
        map: dict[int, Any] | None = None,  # noqa: A002 - waitress' name
    ) -> None:
        self._limits: ServerLimits = server.limits
        self._idle_since = time.monotonic()
        self._receiving_since: float | None = None
        self._sending_since: float | None = None
        self._draining_until: float | None = None
        self._drain_wanted = False
        self._has_answered = False
        # The stretch of a large upload that must have brought enough when it ends.
        self._measured: Any = None
        self._stretch_since = 0.0
        self._stretch_bytes = 0
        self.client_certificate: dict[str, Any] | None = None
        self.parser_class = functools.partial(
            StrictRequestParser, uploads=server.uploads, peer=addr[0]
        )
        super().__init__(server, sock, addr, adj, map=map)

    # Deadlines

    def due(self) -> float | None:
        """Return the monotonic second at which this connection is cut; None while we are at work.

        The answers' deadline comes first: a request behind an unread answer is not being read.
        """
        limits = self._limits
        if self._draining_until is not None:
            return self._draining_until
        if self.total_outbufs_len and self._sending_since is not None:
            return self._sending_since + limits.answer_seconds
        if self.requests or self.close_when_flushed:
            return None
        if self._receiving_since is not None:
            request = self.request
            in_body = request is not None and request.headers_finished
            if request is not None and request.allowance is not None:
                return self._stretch_since + limits.request_seconds
            seconds = limits.request_seconds if in_body else limits.header_seconds
            return self._receiving_since + min(seconds, limits.request_seconds)
        return self._idle_since + limits.idle_seconds

    def expire(self) -> None:
        """Cut this connection, with 408 where a request was being received."""
        request = self.request
        receiving = self._receiving_since is not None and not self.total_outbufs_len
        if not receiving or request is None or self._draining_until is not None:
            self.handle_close()
            return
        part = "body" if request.headers_finished else "headers"
        _logger.debug("request too slow peer=%s part=%s", self.addr[0], part)
        with self.requests_lock:
            request.refuse(Refusal(status=408, message=f"the {part} did not come in time"))
            self.request = None
            self._receiving_since = None
            self.requests.append(request)
            self.server.add_task(self)

    def eviction_rank(self) -> tuple[int, float] | None:
        """Return how readily this connection makes room for a new one, least first.

        Idle ones go first, longest first; then those that begin, receive or take an answer, oldest
        first: a healthy one is done in milliseconds. One that has just come and not yet spoken
        begins, it does not idle. None while a worker is at it.
        """
        if self._draining_until is not None:
            return 0, 0.0
        if self.requests:
            return None
        if self.total_outbufs_len and self._sending_since is not None:
            return 1, self._sending_since
        if self.request is not None and self.request.allowance is not None:
            # It was let in, may take hours, and there are never many.
            return None
        if self._receiving_since is not None:
            return 1, self._receiving_since
        begins = time.monotonic() - self._idle_since < self._limits.header_seconds
        return int(begins and not self._has_answered), self._idle_since

    @property
    def is_quiet(self) -> bool:
        """Tell whether no answer is owed: nothing being served, nothing left to send."""
        return not (self.requests or self.total_outbufs_len or self.close_when_flushed)

    # The listener's thread

    def readable(self) -> bool:
        """Tell whether to wait for data."""
        return self._draining_until is not None or bool(super().readable())

    def handle_read(self) -> None:
        """Take what has come."""
        if self._draining_until is not None:
            self._discard()
            return
        data = self._receive()
        if data is None:
            return
        if data:
            self.received(data)
        else:
            self.handle_close()

    def received(self, data: bytes) -> bool:
        """Take bytes of one or several requests."""
        before = self.request
        if self._receiving_since is None:
            self._receiving_since = time.monotonic()
        taken = bool(super().received(data))
        if self.request is None:
            self._receiving_since = None
        elif self.request is not before:
            self._receiving_since = time.monotonic()
        if self.request is not None and self.request.allowance is not None:
            self._measure_upload(self.request)
        return taken

    def _measure_upload(self, request: Any) -> None:
        """Begin the next stretch once this one has brought what it must."""
        count = request.body_bytes_received
        wanted = request.allowance.minimum_bytes_per_second * self._limits.request_seconds
        if self._measured is not request or count - self._stretch_bytes >= wanted:
            self._measured = request
            self._stretch_since = time.monotonic()
            self._stretch_bytes = count

    def handle_close(self) -> None:
        """Close, and give back the place of an upload that has not come to its end."""
        super().handle_close()
        request = self.request
        if request is not None and request.allowance is not None:
            request.close()

    def cancel(self) -> None:
        """Give up what no worker has begun."""
        for request in self.requests:
            request.close()
        super().cancel()

    def handle_write(self) -> None:
        """Send what is ready, and close where that was the last."""
        if self.socket is None:
            return
        if self.close_when_flushed and self._drain_wanted and not self.will_close:
            self._flush_exception(self._flush_some)
            if self.socket is None:
                return
            if not self.will_close:
                if not self.total_outbufs_len:
                    self._begin_draining()
                return
        super().handle_write()

    def handle_expt(self) -> None:
        """Close: HTTP has no urgent data, and poll() would report it again without end."""
        self.handle_close()

    def _receive(self) -> bytes | None:
        """Return what has come, b"" at the end, None where there is nothing yet."""
        if self.socket is None:
            return None
        try:
            data: bytes = self.socket.recv(self._piece_bytes)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError:
            return b""
        return data

    @property
    def _piece_bytes(self) -> int:
        """Return how much to take at once: of a large body more, for fewer turns of the loop."""
        if self.request is not None and self.request.allowance is not None:
            return _UPLOAD_PIECE_BYTES
        return int(self.adj.recv_bytes)

    def _begin_draining(self) -> None:
        self.close_when_flushed = False
        self._draining_until = time.monotonic() + _DRAIN_SECONDS
        try:
            self._end_of_output()
        except (OSError, ValueError):
            self.handle_close()

    def _end_of_output(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)

    def _discard(self) -> None:
        try:
            ended = not self.socket.recv(65536)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            ended = True
        if ended:
            self.handle_close()

    # Both threads, under waitress' lock of the output

    def send(self, data: bytes, do_close: bool = True) -> int:  # noqa: FBT001, FBT002 - waitress'
        """Send some of the data; return how many bytes went, 0 where none could go now."""
        sock = self.socket
        if sock is None:
            return 0
        try:
            return self._send_some(sock, data)
        except OSError:
            self._lost(do_close=do_close)
            return 0

    def _send_some(self, sock: socket.socket, data: bytes) -> int:
        try:
            return sock.send(data)
        except (BlockingIOError, InterruptedError):
            return 0

    def _lost(self, *, do_close: bool) -> None:
        if do_close:
            self.handle_close()
        else:
            self.will_close = True

    def _flush_some(self, do_close: bool = True) -> bool:  # noqa: FBT001, FBT002 - waitress'
        flushed = bool(super()._flush_some(do_close=do_close))
        if not self.total_outbufs_len:
            self._sending_since = None
        return flushed

    # The workers

    def write_soon(self, data: Any) -> int:
        """Put data into the output."""
        now = time.monotonic()
        self._idle_since = now
        self._has_answered = True
        if self._sending_since is None:
            self._sending_since = now
        return int(super().write_soon(data))

    def drain_before_close(self) -> None:
        """Let the client finish its sentence before the connection closes."""
        self._drain_wanted = True

    def service(self) -> None:
        """Answer one request."""
        super().service()
        if self._receiving_since is not None:
            # The time in which we did not read is not the client's fault.
            self._receiving_since = self._stretch_since = time.monotonic()
