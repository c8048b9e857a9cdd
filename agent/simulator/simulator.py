"""Puts the platform together: listeners, register, read-back, faults; starts and stops it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from agent.errors import PermanentError
from agent.security import sm2
from agent.simulator import authorisation, control_api, key_file
from agent.simulator.connections import device_client_of, server_context
from agent.simulator.events import Event, EventKind, EventLog
from agent.simulator.fault_board import FaultBoard
from agent.simulator.faults import BadFault, Fault
from agent.simulator.misbehaviour import Misbehaving
from agent.simulator.monitoring import routes
from agent.simulator.monitoring.side import MonitoringSide
from agent.simulator.passwords import PasswordReader
from agent.simulator.platform_api import PlatformService, build_platform_application
from agent.simulator.platform_listener import PlatformListener, place
from agent.simulator.read_back import DeviceReader
from agent.simulator.registry import Clocks, Registry
from agent.simulator.settings import SimulatorSettings
from agent.simulator.store import Store
from agent.simulator.workload_side import WorkloadSide
from agent.simulator.workload_watch import seen_as_json
from agent.transport.server import HttpServer, ServerLimits

__all__ = ["Simulator", "SimulatorSettings"]

# Of the platform listener's threads: the last ones are for everybody else.
_HOLDERS_MAXIMUM = 12
_CONTROL_THREADS = 8
_WAITERS_MAXIMUM = 6
_STOP_SECONDS = 2.0
# Packages are large, and a device may take them slowly: what is bounded tightly are messages,
# which each operation does itself.
_UPLOAD_BYTES_MAXIMUM = 64 * 1024**3
_TRANSFER_SECONDS = 86_400.0


class Simulator:
    """Is a platform of T/BAX 0006.5 and TC609 for tests and demonstrations.

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
        path = settings.key_file
        private_key = sm2.generate_key_pair() if path is None else key_file.load_or_create(path)
        self.public_key = private_key.public_key
        ssl_context = server_context(settings)
        self._board = FaultBoard(monotonic=monotonic)
        client = device_client_of(settings)
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
        self._stopping = threading.Event()
        try:
            self._side = WorkloadSide(
                packages_folder=settings.packages_folder,
                registry=self._registry,
                events=self._events,
                client=client,
                clocks=clocks,
                public_url=lambda: self.public_url,
                strict_extra=settings.strict_extra,
                stopping=self._stopping,
            )
            self._reader = DeviceReader(
                registry=self._registry,
                events=self._events,
                client=client,
                period_seconds=settings.poll_seconds or 1.0,
                now=lambda: clocks.now().isoformat(timespec="milliseconds"),
                strict_extra=settings.strict_extra,
                workloads=self._side.watch,
            )
            self.monitoring = MonitoringSide(
                settings.monitoring,
                state_file=settings.state_file,
                events=self._events,
                private_key=private_key,
                monotonic=monotonic,
                now=clocks.now,
                strict_extra=settings.strict_extra,
                ca_file=settings.device_ca_file,
            )
        except PermanentError:
            self._store.close()
            raise
        self.application = self._build_application(private_key)
        self._platform = PlatformListener(
            self.application,
            listen=settings.listen,
            ssl_context=ssl_context,
            board=self._board,
            events=self._events,
        )
        self._control: HttpServer | None = None
        self._authorisation: HttpServer | None = None
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Listen, and begin to read devices.

        Raises:
            PermanentError: an address cannot be listened on; nothing runs then.
        """
        try:
            self._platform.start()
            if self._settings.control_listen is not None:
                self._control = self._start_control(self._settings.control_listen)
            if self._settings.authorisation_listen is not None:
                self._authorisation = self._start_authorisation(self._settings.authorisation_listen)
            for fault in self._settings.faults:
                self.apply(fault)
        except (PermanentError, BadFault):
            self.stop()
            raise
        self._begin(lambda: self._registry.sweep_until(self._stopping), name="simulator-loss")
        if self._settings.poll_seconds is not None:
            self._reader.start()
        self.monitoring.start()
        self._events.add(Event(kind=EventKind.STATE, text=f"platform listens at {self.url}"))

    def stop(self) -> None:
        """Close everything; held requests are let go. May be called twice."""
        self._stopping.set()
        self._events.close()
        self._board.clear()
        self._platform.stop()
        for server in (self._control, self._authorisation):
            if server is not None:
                server.stop(timeout_seconds=_STOP_SECONDS)
        self._reader.stop(timeout_seconds=self._settings.poll_timeout_seconds + 1)
        self.monitoring.stop(timeout_seconds=_STOP_SECONDS)
        for thread in self._threads:
            thread.join(_STOP_SECONDS)
        self._side.close()
        self._store.close()

    def __enter__(self) -> Simulator:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Return the base URL of the platform, with the real port after the start."""
        return self._platform.url

    @property
    def control_url(self) -> str | None:
        """Return the base URL of the control endpoint; None where it is off."""
        listen = self._settings.control_listen
        return None if listen is None else f"http://{place(self._control, listen)}"

    @property
    def public_url(self) -> str:
        """Return the base URL under which devices fetch files."""
        return (self._settings.public_url or self.url).rstrip("/")

    @property
    def authorisation_address(self) -> str | None:
        """Return ADDRESS:PORT of the authorisation server; None where it is off."""
        listen = self._settings.authorisation_listen
        return None if listen is None else place(self._authorisation, listen)

    @property
    def workloads(self) -> WorkloadSide:
        """Return packages and services, for programs that run the simulator in themselves."""
        return self._side

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
        self._platform.restart(seconds=seconds, after_seconds=after_seconds)

    def add_package(self, path: Path, *, package_id: str | None = None) -> str:
        """Put a file on the platform's shelf where it lies; return its id.

        This and what follows raises Refusal where the platform or the device says no.
        """
        return self._side.add_package(path, package_id=package_id)

    def add_licence(self, content: bytes, *, provider: str = "simulator") -> str:
        """Put a licence on the platform's shelf; return the address for `load`."""
        return self._side.add_licence(content, provider=provider)

    def push(self, device_code: str, package_id: str, *, upload: bool = False) -> None:
        """Send a package to a device, by its address or as an upload (F.1)."""
        self._side.push(device_code, package_id, upload=upload)

    def delete(self, device_code: str, package_id: str) -> None:
        """Remove a package from a device (F.2)."""
        self._side.delete(device_code, package_id)

    def packages(self, device_code: str) -> list[dict[str, Any]]:
        """Return the packages of a device, each a table F.4 (F.3)."""
        return self._side.packages(device_code)

    def load(
        self,
        device_code: str,
        package_id: str,
        *,
        env: Mapping[str, str] | None = None,
        licence_url: str | None = None,
        replicas: int | None = None,
    ) -> str:
        """Load a service on a device and return its id (F.5)."""
        return self._side.load(
            device_code, package_id, env=env, licence_url=licence_url, replicas=replicas
        )

    def unload(self, device_code: str, package_id: str, *, service_id: str | None = None) -> None:
        """Unload a service of a device, or every one of the package (F.6)."""
        self._side.unload(device_code, package_id, service_id=service_id)

    def services(self, device_code: str) -> list[dict[str, Any]]:
        """Return the services of a device, each a table F.13 (F.7)."""
        return self._side.services(device_code)

    def _build_application(self, private_key: sm2.PrivateKey) -> Misbehaving:
        service = PlatformService(
            registry=self._registry,
            passwords=PasswordReader(private_key, allow_plain=self._settings.allow_plain_password),
            events=self._events,
            strict_extra=self._settings.strict_extra,
            on_registered=self._reader.poll_soon,
        )
        return Misbehaving(
            routes.split(
                monitoring=self.monitoring.application,
                others=build_platform_application(service, downloads=self._side.downloads),
            ),
            board=self._board,
            events=self._events,
            holders_maximum=_HOLDERS_MAXIMUM,
        )

    def _start_control(self, listen: tuple[str, int]) -> HttpServer:
        application = control_api.build_control_application(
            registry=self._registry,
            board=self._board,
            events=self._events,
            apply=self.apply,
            describe=self._describe,
            waiters_maximum=_WAITERS_MAXIMUM,
            workloads_of=lambda code: seen_as_json(self._side.watch.seen(code)),
        )
        self._side.api.add_routes(application)
        self.monitoring.add_control_routes(application)
        server = HttpServer(
            application,
            listen=listen,
            limits=ServerLimits(
                max_body_bytes=_UPLOAD_BYTES_MAXIMUM,
                threads=_CONTROL_THREADS,
                request_seconds=_TRANSFER_SECONDS,
            ),
            name="simulator-control",
        )
        server.start()
        return server

    def _start_authorisation(self, listen: tuple[str, int]) -> HttpServer:
        server = HttpServer(
            authorisation.build_authorisation_application(self._events),
            listen=listen,
            limits=ServerLimits(max_body_bytes=authorisation.BODY_BYTES_MAXIMUM),
            name="simulator-authorisation",
        )
        server.start()
        return server

    def _begin(self, target: Callable[[], None], *, name: str) -> None:
        thread = threading.Thread(target=target, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _describe(self) -> dict[str, Any]:
        return {
            "platform": {
                "url": self.url,
                "listening": self._platform.is_alive,
                "lost_after_seconds": self._settings.lost_after_seconds,
                "require_token": self._settings.require_token,
                "public_key": self.public_key.to_pem(),
                "public_url": self.public_url,
                "authorisation": self.authorisation_address,
            },
            **self._side.api.describe(),
        }
