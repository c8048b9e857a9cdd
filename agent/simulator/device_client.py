"""One call of a device's API, bounded in time and size whatever the device does."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import ssl
import threading
from dataclasses import dataclass
from typing import Any

from agent.simulator.validation import NotJson, decode

_CHUNK_BYTES = 64 * 1024


class DeviceFailure(Exception):  # noqa: N818 - what the device did
    """Says in words why a device gave no answer that could be judged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceClient:
    """Calls devices; safe in every thread.

    `timeout_seconds` is for the whole exchange, connecting included. `ssl_context` None means plain
    HTTP. No redirection is followed and no proxy is used: the standard names address and port.
    """

    prefix: str
    timeout_seconds: float
    body_bytes_maximum: int
    ssl_context: ssl.SSLContext | None = None

    def computility(
        self, *, address: str, port: int, username: str, password: str, message: dict[str, Any]
    ) -> Any:
        """Return the JSON that the device answers to POST {prefix}/Computility.

        Raises:
            DeviceFailure: there is no answer in time, or it is no JSON, or no HTTP 200.
        """
        credentials = base64.b64encode(f"{username}:{password}".encode()).decode("ascii")
        headers = {
            "Host": f"{address}:{port}",
            "Authorization": f"Basic {credentials}",
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Connection": "close",
        }
        status, body = self._exchange(
            address, port, body=json.dumps(message).encode(), headers=headers
        )
        if status != 200:
            raise DeviceFailure(f"answered HTTP {status}: {_hint(status)}{_start_of(body)}")
        try:
            return decode(body)
        except NotJson as error:
            raise DeviceFailure(f"answered HTTP 200, but {error}") from error

    def _exchange(
        self, address: str, port: int, *, body: bytes, headers: dict[str, str]
    ) -> tuple[int, bytes]:
        try:
            plain = socket.create_connection((address, port), timeout=self.timeout_seconds)
        except OSError as error:
            raise DeviceFailure(f"cannot connect to {address}:{port}: {_words(error)}") from error
        connection = plain if self.ssl_context is None else self._wrap(plain, address)
        expired = threading.Event()

        def cut() -> None:
            expired.set()
            # Ends whatever read is waiting, in TLS too, where SSLSocket.shutdown is not safe
            # beside it.
            try:
                socket.socket.shutdown(connection, socket.SHUT_RDWR)
            except OSError:
                return

        watch = threading.Timer(self.timeout_seconds, cut)
        watch.daemon = True
        watch.start()
        try:
            with connection:
                if isinstance(connection, ssl.SSLSocket):
                    connection.do_handshake()
                answer = self._talk(connection, address, port, body=body, headers=headers)
                if expired.is_set():
                    # The body had no length, so its cut looks like its end.
                    raise TimeoutError
                return answer
        except (OSError, http.client.HTTPException, ValueError) as error:
            if expired.is_set() or isinstance(error, TimeoutError):
                raise DeviceFailure(f"no answer within {self.timeout_seconds:g} s") from error
            raise DeviceFailure(f"broke the exchange off: {_words(error)}") from error
        finally:
            watch.cancel()

    def _wrap(self, plain: socket.socket, address: str) -> ssl.SSLSocket:
        assert self.ssl_context is not None  # noqa: S101 - asked by the caller
        return self.ssl_context.wrap_socket(
            plain, server_hostname=address, do_handshake_on_connect=False
        )

    def _talk(
        self,
        connection: socket.socket,
        address: str,
        port: int,
        *,
        body: bytes,
        headers: dict[str, str],
    ) -> tuple[int, bytes]:
        client = http.client.HTTPConnection(address, port)
        client.sock = connection
        client.request("POST", f"{self.prefix}/Computility", body=body, headers=headers)
        response = client.getresponse()
        received = bytearray()
        while chunk := response.read(_CHUNK_BYTES):
            received += chunk
            if len(received) > self.body_bytes_maximum:
                raise DeviceFailure(
                    f"answered with more than {self.body_bytes_maximum} bytes; the rest was left"
                )
        if response.length:
            raise DeviceFailure(f"closed the connection {response.length} bytes before the end")
        return response.status, bytes(received)


def client_context(*, ca_file: str | None) -> ssl.SSLContext:
    """Return the TLS context for devices.

    Without a CA nothing is verified: boxes come with certificates that they made themselves, and a
    simulator is no place for real credentials.
    """
    context = ssl.create_default_context(cafile=ca_file)
    # As for the agent: Python 3.13 refuses a private CA without the key usage extension.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if ca_file is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _hint(status: int) -> str:
    if status in (401, 403):
        return "it does not take the user and password that it registered; "
    if status == 404:
        return "nothing is at this path; "
    return ""


def _start_of(body: bytes) -> str:
    return repr(body[:120].decode("utf-8", "replace"))


def _words(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = str(error)[:120]
    return repr(text) if text else type(error).__name__
