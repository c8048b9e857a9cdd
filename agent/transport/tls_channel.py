"""A connection under TLS, on the same non-blocking loop as the plain ones."""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
import threading
import time
from typing import Any

from agent.transport.answers import render
from agent.transport.channel import Channel
from agent.transport.refusals import Refusal

_logger = logging.getLogger(__name__)


class TlsChannel(Channel):
    """Is one connection under TLS; the handshake is part of the loop and costs only itself."""

    def __init__(
        self,
        server: Any,
        sock: ssl.SSLSocket,
        addr: Any,
        adj: Any,
        map: dict[int, Any] | None = None,  # noqa: A002 - waitress' name
    ) -> None:
        # OpenSSL's state is not safe in two threads at once: the loop reads, a worker writes.
        self._tls_lock = threading.Lock()
        self._shaking_since: float | None = time.monotonic()
        self._shake_wants_write = False
        super().__init__(server, sock, addr, adj, map=map)

    def due(self) -> float | None:
        """Return when this connection is cut; a handshake has the time of the headers."""
        if self._shaking_since is not None:
            return self._shaking_since + self._limits.header_seconds
        return super().due()

    def eviction_rank(self) -> tuple[int, float] | None:
        """Return how readily this connection makes room for a new one."""
        if self._shaking_since is not None:
            return 1, self._shaking_since
        return super().eviction_rank()

    def readable(self) -> bool:
        """Tell whether to wait for data."""
        if self._shaking_since is not None:
            return not self._shake_wants_write
        return super().readable()

    def writable(self) -> bool:
        """Tell whether to wait for room to send."""
        if self._shaking_since is not None:
            return self._shake_wants_write
        return bool(super().writable())

    def handle_read(self) -> None:
        """Take what has come."""
        if self._shaking_since is not None:
            self._shake()
        else:
            super().handle_read()

    def handle_write(self) -> None:
        """Send what is ready."""
        if self._shaking_since is not None:
            self._shake()
        else:
            super().handle_write()

    def handle_close(self) -> None:
        """Close, with TLS's own goodbye where it can go without waiting."""
        with self._tls_lock:
            if self._shaking_since is None and isinstance(self.socket, ssl.SSLSocket):
                _say_goodbye(self.socket)
        super().handle_close()

    def _shake(self) -> None:
        sock = self.socket
        if sock is None:
            return
        self._shake_wants_write = False
        try:
            with self._tls_lock:
                sock.do_handshake()
        except ssl.SSLWantReadError:
            return
        except ssl.SSLWantWriteError:
            self._shake_wants_write = True
            return
        except (OSError, ValueError) as error:
            self._handshake_failed(error)
            return
        self._shaking_since = None
        self._idle_since = time.monotonic()
        self.client_certificate = sock.getpeercert() or None

    def _handshake_failed(self, error: Exception) -> None:
        reason = getattr(error, "reason", None) or str(error) or type(error).__name__
        if reason == "HTTP_REQUEST":
            self._answer_plain_http()
        self.server.handshake_log.failed(peer=self.addr[0], reason=str(reason))
        self.handle_close()

    def _answer_plain_http(self) -> None:
        refusal = Refusal(
            status=400,
            message="this port speaks TLS, and the client spoke plain HTTP: use https://",
        )
        content_type, body = render(self.server.error_body, refusal)
        head = (
            f"HTTP/1.1 {refusal.status_line}\r\nContent-Type: {content_type}\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        with contextlib.suppress(OSError):
            socket.socket.send(self.socket, head.encode("latin-1") + body)
            # What OpenSSL left unread would reset the connection before the answer is seen.
            while socket.socket.recv(self.socket, 65536):
                pass

    def _receive(self) -> bytes | None:
        parts: list[bytes] = []
        try:
            with self._tls_lock:
                sock = self.socket
                if sock is None:
                    return None
                parts.append(sock.recv(self.adj.recv_bytes))
                # What OpenSSL holds already decrypted would not wake poll() again; and of a large
                # body several records are taken at once, as far as they are here.
                most = self._piece_bytes // self.adj.recv_bytes
                while parts[-1] and (sock.pending() or len(parts) < most):
                    parts.append(sock.recv(self.adj.recv_bytes))
        except ssl.SSLWantReadError:
            return b"".join(parts) or None
        except (OSError, ValueError):
            # Wanting to write here means that the peer asks for new keys and takes nothing.
            return b""
        return b"".join(parts)

    def _send_some(self, sock: socket.socket, data: bytes) -> int:
        try:
            with self._tls_lock:
                return 0 if self.socket is None else sock.send(data)
        except ssl.SSLWantWriteError:
            return 0
        except ValueError as error:
            raise ConnectionAbortedError("TLS has ended on this connection") from error

    def _end_of_output(self) -> None:
        with self._tls_lock:
            _say_goodbye(self.socket)
            # From here on bytes are only thrown away, so TLS need not read them.
            self.socket.shutdown(socket.SHUT_WR)


def _say_goodbye(sock: ssl.SSLSocket) -> None:
    with contextlib.suppress(OSError, ValueError):
        sock.unwrap()
