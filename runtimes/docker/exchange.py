"""One HTTP exchange with the engine on a connection of its own: for what takes long or streams.

The SDK's client has one time-out for everything, none for streams, and loses the engine's answer
where it ends a large upload early. Here each wait has its limit, and any thread may end it.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping

from agent.errors import TransientError
from runtimes.docker.connection import EngineRefusal, unreachable

_CHUNK_BYTES = 65536
_ERROR_BODY_BYTES = 65536


class Exchange:
    """Is one request and its answer; opened in one thread, which may be ended from another.

    `address` is unix:///…; connecting, sending and each wait for the answer's head end after
    `timeout_seconds`.
    """

    def __init__(self, address: str, *, timeout_seconds: float) -> None:
        self._address = address
        self._timeout_seconds = timeout_seconds
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._response: http.client.HTTPResponse | None = None
        self._is_in_use = False
        self._closed = threading.Event()

    def open(
        self,
        method: str,
        path: str,
        *,
        parameters: Mapping[str, str],
        body: Iterable[bytes] | None = None,
        answer_seconds: float | None = None,
    ) -> None:
        """Send the request and wait for the head of the answer.

        `answer_seconds` is how long the engine may think after it has everything; None is the
        time-out of the rest.

        Raises:
            EngineRefusal: the engine answered with an error.
            SourceError: the body did.
            TransientError: it could not be reached or did not answer in time.
        """
        try:
            with self._in_use():
                connection = self._connect()
                source = None if body is None else _Source(body)
                self._send(connection, method, path, parameters=parameters, source=source)
                if connection.sock is not None:
                    connection.sock.settimeout(answer_seconds or self._timeout_seconds)
                self._response = response = connection.getresponse()
                if response.status >= 400:
                    text = response.read(_ERROR_BODY_BYTES)
                    raise EngineRefusal(status=response.status, message=_message(text))
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            raise unreachable(error, socket=self._address) from error
        except BaseException:
            self.close()
            raise

    def wait_at_most(self, seconds: float | None) -> None:
        """Limit each later wait for more of the answer; None waits until somebody closes."""
        with self._lock:
            if self._socket is not None and not self._closed.is_set():
                self._socket.settimeout(seconds)

    def read(self) -> bytes:
        """Return the next part of the answer, b"" at its end and after `close`.

        Raises:
            TransientError: the engine broke the answer off, or sent nothing in time.
        """
        try:
            with self._in_use():
                if self._response is None or self._closed.is_set():
                    return b""
                return self._response.read1(_CHUNK_BYTES)
        except (OSError, http.client.HTTPException, ValueError) as error:
            if self._closed.is_set():
                return b""
            raise unreachable(error, socket=self._address) from error

    def close(self) -> None:
        """End it at once, also while another thread waits in it; may be called twice."""
        with self._lock:
            self._closed.set()
            if not self._is_in_use:
                self._free()
            elif self._socket is not None:
                # Wakes the thread that waits, which frees the socket then: while it reads, the
                # number of the file must not be given to somebody else.
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)

    @contextlib.contextmanager
    def _in_use(self) -> Iterator[None]:
        with self._lock:
            self._is_in_use = True
        try:
            yield
        finally:
            with self._lock:
                self._is_in_use = False
                if self._closed.is_set():
                    self._free()

    def _free(self) -> None:
        response, self._response = self._response, None
        held, self._socket = self._socket, None
        if response is not None:
            response.close()
        if held is not None:
            held.close()

    def _connect(self) -> http.client.HTTPConnection:
        held = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with self._lock:
            if self._closed.is_set():
                held.close()
                raise TransientError("the runtime was closed")
            self._socket = held
        held.settimeout(self._timeout_seconds)
        held.connect(self._address.removeprefix("unix://"))
        connection = http.client.HTTPConnection("localhost")
        connection.sock = held
        return connection

    def _send(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        *,
        parameters: Mapping[str, str],
        source: _Source | None,
    ) -> None:
        # A path without a version means the engine's newest.
        target = f"{path}?{urllib.parse.urlencode(parameters)}"
        if source is None:
            connection.request(method, target)
            return
        headers = {"Content-Type": "application/x-tar", "Transfer-Encoding": "chunked"}
        try:
            connection.request(method, target, body=source, headers=headers, encode_chunked=True)
        except Exception as error:
            if source.error is not None:
                raise SourceError(source.error) from error
            # Where the engine ended it early, its answer, which says why, lies in the socket.
            if not isinstance(error, (BrokenPipeError, ConnectionResetError)):
                raise


class SourceError(Exception):
    """Carries an error of the body past those of the connection, which may be of the same kind."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class _Source:
    """Passes the body on, and keeps the error with which it ended."""

    def __init__(self, body: Iterable[bytes]) -> None:
        self._body = iter(body)
        self.error: Exception | None = None

    def __iter__(self) -> _Source:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self._body)
        except StopIteration:
            raise
        except Exception as error:
            self.error = error
            raise


def _message(body: bytes) -> str:
    text = body.decode("utf-8", errors="replace")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return text
    message = document.get("message") if isinstance(document, dict) else None
    return message if isinstance(message, str) else text
