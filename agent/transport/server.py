"""An HTTP server for a WSGI application, plain or under TLS.

Every request is read whole before a worker sees it, so slow clients cost no worker. A body over
the limit is taken only with an allowance (`uploads`), and then lies on disk.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl
import threading
from typing import Any

from agent.errors import PermanentError
from agent.transport.limits import ServerLimits
from agent.transport.listener import Listener
from agent.transport.refusals import ErrorBody, plain_error_body
from agent.transport.uploads import Uploads

__all__ = ["ErrorBody", "HttpServer", "ServerLimits", "Uploads", "plain_error_body"]

_BACKLOG = 256
_CAUSES = {
    errno.EADDRINUSE: "another program listens there",
    errno.EACCES: "this user may not listen on ports below 1024 (CAP_NET_BIND_SERVICE)",
    errno.EADDRNOTAVAIL: "this machine has no such address",
    errno.EAFNOSUPPORT: "this machine does not speak that kind of address",
}


class HttpServer:
    """Serves one WSGI application on one address; a server is started once.

    `error_body` writes what is refused before the application sees it (400, 408, 413, 431, 501,
    503, 505, and 500 for an application that fails), from a status and a message. The application
    runs in worker threads called after `name`; `computility.client_certificate` in its environment
    is the client's certificate as `ssl` describes it, None without. `uploads` says who may send
    bodies over the limit of `limits`; None for nobody.
    """

    def __init__(
        self,
        application: Any,
        *,
        listen: tuple[str, int],
        limits: ServerLimits,
        name: str,
        ssl_context: ssl.SSLContext | None = None,
        error_body: ErrorBody = plain_error_body,
        uploads: Uploads | None = None,
    ) -> None:
        self._application = application
        self._listen = listen
        self._limits = limits
        self._ssl_context = ssl_context
        self._error_body = error_body
        self._uploads = uploads
        self._name = name
        self._listener: Listener | None = None
        self._thread: threading.Thread | None = None
        self._bound: tuple[str, int] = listen

    def start(self) -> None:
        """Bind and serve; raises PermanentError that names the address and the cause."""
        if self._listener is not None:
            raise RuntimeError(f"{self._name} was started before")
        if self._uploads is not None:
            self._prepare(self._uploads)
        sock = _bind(self._listen)
        self._bound = sock.getsockname()[:2]
        self._listener = Listener(
            self._application,
            sock=sock,
            limits=self._limits,
            ssl_context=self._ssl_context,
            error_body=self._error_body,
            name=self._name,
            uploads=self._uploads,
        )
        self._thread = threading.Thread(target=self._listener.serve, name=self._name, daemon=True)
        self._thread.start()

    @staticmethod
    def _prepare(uploads: Uploads) -> None:
        try:
            uploads.folder.prepare()
        except OSError as error:
            raise PermanentError(f"the folder for uploads cannot be used: {error}") from error

    @property
    def address(self) -> str:
        """Return the address that is listened on, without the port."""
        return self._bound[0]

    @property
    def port(self) -> int:
        """Return the port that is listened on; the real one after `start` where 0 was given."""
        return self._bound[1]

    @property
    def is_alive(self) -> bool:
        """Tell whether the listener's thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def stop(self, *, timeout_seconds: float) -> None:
        """Answer what has arrived, then close; after the timeout whatever is left is cut.

        Does nothing where the server does not run. Any thread but the server's own.
        """
        if self._listener is None or self._thread is None or not self._thread.is_alive():
            return
        self._listener.ask_to_stop(timeout_seconds=timeout_seconds)
        # The loop keeps to the timeout itself; the second is for a machine that is busy.
        self._thread.join(timeout_seconds + 1.0)


def _bind(listen: tuple[str, int]) -> socket.socket:
    host, port = listen
    shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise PermanentError(f"cannot listen on {shown}: no such address ({error})") from error
    try:
        sock = socket.socket(family, kind, protocol)
    except OSError as error:
        raise PermanentError(f"cannot listen on {shown}: {_cause(error)}") from error
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # `::` means every address of this machine, those of IPv4 too.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(address[0] != "::"))
        sock.bind(address)
        sock.listen(_BACKLOG)
    except OSError as error:
        sock.close()
        raise PermanentError(f"cannot listen on {shown}: {_cause(error)}") from error
    return sock


def _cause(error: OSError) -> str:
    return _CAUSES.get(error.errno or 0) or os.strerror(error.errno or 0)
