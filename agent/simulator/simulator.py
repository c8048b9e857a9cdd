"""Puts the platform together: listeners, register, read-back, faults; starts and stops it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from agent.errors import PermanentError
from agent.security import sm2, tls
from agent.simulator import control_api, key_file
from agent.simulator.device_client import DeviceClient, client_context
from agent.simulator.events import Event, EventKind, EventLog
from agent.simulator.faults import BadFault, Fault, FaultBoard
from agent.simulator.misbehaviour import Misbehaving
from agent.simulator.passwords import PasswordReader
from agent.simulator.platform_api import (
    BODY_BYTES_MAXIMUM,
    PlatformService,
    build_platform_application,
    envelope_of_status,
)
from agent.simulator.read_back import DeviceReader
from agent.simulator.registry import Clocks, Registry
from agent.simulator.store import Store
from agent.transport.server import HttpServer, ServerLimits

_logger = logging.getLogger(__name__)

_PLATFORM_THREADS = 16
_HOLDERS_MAXIMUM = 12
_CONTROL_THREADS = 8
_WAITERS_MAXIMUM = 6
_STOP_SECONDS = 2.0
_SWEEP_SECONDS_MAXIMUM = 1.0
_REBIND_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorSettings:
    """Says how the simulator behaves; port 0 takes any free one.

    `control_listen` None leaves the control endpoint out; `state_file` None keeps everything in
    memory; `key_file` None makes a key for this run alone; `poll_seconds` None reads no device.
    `certificate` and `private_key` turn TLS on for the platform, `client_ca` makes it mutual.
    """

    listen: tuple[str, int] = ("127.0.0.1", 8088)
    control_listen: tuple[str, int] | None = ("127.0.0.1", 8089)
    state_file: Path | None = None
    key_file: Path | None = None
    lost_after_seconds: float = 90.0
    poll_seconds: float | None = 5.0
    poll_timeout_seconds: float = 5.0
    poll_bytes_maximum: int = 1024 * 1024
    device_prefix: str = "/ACSMP"
    device_https: bool = False
    device_ca_file: Path | None = None
    require_token: bool = False
    allow_plain_password: bool = False
    strict_extra: bool = False
    nodes_maximum: int = 1000
    history_limit: int = 10_000
    certificate: Path | None = None
    private_key: Path | None = None
    client_ca: Path | None = None
    faults: tuple[Fault, ...] = ()


class Simulator:
    """Is a platform of T/BAX 0006.5 for tests and demonstrations.

    `on_event` gets every event as the control endpoint shows it, in the thread that caused it.
    Started once and stopped once; `with` does both.

    Raises:
        PermanentError: a file of the settings cannot be used.
    """

    def __init__(
        self,
        settings: SimulatorSettings,
        *,
        on_event: Callable[[dict[str, Any]], None] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        clocks = Clocks(monotonic=monotonic, now=lambda: datetime.now(timezone.utc))
        private_key = (
            sm2.generate_key_pair()
            if settings.key_file is None
            else key_file.load_or_create(settings.key_file)
        )
        self.public_key = private_key.public_key
        self._ssl_context = (
            None
            if settings.certificate is None
            else tls.server_context(
                settings.certificate,
                private_key=settings.private_key or settings.certificate,
                client_ca=settings.client_ca,
            )
        )
        self._board = FaultBoard(monotonic=monotonic)
        client = _device_client(settings)
        self._store = Store(settings.state_file, history_limit=settings.history_limit)
        self._events = EventLog(self._store, now=clocks.now, listener=on_event)
        self._registry = Registry(
            self._store,
            self._events,
            clocks=clocks,
            lost_after_seconds=settings.lost_after_seconds,
            nodes_maximum=settings.nodes_maximum,
            require_token=settings.require_token,
        )
        self._reader = DeviceReader(
            registry=self._registry,
            events=self._events,
            client=client,
            period_seconds=settings.poll_seconds or 1.0,
            now=lambda: clocks.now().isoformat(timespec="milliseconds"),
            strict_extra=settings.strict_extra,
        )
        self.application = self._build_application(private_key)
        self._stopping = threading.Event()
        self._listeners = threading.Lock()
        self._is_restarting = False
        self._platform: HttpServer | None = None
        self._control: HttpServer | None = None
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Listen, and begin to read devices.

        Raises:
            PermanentError: an address cannot be listened on; nothing runs then.
        """
        try:
            self._platform = self._start_platform(self._settings.listen)
            if self._settings.control_listen is not None:
                self._control = self._start_control(self._settings.control_listen)
            for fault in self._settings.faults:
                self.apply(fault)
        except (PermanentError, BadFault):
            self.stop()
            raise
        self._begin(self._sweep, name="simulator-loss")
        if self._settings.poll_seconds is not None:
            self._reader.start()
        self._events.add(Event(kind=EventKind.STATE, text=f"platform listens at {self.url}"))

    def stop(self) -> None:
        """Close everything; held requests are let go. May be called twice."""
        self._stopping.set()
        self._events.close()
        self._board.clear()
        with self._listeners:
            servers = [each for each in (self._platform, self._control) if each is not None]
        for server in servers:
            server.stop(timeout_seconds=_STOP_SECONDS)
        self._reader.stop(timeout_seconds=self._settings.poll_timeout_seconds + 1)
        for thread in self._threads:
            thread.join(_STOP_SECONDS)
        self._store.close()

    def __enter__(self) -> Simulator:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Return the base URL of the platform, with the real port after the start."""
        scheme = "http" if self._ssl_context is None else "https"
        return f"{scheme}://{_place(self._platform, self._settings.listen)}"

    @property
    def control_url(self) -> str | None:
        """Return the base URL of the control endpoint; None where it is off."""
        listen = self._settings.control_listen
        return None if listen is None else f"http://{_place(self._control, listen)}"

    @property
    def registry(self) -> Registry:
        """Return the register of nodes, for programs that run the simulator in themselves."""
        return self._registry

    @property
    def events(self) -> EventLog:
        """Return the log of events, for programs that run the simulator in themselves."""
        return self._events

    @property
    def faults(self) -> FaultBoard:
        """Return the faults in force, for programs that run the simulator in themselves."""
        return self._board

    def apply(self, fault: Fault) -> int:
        """Put a fault in force and return its number; 0 for a restart.

        Raises:
            BadFault: too many are in force, or a restart is under way.
        """
        return control_api.apply_fault(
            fault, board=self._board, events=self._events, restart=self.restart
        )

    def restart(self, *, seconds: float, after_seconds: float = 0.0) -> None:
        """Close the platform's listener and its connections, and open it again later.

        Without `after_seconds` it is closed on return. The control endpoint stays open.

        Raises:
            BadFault: a restart is under way.
        """
        with self._listeners:
            if self._is_restarting:
                raise BadFault("a restart is under way: wait until it is over")
            self._is_restarting = True
        if after_seconds <= 0:
            self._close_platform()
        self._begin(
            lambda: self._reopen(seconds=seconds, after_seconds=after_seconds),
            name="simulator-restart",
        )

    def _build_application(self, private_key: sm2.PrivateKey) -> Misbehaving:
        service = PlatformService(
            registry=self._registry,
            passwords=PasswordReader(private_key, allow_plain=self._settings.allow_plain_password),
            events=self._events,
            strict_extra=self._settings.strict_extra,
            on_registered=self._reader.poll_soon,
        )
        return Misbehaving(
            build_platform_application(service),
            board=self._board,
            events=self._events,
            holders_maximum=_HOLDERS_MAXIMUM,
        )

    def _start_platform(self, listen: tuple[str, int]) -> HttpServer:
        server = HttpServer(
            self.application,
            listen=listen,
            limits=ServerLimits(max_body_bytes=BODY_BYTES_MAXIMUM, threads=_PLATFORM_THREADS),
            ssl_context=self._ssl_context,
            name="simulator-platform",
            error_body=envelope_of_status,
        )
        server.start()
        return server

    def _start_control(self, listen: tuple[str, int]) -> HttpServer:
        application = control_api.build_control_application(
            registry=self._registry,
            board=self._board,
            events=self._events,
            apply=self.apply,
            describe=self._describe,
            waiters_maximum=_WAITERS_MAXIMUM,
        )
        server = HttpServer(
            application,
            listen=listen,
            limits=ServerLimits(max_body_bytes=BODY_BYTES_MAXIMUM, threads=_CONTROL_THREADS),
            name="simulator-control",
        )
        server.start()
        return server

    def _close_platform(self) -> None:
        assert self._platform is not None  # noqa: S101 - restart is for one that was started
        self._board.release()
        self._platform.stop(timeout_seconds=1.0)
        self._events.add(Event(kind=EventKind.STATE, text="platform closed its listener"))

    def _reopen(self, *, seconds: float, after_seconds: float) -> None:
        if after_seconds > 0:
            if self._stopping.wait(after_seconds):
                return
            self._close_platform()
        assert self._platform is not None  # noqa: S101 - see above
        listen = (self._platform.address, self._platform.port)
        pause_seconds = seconds
        while not self._stopping.wait(pause_seconds):
            with self._listeners:
                if self._stopping.is_set():
                    return
                try:
                    self._platform = self._start_platform(listen)
                except PermanentError as error:
                    _logger.warning("cannot listen again error=%s", error)
                    pause_seconds = _REBIND_SECONDS
                    continue
                self._is_restarting = False
            self._events.add(Event(kind=EventKind.STATE, text="platform listens again"))
            return

    def _sweep(self) -> None:
        rest_seconds: float | None = 0.0
        while not self._stopping.wait(
            _SWEEP_SECONDS_MAXIMUM
            if rest_seconds is None
            else min(max(rest_seconds, 0.05), _SWEEP_SECONDS_MAXIMUM)
        ):
            try:
                rest_seconds = self._registry.sweep()
            except Exception:
                _logger.exception("the search for lost nodes failed")
                rest_seconds = None

    def _begin(self, target: Callable[[], None], *, name: str) -> None:
        thread = threading.Thread(target=target, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _describe(self) -> dict[str, Any]:
        return {
            "platform": {
                "url": self.url,
                "listening": self._platform is not None and self._platform.is_alive,
                "lost_after_seconds": self._settings.lost_after_seconds,
                "require_token": self._settings.require_token,
                "public_key": self.public_key.to_pem(),
            }
        }


def _device_client(settings: SimulatorSettings) -> DeviceClient:
    context = None
    if settings.device_https:
        ca_file = settings.device_ca_file
        try:
            context = client_context(ca_file=None if ca_file is None else str(ca_file))
        except OSError as error:
            raise PermanentError(f"{ca_file}: no PEM certificate of a CA: {error}") from error
    return DeviceClient(
        prefix=settings.device_prefix,
        timeout_seconds=settings.poll_timeout_seconds,
        body_bytes_maximum=settings.poll_bytes_maximum,
        ssl_context=context,
    )


def _place(server: HttpServer | None, listen: tuple[str, int]) -> str:
    address, port = listen if server is None else (server.address, server.port)
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
