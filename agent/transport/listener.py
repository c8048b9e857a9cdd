"""The loop behind a server: accepts, reads, cuts what is too slow, and makes room.

waitress' own loop wakes every second, looks after silent connections every 30 s and stops accepting
at its connection limit. This one sleeps until something comes or a deadline falls.
"""

from __future__ import annotations

import errno
import logging
import math
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.server import TcpWSGIServer
from waitress.task import ThreadedTaskDispatcher

from agent.transport.channel import Channel
from agent.transport.limits import ServerLimits
from agent.transport.refusals import ErrorBody
from agent.transport.tls_channel import TlsChannel
from agent.transport.uploads import Uploads

_logger = logging.getLogger(__name__)

_OUT_OF_RESOURCES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_PAUSE_SECONDS = 0.5
_QUIET_SECONDS = 60.0
# OpenSSL hands out one record at a time, and a record holds at most this much.
_TLS_RECORD_BYTES = 16384
_MEMORY_PER_BODY_BYTES = 256 * 1024


class Workers(ThreadedTaskDispatcher):  # type: ignore[misc] # waitress has no types
    """Runs the application in named threads; every connection has at most one task here."""

    logger = _logger

    def __init__(self, *, name: str) -> None:
        super().__init__()
        self._name = name

    def start_new_thread(self, target: Callable[[int], None], thread_no: int) -> None:
        """Start one worker."""
        threading.Thread(
            target=target, name=f"{self._name}-{thread_no}", args=(thread_no,), daemon=True
        ).start()

    def add_task(self, task: Any) -> None:
        """Queue a task; that the workers are busy is no news, so nothing is logged."""
        with self.lock:
            self.queue.append(task)
            self.queue_cv.notify()


class HandshakeLog:
    """Logs failed handshakes, once a minute at most: anybody may cause as many as he likes.

    Used by the listener's thread alone.
    """

    def __init__(self) -> None:
        self._quiet_until = -math.inf
        self._unlogged = 0

    def failed(self, *, peer: str, reason: str) -> None:
        """Note one failed handshake."""
        now = time.monotonic()
        if now < self._quiet_until:
            self._unlogged += 1
            return
        _logger.warning(
            "TLS handshake failed peer=%s reason=%s others_since=%d", peer, reason, self._unlogged
        )
        self._quiet_until = now + _QUIET_SECONDS
        self._unlogged = 0


class Listener(TcpWSGIServer):  # type: ignore[misc] # waitress has no types
    """Serves one bound socket; everything but `ask_to_stop` happens in the thread of `serve`."""

    logger = _logger

    def __init__(
        self,
        application: Any,
        *,
        sock: socket.socket,
        limits: ServerLimits,
        ssl_context: ssl.SSLContext | None,
        error_body: ErrorBody,
        name: str,
        uploads: Uploads | None = None,
    ) -> None:
        self.limits = limits
        self.uploads = uploads
        self.error_body = error_body
        self.handshake_log = HandshakeLog()
        self.is_stopping = False
        self._name = name
        self._ssl_context = ssl_context
        self._next_sweep = math.inf
        self._accept_after = -math.inf
        self._stop_by = math.inf
        self._is_full = False
        self._wake_lock = threading.Lock()
        self._can_wake = True
        adjustments = Adjustments(
            sockets=[sock],
            threads=limits.threads,
            ident=None,
            url_scheme="https" if ssl_context else "http",
            server_name=sock.getsockname()[0],
            log_socket_errors=False,
            max_request_header_size=limits.max_header_bytes,
            # Our own parser counts bodies, to the byte; this limit must never come first.
            max_request_body_size=2**62,
            inbuf_overflow=_MEMORY_PER_BODY_BYTES,
            recv_bytes=_TLS_RECORD_BYTES,
        )
        adjustments.max_body_bytes = limits.max_body_bytes
        super().__init__(
            application,
            map={},
            _sock=sock,
            dispatcher=Workers(name=name),
            adj=adjustments,
            sockinfo=(sock.family, sock.type, sock.proto, sock.getsockname()),
            bind_socket=False,
        )

    def serve(self) -> None:
        """Serve until asked to stop, and then until every answer is out or time is up."""
        self.task_dispatcher.set_thread_count(self.limits.threads)
        while not self.is_stopping:
            self._turn(self._seconds_to_next_deadline())
        # What has arrived already is answered.
        self._turn(0.0)
        wasyncore.dispatcher.close(self)
        while time.monotonic() < self._stop_by:
            self._close_quiet()
            if not self.active_channels:
                break
            self._turn(min(0.5, max(0.0, self._stop_by - time.monotonic())))
        self._end()

    def ask_to_stop(self, *, timeout_seconds: float) -> None:
        """Make `serve` end within about this time; any thread."""
        self._stop_by = time.monotonic() + timeout_seconds
        self.is_stopping = True
        self.pull_trigger()

    # What waitress calls

    def pull_trigger(self) -> None:
        """Wake the loop; any thread, even a worker that outlives the listener."""
        with self._wake_lock:
            # The descriptor of a closed pipe may be somebody else's by now.
            if self._can_wake:
                super().pull_trigger()

    def readable(self) -> bool:
        """Tell whether new connections are taken."""
        return bool(self.accepting) and time.monotonic() >= self._accept_after

    def handle_accept(self) -> None:
        """Take one connection; one a turn, since poll() has answered for known descriptors only."""
        try:
            pair = self.accept()
        except OSError as error:
            if error.errno in _OUT_OF_RESOURCES:
                self._relieve(error)
            return
        if pair is None:
            return
        sock, address = pair
        self._accept_after = -math.inf
        if len(self.active_channels) < self.limits.connections // 2:
            self._is_full = False
        if len(self.active_channels) >= self.limits.connections and not self._make_room():
            sock.close()
            return
        try:
            self.set_socket_options(sock)
            self._adopt(sock, self.fix_addr(address))
        except (OSError, ValueError) as error:
            # The client has gone again.
            _logger.debug("connection lost while accepting peer=%s error=%s", address[0], error)
            sock.close()
        self._next_sweep = min(self._next_sweep, time.monotonic() + self.limits.shortest_seconds)

    def fix_addr(self, addr: Any) -> Any:
        """Return a client's address; IPv4 through a socket for both families reads as IPv4."""
        host = addr[0]
        return (host.removeprefix("::ffff:"), *addr[1:]) if "." in host else addr

    def getsockname(self) -> tuple[str, str]:
        """Return the bound address and port."""
        name = self.socket.getsockname()
        return name[0], str(name[1])

    # The loop

    def _turn(self, timeout_seconds: float | None) -> None:
        try:
            wasyncore.poll2(timeout_seconds, self._map)
            now = time.monotonic()
            if now >= self._next_sweep:
                self._sweep(now)
        except Exception:
            _logger.exception("listener failed name=%s; it goes on", self._name)
            # Not the loop's own speed if it fails every time.
            time.sleep(0.1)

    def _seconds_to_next_deadline(self) -> float | None:
        wake = self._next_sweep
        if self._accept_after > time.monotonic():
            wake = min(wake, self._accept_after)
        if wake == math.inf:
            return None
        # poll() counts whole milliseconds and would wake just before the deadline.
        return max(0.0, wake - time.monotonic()) + 0.001

    def _sweep(self, now: float) -> None:
        wake = now + self.limits.shortest_seconds
        for channel in list(self.active_channels.values()):
            due = channel.due()
            if due is None:
                continue
            if due <= now:
                channel.expire()
            else:
                wake = min(wake, due)
        self._next_sweep = wake if self.active_channels else math.inf

    def _adopt(self, sock: socket.socket, address: Any) -> None:
        sock.settimeout(0.0)
        if self._ssl_context is None:
            Channel(self, sock, address, self.adj, map=self._map)
        else:
            wrapped = self._ssl_context.wrap_socket(
                sock, server_side=True, do_handshake_on_connect=False
            )
            TlsChannel(self, wrapped, address, self.adj, map=self._map)

    def _make_room(self) -> bool:
        ranked = [
            (rank, descriptor)
            for descriptor, channel in self.active_channels.items()
            if (rank := channel.eviction_rank()) is not None
        ]
        if not self._is_full:
            self._is_full = True
            _logger.warning(
                "connections at their limit name=%s limit=%d; the longest idle makes room",
                self._name,
                self.limits.connections,
            )
        if not ranked:
            return False
        self.active_channels[min(ranked)[1]].handle_close()
        return True

    def _relieve(self, error: OSError) -> None:
        if self._accept_after == -math.inf:
            _logger.error("cannot accept connections name=%s error=%s", self._name, error)
        self._make_room()
        # The waiting client keeps the socket readable: without a pause the loop would spin.
        self._accept_after = time.monotonic() + _PAUSE_SECONDS

    def _close_quiet(self) -> None:
        for channel in list(self.active_channels.values()):
            if channel.is_quiet:
                channel.handle_close()

    def _end(self) -> None:
        remaining = max(0.0, self._stop_by - time.monotonic())
        self.task_dispatcher.shutdown(timeout=remaining)
        for channel in list(self.active_channels.values()):
            channel.handle_close()
        with self._wake_lock:
            self._can_wake = False
            self.trigger.close()
