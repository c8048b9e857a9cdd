"""Peers of meters in tests: Modbus servers of pymodbus, and TCP peers that do what they like."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence

from pymodbus import FramerType
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

GUARD_SECONDS = 60


class ModbusPeer:
    """Runs pymodbus' own server, in a thread, on a port of its own."""

    def __init__(
        self,
        holding: Mapping[int, Sequence[int]],
        *,
        inputs: Mapping[int, Sequence[int]] | None = None,
        framing: str = "tcp",
        unit: int = 1,
    ) -> None:
        self._unit = unit
        self._framer = FramerType.SOCKET if framing == "tcp" else FramerType.RTU
        self._device = SimDevice(
            unit, simdata=([_bit()], [_bit()], _blocks(holding), _blocks(inputs or {}))
        )
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.port = 0

    def __enter__(self) -> ModbusPeer:
        self._thread.start()
        assert self._ready.wait(GUARD_SECONDS)
        assert self.port
        return self

    def __exit__(self, *_) -> None:
        asyncio.run_coroutine_threadsafe(self._server.shutdown(), self._loop).result(GUARD_SECONDS)
        self._thread.join(GUARD_SECONDS)
        assert not self._thread.is_alive()

    def set(self, address: int, words: Sequence[int], *, function: int = 16) -> None:
        asyncio.run_coroutine_threadsafe(
            self._server.async_setValues(self._unit, function, address, list(words)), self._loop
        ).result(GUARD_SECONDS)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()
            self._ready.set()

    async def _serve(self) -> None:
        self._server = ModbusTcpServer(self._device, framer=self._framer, address=("127.0.0.1", 0))
        await self._server.serve_forever(background=True)
        self.port = self._server.transport.sockets[0].getsockname()[1]
        self._ready.set()
        await self._server.serving
        # Transports close in the next turns of the loop.
        for _ in range(5):
            await asyncio.sleep(0)


def _blocks(registers: Mapping[int, Sequence[int]]) -> list[SimData]:
    merged: list[tuple[int, list[int]]] = []
    for address, words in sorted(registers.items()):
        if merged and merged[-1][0] + len(merged[-1][1]) == address:
            merged[-1][1].extend(words)
        else:
            merged.append((address, list(words)))
    return [
        SimData(address, values=words, datatype=DataType.REGISTERS) for address, words in merged
    ] or [SimData(0xFFFF, values=[0], datatype=DataType.REGISTERS)]


def _bit() -> SimData:
    return SimData(0, values=[False], datatype=DataType.BITS)


class Peer:
    """Listens on a TCP port and does with each connection what a function says."""

    def __init__(self, behave: Callable[[socket.socket, threading.Event], None]) -> None:
        self._behave = behave
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._connections: list[socket.socket] = []
        self.port: int = self._listener.getsockname()[1]
        self.connected = 0

    def __enter__(self) -> Peer:
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()
        return self

    def __exit__(self, *_) -> None:
        self._stopping.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join(GUARD_SECONDS)
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        for thread in self._threads:
            thread.join(GUARD_SECONDS)
            assert not thread.is_alive()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connected += 1
            self._connections.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            self._behave(connection, self._stopping)


def silent(_: socket.socket, stopping: threading.Event) -> None:
    stopping.wait(GUARD_SECONDS)


def dripping(connection: socket.socket, stopping: threading.Event) -> None:
    """Send one byte after another, each before anybody's patience with one byte ends."""
    number = 0
    while not stopping.wait(0.02):
        connection.sendall(bytes([number & 0xFF]))
        number = number * 5 + 1


def flooding(connection: socket.socket, stopping: threading.Event) -> None:
    while not stopping.is_set():
        connection.sendall(b"\x68\x01\x03\xfe" * 1024)


def garbage(connection: socket.socket, stopping: threading.Event) -> None:
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    stopping.wait(GUARD_SECONDS)


def hanging_up(connection: socket.socket, _: threading.Event) -> None:
    connection.recv(4096)
    connection.shutdown(socket.SHUT_RDWR)
    connection.close()


def resetting(connection: socket.socket, _: threading.Event) -> None:
    connection.recv(4096)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@contextlib.contextmanager
def closed_port() -> Iterator[int]:
    """Yield a port that nobody listens on, held so that nobody will."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]
