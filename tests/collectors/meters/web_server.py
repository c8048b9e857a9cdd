"""A small HTTP server for meters that are asked over HTTP: it answers from a mapping of paths."""

from __future__ import annotations

import http.server
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

Answer = tuple[int, Mapping[str, str], bytes]


@dataclass
class WebPeer:
    """Is a server under test; `asked` holds method, path and headers of every question."""

    answer: Callable[[str, str, Mapping[str, str], bytes], Answer]
    asked: list[tuple[str, str, Mapping[str, str]]] = field(default_factory=list)
    url: str = ""
    port: int = 0


@contextmanager
def web_server(
    answer: Callable[[str, str, Mapping[str, str], bytes], Answer],
    *,
    certificate: tuple[Path, Path] | None = None,
) -> Iterator[WebPeer]:
    """Give a server on loopback, over TLS where a certificate and its key are given."""
    peer = WebPeer(answer=answer)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def do_GET(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", "0")))
            peer.asked.append((self.command, self.path, headers))
            status, more, content = peer.answer(self.command, self.path, headers, body)
            self.send_response(status)
            for name, value in {**more, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_DELETE = do_GET  # noqa: N815 - the library's names

        def log_message(self, *_: object) -> None:
            pass

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """A client that leaves is no news."""

    server = Server(("127.0.0.1", 0), Handler)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    peer.port = server.server_address[1]
    scheme = "http" if certificate is None else "https"
    peer.url = f"{scheme}://127.0.0.1:{peer.port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield peer
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


def make_certificate(folder: Path, openssl: str) -> tuple[Path, Path]:
    """Return a certificate for 127.0.0.1 that signs itself, and its key."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(
        [
            *(openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", "/CN=bmc"),
            *("-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    return certificate, key
