"""Questions over HTTP to one server, with a deadline over all that an exchange does.

No redirect is followed, no proxy and no environment is read: what is asked, and where, stands in
the configuration and nowhere else.
"""

from __future__ import annotations

import hashlib
import http.client
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from agent.errors import ReadingUnavailable

_FINGERPRINT = re.compile(r"[0-9a-fA-F]{64}")
_PORTS = {"http": 80, "https": 443}
_FIRST_REDIRECT, _FIRST_ERROR = 300, 400


@dataclass(frozen=True, slots=True, kw_only=True)
class WebServer:
    """Is where a server is and how it is known: by a CA of the system, of a file, or by its hash.

    `ca_file` None trusts the CAs of the system; `fingerprint_sha256` (64 hex digits, colons or not)
    trusts this one certificate and no other.
    """

    url: str
    ca_file: str | None = None
    fingerprint_sha256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WebAnswer:
    """Is what a server answered; names of headers are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class WebClient:
    """Keeps one connection to one server; one thread at a time."""

    def __init__(self, server: WebServer, *, most_bytes: int = 4 * 1024 * 1024) -> None:
        self._server = server
        self._most_bytes = most_bytes
        self._connection: http.client.HTTPConnection | None = None

    @property
    def path(self) -> str:
        """Is the path of the server's URL, without a slash at its end."""
        return urlsplit(self._server.url).path.rstrip("/")

    def check(self) -> None:
        """Return if the address can be used; asks nobody.

        Raises:
            ReadingUnavailable: it cannot; with what is wrong.
        """
        self._address()
        if self._server.url.startswith("https:"):
            self._context()

    def ask(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        deadline: float,
        body: bytes | None = None,
    ) -> WebAnswer:
        """Return the answer of any status below 300, and of those from 400.

        `deadline` is in seconds of `time.monotonic`. A connection that the server closed meanwhile
        is opened again.

        Raises:
            ReadingUnavailable: there is no answer in time, it is too long, or a redirect.
        """
        is_kept = self._connection is not None
        try:
            return self._exchange(method, path, headers=headers, deadline=deadline, body=body)
        except (http.client.RemoteDisconnected, ConnectionError, BrokenPipeError) as error:
            self.close()
            if not is_kept or time.monotonic() >= deadline:
                raise self._trouble(error, deadline=deadline) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            raise self._trouble(error, deadline=deadline) from error
        try:
            return self._exchange(method, path, headers=headers, deadline=deadline, body=body)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            raise self._trouble(error, deadline=deadline) from error

    def close(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _exchange(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        deadline: float,
        body: bytes | None,
    ) -> WebAnswer:
        if self._connection is None:
            self._connection = self._connect(deadline)
        connection = self._connection
        with _ended_at(deadline, connection.sock):
            connection.sock.settimeout(_left(deadline))
            connection.request(method, path, body=body, headers=dict(headers))
            with connection.getresponse() as response:
                content = response.read(self._most_bytes + 1)
                found = {name.lower(): value for name, value in response.getheaders()}
                will_close = response.will_close
        if will_close or len(content) > self._most_bytes:
            self.close()
        if len(content) > self._most_bytes:
            raise ReadingUnavailable(f"{self._place} answered more than {self._most_bytes} bytes")
        if _FIRST_REDIRECT <= response.status < _FIRST_ERROR:
            where = _printable(found.get("location", "elsewhere"))
            raise ReadingUnavailable(
                f"{self._place} sends on to {where}", hint="set the url to where it answers itself"
            )
        return WebAnswer(status=response.status, headers=found, body=content)

    def _connect(self, deadline: float) -> http.client.HTTPConnection:
        host, port, is_tls = self._address()
        context = self._context() if is_tls else None
        line = socket.create_connection((host, port), timeout=_left(deadline))
        try:
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if context is not None:
                wrapped = context.wrap_socket(
                    line, server_hostname=host, do_handshake_on_connect=False
                )
                line = wrapped
                with _ended_at(deadline, wrapped):
                    wrapped.do_handshake()
                self._check_fingerprint(wrapped)
        except BaseException:
            line.close()
            raise
        connection = http.client.HTTPConnection(host, port)
        connection.auto_open = 0
        connection.sock = line
        return connection

    def _address(self) -> tuple[str, int, bool]:
        try:
            parts = urlsplit(self._server.url)
            scheme, host, port = parts.scheme, parts.hostname, parts.port
        except ValueError:
            scheme, host, port = "", None, None
        # The text is not repeated in errors: it may hold a password.
        if scheme not in _PORTS or not host:
            raise ReadingUnavailable("url is not like https://host", hint="set url")
        if parts.username is not None or parts.query or parts.fragment:
            raise ReadingUnavailable(
                "url holds a user, a question or a fragment", hint="leave scheme, host and path"
            )
        return host, port or _PORTS[scheme], scheme == "https"

    @property
    def _place(self) -> str:
        host, port, _ = self._address()
        return f"{host}:{port}"

    def _context(self) -> ssl.SSLContext:
        server = self._server
        if server.fingerprint_sha256 is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            # What is trusted is compared by its hash, before anything is sent.
            context.verify_mode = ssl.CERT_NONE
            _digest(server.fingerprint_sha256)
            return context
        try:
            return ssl.create_default_context(cafile=server.ca_file)
        except OSError as error:
            raise ReadingUnavailable(
                f"{server.ca_file}: {error.strerror or 'holds no certificate'}", hint="set ca_file"
            ) from error

    def _check_fingerprint(self, line: ssl.SSLSocket) -> None:
        if self._server.fingerprint_sha256 is None:
            return
        found = hashlib.sha256(line.getpeercert(binary_form=True) or b"").hexdigest()
        if found != _digest(self._server.fingerprint_sha256):
            raise ReadingUnavailable(
                f"{self._place} shows a certificate with another fingerprint, {found}",
                hint="set fingerprint_sha256 if this is the device that you know",
            )

    def _trouble(self, error: Exception, *, deadline: float) -> ReadingUnavailable:
        place = self._place
        if isinstance(error, TimeoutError) or time.monotonic() >= deadline:
            return ReadingUnavailable(
                f"{place} did not answer in time", hint="check the address, or set timeout_seconds"
            )
        if isinstance(error, ssl.SSLCertVerificationError):
            return ReadingUnavailable(
                f"the certificate of {place} is not trusted: {error.verify_message}",
                hint="set ca_file to the CA that signed it, or fingerprint_sha256 to its own hash",
            )
        if isinstance(error, ssl.SSLError):
            return ReadingUnavailable(
                f"{place} speaks no TLS that is understood: {error.reason}", hint="is it http://?"
            )
        if isinstance(error, OSError):
            words = error.strerror or "closed the connection"
            return ReadingUnavailable(f"{place}: {words}", hint="check url and network")
        return ReadingUnavailable(
            f"{place} answers what is no HTTP ({type(error).__name__})", hint="check url and port"
        )


@contextmanager
def _ended_at(deadline: float, line: socket.socket) -> Iterator[None]:
    """Shut a socket down at the deadline: the time-out of a socket begins anew with each byte."""

    def end() -> None:
        with suppress(OSError):
            # Not the method of a TLS socket, which takes the session from the thread that reads.
            socket.socket.shutdown(line, socket.SHUT_RDWR)

    timer = threading.Timer(_left(deadline), end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _digest(text: str) -> str:
    digest = text.replace(":", "").strip().lower()
    if _FINGERPRINT.fullmatch(digest) is None:
        raise ReadingUnavailable(
            "fingerprint_sha256 is not 64 hexadecimal digits",
            hint="openssl x509 -noout -fingerprint -sha256 shows it",
        )
    return digest


def _printable(text: str) -> str:
    return "".join(one if one.isprintable() else "?" for one in text.partition("?")[0])[:200]
