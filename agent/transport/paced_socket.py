"""Reads from a connection under a deadline first, and at a least speed afterwards."""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from agent.errors import TransientError

# What may arrive for one piece of a file: far more than the piece and its framing need.
_BETWEEN_PIECES_BYTES = 8 << 20
# Sockets understand 0 as something else.
_NO_SECONDS = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Says how slow a server may be.

    Once the body began, at least `bytes_per_second` have to arrive on average over each
    `window_seconds` of waiting; time in which nobody reads does not count.
    """

    head_seconds: float = 60.0
    bytes_per_second: float = 1024.0
    window_seconds: float = 60.0


class PacedSocket(io.RawIOBase):
    """Is what the HTTP library reads an answer from; of one thread.

    `remaining_seconds` is the time left for the head, and for everything if `is_whole` is true.
    """

    def __init__(
        self,
        sock: socket.socket,
        *,
        pace: Pace,
        where: str,
        remaining_seconds: Callable[[], float],
        is_whole: bool,
    ) -> None:
        self._sock = sock
        self._pace = pace
        self._where = where
        self._remaining_seconds = remaining_seconds
        self._is_whole = is_whole
        self._is_body = False
        self._waited_seconds = 0.0
        self._window_bytes = 0
        self._unclaimed_bytes = 0

    def begin_body(self) -> None:
        """Leave the deadline of the head behind."""
        self._is_body = True

    def claim(self) -> None:
        """Say that a piece of the file came out of what was read."""
        self._unclaimed_bytes = 0

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Return what http.client asks of a socket."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read what is there into the buffer and return how much; 0 at the end.

        Raises:
            TransientError: it came too slowly, or far more came than belongs to a piece.
            OSError: the connection broke.
        """
        while True:
            self._sock.settimeout(self._timeout_seconds())
            started = time.monotonic()
            try:
                count = self._sock.recv_into(buffer)
            except TimeoutError as error:
                is_late = self._is_whole and self._remaining_seconds() <= _NO_SECONDS
                if not self._is_body or is_late:
                    raise TransientError(f"{self._where} did not answer in time") from error
                # The end of a window: what came in it decides.
                self._count(0, seconds=max(time.monotonic() - started, _NO_SECONDS))
            else:
                self._count(count, seconds=time.monotonic() - started)
                return count

    def _timeout_seconds(self) -> float:
        remaining_seconds = self._remaining_seconds()
        if not self._is_body:
            return remaining_seconds
        left_seconds = max(_NO_SECONDS, self._pace.window_seconds - self._waited_seconds)
        return min(remaining_seconds, left_seconds) if self._is_whole else left_seconds

    def _count(self, count: int, *, seconds: float) -> None:
        self._unclaimed_bytes += count
        if self._unclaimed_bytes > _BETWEEN_PIECES_BYTES:
            raise TransientError(f"{self._where} sends headers or framing without an end")
        if not self._is_body:
            return
        self._window_bytes += count
        self._waited_seconds += seconds
        if self._waited_seconds >= self._pace.window_seconds:
            if self._window_bytes < self._pace.bytes_per_second * self._waited_seconds:
                raise TransientError(
                    f"{self._where} is too slow: {self._window_bytes} bytes in "
                    f"{self._pace.window_seconds:g} s"
                )
            self._waited_seconds = 0.0
            self._window_bytes = 0
