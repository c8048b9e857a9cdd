"""Ends what another thread does for the network."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from agent.errors import TransientError
from agent.transport.exchange import Exchange


class Cancellation:
    """Is the other end of a piece of work: any thread may end it with it, at any moment."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._event = threading.Event()
        self._reason = ""
        self._exchanges: list[Exchange] = []

    @property
    def is_cancelled(self) -> bool:
        """Tell whether the work was ended."""
        return self._event.is_set()

    def cancel(self, reason: str) -> None:
        """End the work at once, wherever it waits; the first reason is the one that counts."""
        with self._lock:
            if self._event.is_set():
                return
            self._reason = reason
            self._event.set()
            running = list(self._exchanges)
        for exchange in running:
            exchange.cut(reason)

    def check(self) -> None:
        """Raise TransientError with the reason if the work was ended."""
        if self._event.is_set():
            raise TransientError(self._reason)

    def pause(self, seconds: float) -> None:
        """Wait so long; raises TransientError as soon as the work is ended."""
        self._event.wait(seconds)
        self.check()

    @contextlib.contextmanager
    def over(self, exchange: Exchange) -> Iterator[None]:
        """Let `cancel` reach an exchange for as long as the block runs."""
        with self._lock:
            self._exchanges.append(exchange)
            is_cancelled = self._event.is_set()
        if is_cancelled:
            exchange.cut(self._reason)
        try:
            yield
        finally:
            with self._lock:
                self._exchanges.remove(exchange)
