"""One call of a device's API, bounded in time and size whatever the device does."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import ssl
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from agent.simulator.validation import NotJson, decode

_CHUNK_BYTES = 64 * 1024


class DeviceFailure(Exception):  # noqa: N818 - what the device did
    """Says in words why a device gave no answer that could be judged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """Is the API of one device, with the credentials that it registered."""

    address: str
    port: int
    username: str
    password: str = field(repr=False)

    @property
    def authorization(self) -> str:
        """Return the header that HTTP Basic wants."""
        plain = f"{self.username}:{self.password}".encode()
        return f"Basic {base64.b64encode(plain).decode('ascii')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Is one request; `path` stands behind the prefix.

    `length_bytes` belongs to a body that is sent piece by piece. `timeout_seconds` None takes the
    client's own. `headers` stand in place of the device's HTTP Basic; None leaves that.
    """

    method: str
    path: str
    body: bytes | Iterable[bytes] | None = None
    content_type: str = "application/json"
    length_bytes: int | None = None
    timeout_seconds: float | None = None
    headers: Mapping[str, str] | None = None


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
        device = Device(address=address, port=port, username=username, password=password)
        status, body = self._exchange(
            device, Call(method="POST", path="/Computility", body=json.dumps(message).encode())
        )
        if status != 200:
            raise DeviceFailure(f"answered HTTP {status}: {_hint(status)}{_start_of(body)}")
        return _json_of(status, body)

    def call(self, device: Device, call: Call) -> tuple[int, Any]:
        """Return HTTP status and JSON of what the device answers, whatever the status.

        Raises:
            DeviceFailure: there is no answer in time, or it is no JSON.
        """
        status, body = self._exchange(device, call)
        return status, _json_of(status, body)

    def _exchange(self, device: Device, call: Call) -> tuple[int, bytes]:
        address, port = device.address, device.port
        timeout_seconds = call.timeout_seconds or self.timeout_seconds
        try:
            plain = socket.create_connection((address, port), timeout=self.timeout_seconds)
        except OSError as error:
            raise DeviceFailure(f"cannot connect to {address}:{port}: {_words(error)}") from error
        plain.settimeout(timeout_seconds)
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

        watch = threading.Timer(timeout_seconds, cut)
        watch.daemon = True
        watch.start()
        try:
            with connection:
                if isinstance(connection, ssl.SSLSocket):
                    connection.do_handshake()
                answer = self._talk(connection, device, call)
                if expired.is_set():
                    # The body had no length, so its cut looks like its end.
                    raise TimeoutError
                return answer
        except (OSError, http.client.HTTPException, ValueError) as error:
            if expired.is_set() or isinstance(error, TimeoutError):
                raise DeviceFailure(f"no answer within {timeout_seconds:g} s") from error
            raise DeviceFailure(f"broke the exchange off: {_words(error)}") from error
        finally:
            watch.cancel()

    def _wrap(self, plain: socket.socket, address: str) -> ssl.SSLSocket:
        assert self.ssl_context is not None  # noqa: S101 - asked by the caller
        return self.ssl_context.wrap_socket(
            plain, server_hostname=address, do_handshake_on_connect=False
        )

    def _talk(self, connection: socket.socket, device: Device, call: Call) -> tuple[int, bytes]:
        client = http.client.HTTPConnection(device.address, device.port)
        client.sock = connection
        headers = {
            "Host": f"{device.address}:{device.port}",
            "Accept": "application/json",
            "Connection": "close",
            **({"Authorization": device.authorization} if call.headers is None else call.headers),
        }
        if call.body is not None:
            headers["Content-Type"] = call.content_type
        if call.length_bytes is not None:
            headers["Content-Length"] = str(call.length_bytes)
        try:
            client.request(call.method, f"{self.prefix}{call.path}", call.body, headers)
        except (BrokenPipeError, ConnectionResetError):
            # Who refuses a large file before its end may have said why.
            if call.length_bytes is None:
                raise
            client.sock = connection
            response = http.client.HTTPResponse(connection, method=call.method)
            response.begin()
        else:
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


def _json_of(status: int, body: bytes) -> Any:
    try:
        return decode(body)
    except NotJson as error:
        raise DeviceFailure(f"answered HTTP {status}, but {error}") from error


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
