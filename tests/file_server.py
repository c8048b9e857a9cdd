"""A server of one file, that breaks off, lies or redirects as a test tells it to."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass

PATIENCE_SECONDS = 20.0


@dataclass(frozen=True)
class Asked:
    """Is one request."""

    target: str
    headers: dict[str, str]

    @property
    def offset(self) -> int:
        """Return where the part begins that is asked for, 0 for all."""
        found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("range", ""))
        return int(found.group(1)) if found else 0


class FileServer:
    """Serves `content`; `answer` may be replaced by what a test wants to happen instead."""

    def __init__(self, content: bytes = b"", *, context: ssl.SSLContext | None = None) -> None:
        self.content = content
        self.etag: str | None = '"one"'
        self.knows_parts = True
        self.break_after: Callable[[Asked], int | None] = lambda asked: None
        self.answer: Callable[[Asked, socket.socket], None] = self.serve
        self.asked: list[Asked] = []
        # Set at the end: an answer waits on it where it wants to be slow.
        self.over = threading.Event()
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, name="file-server")]
        self._threads[0].start()

    @property
    def url(self) -> str:
        """Return where the file is."""
        return f"{'https' if self._context else 'http'}://localhost:{self.port}/file.tar"

    def serve(self, asked: Asked, sock: socket.socket) -> None:
        """Send what is asked for, all or a part, and break off where `break_after` says."""
        offset = asked.offset
        total = len(self.content)
        is_same = asked.headers.get("if-range", self.etag) == self.etag
        tag = f"ETag: {self.etag}\r\n" if self.etag else ""
        if offset >= total > 0 and self.knows_parts and is_same:
            sock.sendall(
                f"HTTP/1.1 416 No\r\nContent-Range: bytes */{total}\r\n"
                "Content-Length: 0\r\n\r\n".encode()
            )
            return
        if "range" in asked.headers and self.knows_parts and is_same:
            body = self.content[offset:]
            head = f"HTTP/1.1 206 Part\r\nContent-Range: bytes {offset}-{total - 1}/{total}\r\n"
        else:
            body = self.content
            head = "HTTP/1.1 200 OK\r\n"
        head += f"{tag}Content-Length: {len(body)}\r\n\r\n"
        sock.sendall(head.encode())
        sock.sendall(body[: self.break_after(asked)])

    def always(self, data: bytes, *, wait: bool = False) -> None:
        """Answer everything with these bytes, and close, or wait for the end of the test."""

        def answer(asked: Asked, sock: socket.socket) -> None:
            sock.sendall(data)
            if wait:
                self.over.wait(PATIENCE_SECONDS)

        self.answer = answer

    def drip(self, start: bytes, piece: bytes, *, seconds: float = 0.02) -> None:
        """Answer with some bytes now and then, for ever."""

        def answer(asked: Asked, sock: socket.socket) -> None:
            sock.sendall(start)
            while not self.over.wait(seconds):
                sock.sendall(piece)

        self.answer = answer

    def close(self) -> None:
        """End everything."""
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
            thread = threading.Thread(target=self._talk, args=(sock,), name="file-server")
            self._threads = [each for each in self._threads if each.is_alive()] + [thread]
            thread.start()

    def _talk(self, sock: socket.socket) -> None:
        sock.settimeout(PATIENCE_SECONDS)
        try:
            if self._context is not None:
                sock = self._context.wrap_socket(sock, server_side=True)
            data = b""
            while b"\r\n\r\n" not in data:
                piece = sock.recv(65536)
                if not piece:
                    return
                data += piece
            first, *rest = data.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
            headers = {name.lower(): value for name, value in (one.split(": ", 1) for one in rest)}
            asked = Asked(first.split(" ")[1], headers)
            self.asked.append(asked)
            self.answer(asked, sock)
        except OSError:
            pass
        finally:
            sock.close()
