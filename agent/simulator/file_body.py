"""The bytes of a file as the body of an answer: quick where nothing is wrong, spoilt on demand."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import BinaryIO, Protocol

from waitress.buffers import ReadOnlyFileBasedBuffer
from waitress.channel import ClientDisconnected

from agent.simulator.faults import Fault, FaultKind

_SEND_BYTES = 256 * 1024
_CHUNK_BYTES = 64 * 1024
_CORRUPT_BYTES = 1024
_DRIPS_EACH_SECOND = 10
_WRONG = bytes(255 - byte for byte in range(256))


class Stopping(Protocol):
    """Is what a drip waits on; set when the simulator stops."""

    def wait(self, timeout: float, /) -> bool:
        """Wait, and return whether it is set."""


class FileBody(ReadOnlyFileBasedBuffer):  # type: ignore[misc] # waitress has no types
    """Is a file that the listener's own thread sends, so that a download holds no worker.

    waitress asks for as much as the socket's buffer may hold and reads again what did not go: the
    pieces are smaller here. The file stands at the first byte to be sent.
    """

    file: BinaryIO
    remain: int

    def get(self, numbytes: int = -1, skip: bool = False) -> bytes:  # noqa: FBT001, FBT002 - waitress'
        """Return the next bytes."""
        wanted = _SEND_BYTES if numbytes == -1 else min(numbytes, _SEND_BYTES)
        data: bytes = super().get(wanted, skip)
        if not data and self.remain:
            # The file became shorter: nothing will ever come, and waitress would ask without end.
            raise OSError("the file became shorter while it was sent")
        return data


def spoilt_body(
    file: BinaryIO, *, start: int, length: int, fault: Fault, stopping: Stopping
) -> Iterator[bytes]:
    """Return the bytes of a range of a file as `fault` spoils them.

    `fault.bytes` of a broken connection counts what is sent now, that of wrong bytes is a place in
    the file.
    """
    sent = 0
    try:
        file.seek(start)
        began = time.monotonic()
        while sent < length:
            wanted = min(_CHUNK_BYTES, length - sent)
            match fault.kind:
                case FaultKind.BREAK_OFF:
                    if sent >= fault.bytes:
                        raise ClientDisconnected
                    wanted = min(wanted, fault.bytes - sent)
                case FaultKind.DRIP:
                    wanted = min(wanted, max(1, fault.bytes // _DRIPS_EACH_SECOND))
                    due = began + (sent + wanted) / fault.bytes
                    if stopping.wait(max(0.0, due - time.monotonic())):
                        raise ClientDisconnected
            data = file.read(wanted)
            if not data:
                return
            if fault.kind is FaultKind.CORRUPT:
                data = _corrupt(data, place=start + sent, wrong_from=fault.bytes)
            sent += len(data)
            yield data
    finally:
        file.close()


def _corrupt(data: bytes, *, place: int, wrong_from: int) -> bytes:
    first = min(len(data), max(0, wrong_from - place))
    last = min(len(data), max(0, wrong_from + _CORRUPT_BYTES - place))
    return data[:first] + data[first:last].translate(_WRONG) + data[last:]
