"""A meter that is an SNMP agent of version 2c, on UDP."""

from __future__ import annotations

import contextlib
import hmac
import socket
import threading
from collections.abc import Callable

from agent.errors import PermanentError
from agent.simulator.meters.snmp_messages import Objects, read_question, write_answer

COMMUNITY = b"public"
_LARGEST_DATAGRAM = 65_535
_STOP_SECONDS = 5.0


class SnmpServer:
    """Answers with what `objects` returns at each question, and not at all where that is None."""

    def __init__(
        self, objects: Callable[[], Objects | None], *, listen: tuple[str, int], name: str
    ) -> None:
        self._objects = objects
        self._listen = listen
        self._name = name
        self._socket: socket.socket | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def port(self) -> int:
        """The port that is listened on; the real one after `start` where 0 was given."""
        return self._listen[1]

    def start(self) -> None:
        """Listen.

        Raises:
            PermanentError: it cannot be listened there.
        """
        line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            line.bind(self._listen)
        except OSError as error:
            line.close()
            host, port = self._listen
            words = f"{self._name}: cannot listen on {host}:{port}: {error.strerror or error}"
            raise PermanentError(words) from error
        self._socket = line
        self._listen = line.getsockname()[:2]
        self._thread.start()

    def stop(self) -> None:
        """Close; may be called twice."""
        line, self._socket = self._socket, None
        if line is None:
            return
        self._stopping.set()
        with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bell:
            # An empty datagram wakes the thread, which then sees that it is over.
            bell.sendto(b"", self._listen)
        self._thread.join(_STOP_SECONDS)
        line.close()

    def _run(self) -> None:
        line = self._socket
        while line is not None and not self._stopping.is_set():
            try:
                data, peer = line.recvfrom(_LARGEST_DATAGRAM)
                reply = self._answer(data)
                if reply is not None:
                    line.sendto(reply, peer)
            except OSError:
                # A manager that went away tells so at the next question of another one.
                continue

    def _answer(self, data: bytes) -> bytes | None:
        try:
            question = read_question(data)
        except ValueError:
            return None
        # An agent is silent towards who knows the wrong community.
        if not hmac.compare_digest(question.community, COMMUNITY):
            return None
        objects = self._objects()
        return None if objects is None else write_answer(question, objects)
