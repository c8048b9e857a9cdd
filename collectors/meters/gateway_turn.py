"""Turns at a gateway that passes bytes on to a line with several meters."""

from __future__ import annotations

import contextlib
import hashlib
import socket
import threading
from collections.abc import Iterator

from agent.errors import ReadingUnavailable
from agent.model.clock import Clock

_PAUSE_SECONDS = 0.02


class GatewayTurn:
    """Lets one reading at a time use a gateway, among all meters and processes of this machine.

    Two questions at once would meet on the line behind it. The turn is a name that the kernel gives
    to one socket only (unix(7), abstract), so it ends with whoever had it, however that one ends.
    """

    def __init__(self, host: str, *, port: int, clock: Clock) -> None:
        self._place = f"{host}:{port}"
        self._clock = clock
        digest = hashlib.sha256(self._place.encode()).hexdigest()
        self._name = f"\0computility-agent/gateway/{digest}"

    @contextlib.contextmanager
    def take(self, *, deadline: float) -> Iterator[None]:
        """Hold the turn.

        Raises:
            ReadingUnavailable: others had it until the deadline.
        """
        pause = threading.Event()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as held:
            while not self._bind(held):
                left = deadline - self._clock.monotonic()
                if left <= 0:
                    raise ReadingUnavailable(
                        f"no turn at {self._place}: other readings took all the time",
                        hint="raise timeout_seconds or interval_seconds of the meters behind it",
                    )
                pause.wait(min(_PAUSE_SECONDS, left))
            yield

    def _bind(self, held: socket.socket) -> bool:
        try:
            held.bind(self._name)
        except OSError:
            return False
        return True
