"""The platform's listener, which can be told to close for a while and to open again."""

from __future__ import annotations

import logging
import ssl
import threading

from agent.errors import PermanentError
from agent.simulator.events import Event, EventKind, EventLog
from agent.simulator.fault_board import FaultBoard
from agent.simulator.faults import BadFault
from agent.simulator.misbehaviour import Application
from agent.simulator.platform_api import BODY_BYTES_MAXIMUM, envelope_of_status
from agent.transport.server import HttpServer, ServerLimits

_logger = logging.getLogger(__name__)

_THREADS = 16
# Packages are large, and a device may take them slowly.
_ANSWER_SECONDS = 86_400.0
_STOP_SECONDS = 2.0
_REBIND_SECONDS = 0.5


class PlatformListener:
    """Serves the platform's application at one address; safe in every thread.

    `listen` with port 0 takes any free one, and keeps it over a restart.
    """

    def __init__(
        self,
        application: Application,
        *,
        listen: tuple[str, int],
        ssl_context: ssl.SSLContext | None,
        board: FaultBoard,
        events: EventLog,
    ) -> None:
        self._application = application
        self._listen = listen
        self._ssl_context = ssl_context
        self._board = board
        self._events = events
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._is_restarting = False
        self._server: HttpServer | None = None
        self._threads: list[threading.Thread] = []

    @property
    def url(self) -> str:
        """Return the base URL, with the real port after the start."""
        scheme = "http" if self._ssl_context is None else "https"
        return f"{scheme}://{place(self._server, self._listen)}"

    @property
    def is_alive(self) -> bool:
        """Tell whether it listens."""
        return self._server is not None and self._server.is_alive

    def start(self) -> None:
        """Listen.

        Raises:
            PermanentError: the address cannot be listened on.
        """
        self._server = self._open(self._listen)

    def stop(self) -> None:
        """Close it for good; may be called twice."""
        self._stopping.set()
        with self._lock:
            server = self._server
        if server is not None:
            server.stop(timeout_seconds=_STOP_SECONDS)
        for thread in self._threads:
            thread.join(_STOP_SECONDS)

    def restart(self, *, seconds: float, after_seconds: float) -> None:
        """Close the listener and its connections, and open it again later.

        Without `after_seconds` it is closed on return.

        Raises:
            BadFault: a restart is under way.
        """
        with self._lock:
            if self._is_restarting:
                raise BadFault("a restart is under way: wait until it is over")
            self._is_restarting = True
        if after_seconds <= 0:
            self._close()
        thread = threading.Thread(
            target=self._reopen, args=(seconds, after_seconds), name="simulator-restart"
        )
        thread.daemon = True
        self._threads.append(thread)
        thread.start()

    def _open(self, listen: tuple[str, int]) -> HttpServer:
        server = HttpServer(
            self._application,
            listen=listen,
            limits=ServerLimits(
                max_body_bytes=BODY_BYTES_MAXIMUM, threads=_THREADS, answer_seconds=_ANSWER_SECONDS
            ),
            ssl_context=self._ssl_context,
            name="simulator-platform",
            error_body=envelope_of_status,
        )
        server.start()
        return server

    def _close(self) -> None:
        assert self._server is not None  # noqa: S101 - restart is for one that was started
        self._board.release()
        self._server.stop(timeout_seconds=1.0)
        self._events.add(Event(kind=EventKind.STATE, text="platform closed its listener"))

    def _reopen(self, seconds: float, after_seconds: float) -> None:
        if after_seconds > 0:
            if self._stopping.wait(after_seconds):
                return
            self._close()
        assert self._server is not None  # noqa: S101 - see above
        listen = (self._server.address, self._server.port)
        pause_seconds = seconds
        while not self._stopping.wait(pause_seconds):
            with self._lock:
                if self._stopping.is_set():
                    return
                try:
                    self._server = self._open(listen)
                except PermanentError as error:
                    _logger.warning("cannot listen again error=%s", error)
                    pause_seconds = _REBIND_SECONDS
                    continue
                self._is_restarting = False
            self._events.add(Event(kind=EventKind.STATE, text="platform listens again"))
            return


def place(server: HttpServer | None, listen: tuple[str, int]) -> str:
    """Return ADDRESS:PORT of a server, or where it is to listen before its start."""
    address, port = listen if server is None else (server.address, server.port)
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
