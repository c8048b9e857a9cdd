"""A socket between the runtime and its engine, where a test steps in at one request."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from pathlib import Path

_PART_BYTES = 65536


class TappedSocket:
    """Passes connections on to an engine, and calls `on_request` before each request goes on.

    It is given the beginning of the request, such as `POST /v1.41/containers/create?name=x`; what
    goes to the engine waits until it returns. False drops the connection instead. `on_answer` is
    the same for each part of what the engine says.
    """

    def __init__(
        self,
        folder: Path,
        *,
        engine: str,
        on_request: Callable[[str], bool | None],
        on_answer: Callable[[bytes], bool] = lambda _: True,
    ) -> None:
        self._engine = engine.removeprefix("unix://")
        self._on_request = on_request
        self._on_answer = on_answer
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        path = folder / "tap.sock"
        self._listener.bind(str(path))
        self._listener.listen(16)
        self.address = f"unix://{path}"
        self._held: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def close(self) -> None:
        """End everything."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        # Once it has ended, no connection and no thread comes anew.
        self._accepting.join(10)
        for held in self._held:
            _hang_up(held)
        for thread in self._threads:
            thread.join(10)
        for held in (self._listener, *self._held):
            held.close()

    def _run(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._held += [client, server]
            try:
                server.connect(self._engine)
            except OSError:
                _hang_up(client)
                continue
            self._run(lambda client=client, server=server: self._send(client, server))
            self._run(
                lambda client=client, server=server: _pass_on(
                    server, client, may_pass=self._on_answer
                )
            )

    def _send(self, client: socket.socket, server: socket.socket) -> None:
        def tapped(data: bytes) -> bool:
            line = data.partition(b"\r\n")[0]
            if not line.endswith(b" HTTP/1.1"):
                return True
            return self._on_request(line.decode().removesuffix(" HTTP/1.1")) is not False

        _pass_on(client, server, may_pass=tapped)


def _pass_on(
    source: socket.socket,
    target: socket.socket,
    *,
    may_pass: Callable[[bytes], bool] = lambda _: True,
) -> None:
    try:
        while (data := source.recv(_PART_BYTES)) and may_pass(data):
            target.sendall(data)
    except OSError:
        pass
    _hang_up(source)
    _hang_up(target)


def _hang_up(held: socket.socket) -> None:
    with contextlib.suppress(OSError):
        held.shutdown(socket.SHUT_RDWR)
