"""Servers to ask, raw sockets to ask them with, hostile platforms, and certificates."""

from __future__ import annotations

import os
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.transport.client import HttpClient
from agent.transport.server import HttpServer, ServerLimits

# What a busy machine may need for anything: only failures wait this long.
PATIENCE_SECONDS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificates:
    """Files of a CA, of a server for localhost and 127.0.0.1, of others, and of a client."""

    ca: str
    server: str
    wrong_name: str
    expired: str
    client: str


def _openssl(openssl: str, *arguments: str, folder: Path) -> None:
    done = subprocess.run(
        [openssl, *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    openssl = shutil.which("openssl")
    if openssl is None:
        reason = "openssl makes the certificates of these tests, and is not on this machine"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("certificates")
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    authority = ("-addext", "basicConstraints=critical,CA:TRUE", "-subj", "/CN=test CA")
    _openssl(
        openssl, "req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "30",
        *authority, folder=folder,
    )  # fmt: skip

    def issue(name: str, *, names: str, days: int) -> str:
        (folder / f"{name}.ext").write_text(f"subjectAltName={names}\n")
        _openssl(
            openssl, "req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr",
            "-subj", f"/CN={name}", folder=folder,
        )  # fmt: skip
        _openssl(
            openssl, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
            "-CAcreateserial", "-days", str(days), "-extfile", f"{name}.ext",
            "-out", f"{name}.crt", folder=folder,
        )  # fmt: skip
        both = folder / f"{name}.pem"
        both.write_text((folder / f"{name}.crt").read_text() + (folder / f"{name}.key").read_text())
        return str(both)

    here = "DNS:localhost,IP:127.0.0.1"
    return Certificates(
        ca=str(folder / "ca.pem"),
        server=issue("server", names=here, days=30),
        wrong_name=issue("other", names="DNS:platform.example", days=30),
        expired=issue("expired", names=here, days=-1),
        client=issue("client", names="DNS:node", days=30),
    )


def echo(environ, start_response):
    """Answer with method, path and body, or do what the path asks for."""
    body = environ["wsgi.input"].read()
    path = environ["PATH_INFO"]
    if path == "/fail":
        raise ZeroDivisionError
    if path == "/address":
        body = environ["REMOTE_ADDR"].encode()
    if path == "/client":
        body = repr(environ["computility.client_certificate"]).encode()
    if path == "/big":
        body = b"x" * 3_000_000
    text = f"{environ['REQUEST_METHOD']} {path} {len(body)} ".encode() + body
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [text]


@pytest.fixture
def serve() -> Iterator[Callable[..., HttpServer]]:
    servers = []

    def start(
        application=echo,
        *,
        host="127.0.0.1",
        ssl_context=None,
        error_body=None,
        uploads=None,
        **limits,
    ):
        options = {} if error_body is None else {"error_body": error_body}
        server = HttpServer(
            application,
            listen=(host, 0),
            limits=ServerLimits(**limits),
            ssl_context=ssl_context,
            name="test",
            uploads=uploads,
            **options,
        )
        server.start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.stop(timeout_seconds=5)
        assert not server.is_alive


def server_context(certificates: Certificates, *, client_ca: bool = False) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.server)
    if client_ca:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(certificates.ca)
    return context


@pytest.fixture
def tls(certificates: Certificates) -> ssl.SSLContext:
    return server_context(certificates)


@pytest.fixture
def mutual_tls(certificates: Certificates) -> ssl.SSLContext:
    return server_context(certificates, client_ca=True)


@dataclass(frozen=True, slots=True)
class Answer:
    version: str
    status: int
    headers: dict[str, str]
    body: bytes


class RawClient:
    """Speaks HTTP byte by byte over a socket, plain or under TLS."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.sock.settimeout(PATIENCE_SECONDS)
        self._buffer = b""

    def send(self, data: bytes) -> RawClient:
        self.sock.sendall(data)
        return self

    def answer(self, *, head: bool = False) -> Answer:
        while b"\r\n\r\n" not in self._buffer:
            self._more()
        top, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        line, *rest = top.decode("latin-1").split("\r\n")
        version, status, *_ = line.split(" ")
        headers = {name.lower(): value for name, value in (one.split(": ", 1) for one in rest)}
        length = int(headers.get("content-length", "0"))
        if head or int(status) < 200:
            length = 0
        while len(self._buffer) < length:
            self._more()
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        return Answer(version, int(status), headers, body)

    def rest(self) -> bytes:
        """Return everything until the server closes."""
        try:
            while True:
                self._more()
        except (EOFError, ConnectionError, ssl.SSLError):
            return self._buffer

    def is_closed(self) -> bool:
        """Wait until the server closes; nothing else may come."""
        return self.rest() == b""

    def _more(self) -> None:
        data = self.sock.recv(65536)
        if not data:
            raise EOFError
        self._buffer += data


@pytest.fixture
def connect(certificates: Certificates) -> Iterator[Callable[..., RawClient]]:
    sockets = []

    def open_connection(server, *, tls=False, certificate=None) -> RawClient:
        sock = socket.create_connection((server.address, server.port), timeout=PATIENCE_SECONDS)
        if tls:
            context = ssl.create_default_context(cafile=certificates.ca)
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # Python 3.13 sets it
            if certificate:
                context.load_cert_chain(certificate)
            sock = context.wrap_socket(sock, server_hostname="localhost")
        sockets.append(sock)
        return RawClient(sock)

    yield open_connection
    for sock in sockets:
        sock.close()


@pytest.fixture
def wait_until() -> Callable[..., None]:
    def wait(condition: Callable[[], bool]) -> None:
        pause = threading.Event()
        end = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            assert time.monotonic() < end, "it never happened"
            pause.wait(0.01)

    return wait


class HostilePlatform:
    """Accepts connections and lets a script do what it wants with each; counts them."""

    def __init__(self, script, *, context: ssl.SSLContext | None) -> None:
        self._script = script
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.connections = 0
        self.requests = 0
        # Set at the end of the test: a script waits on it where it wants to be slow.
        self.over = threading.Event()
        self._threads = [threading.Thread(target=self._accept, name="hostile")]
        self._threads[0].start()

    @property
    def url(self) -> str:
        return f"{'https' if self._context else 'http'}://localhost:{self.port}"

    def read_request(self, sock: socket.socket) -> bytes:
        data = b""
        while b"\r\n\r\n" not in data:
            piece = sock.recv(65536)
            if not piece:
                return b""
            data += piece
        length = re.search(rb"content-length: (\d+)", data.lower())
        if length:
            while len(data.partition(b"\r\n\r\n")[2]) < int(length.group(1)):
                data += sock.recv(65536)
        self.requests += 1
        return data

    def close(self) -> None:
        self.over.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(PATIENCE_SECONDS)
            assert not thread.is_alive()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(sock,), name="hostile")
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        sock.settimeout(PATIENCE_SECONDS)
        try:
            if self._context is not None:
                sock = self._context.wrap_socket(sock, server_side=True)
            self._script(self, sock)
        except OSError:
            pass
        finally:
            sock.close()


@pytest.fixture
def hostile() -> Iterator[Callable[..., HostilePlatform]]:
    platforms = []

    def start(script, *, context=None) -> HostilePlatform:
        platforms.append(HostilePlatform(script, context=context))
        return platforms[-1]

    yield start
    for platform in platforms:
        platform.close()


@pytest.fixture
def client_of() -> Iterator[Callable[..., HttpClient]]:
    clients = []

    def make(url: str, **options) -> HttpClient:
        clients.append(HttpClient(base_url=url, user_agent="test/1", **options))
        return clients[-1]

    yield make
    for client in clients:
        client.close()
