"""Builds the services of the running agent from its settings; nothing else constructs them.

The order is that of the start: the sampler, then those who show what it found, then the device
API, then the platforms that are told of it.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from agent.app import metrics, platforms, runtime_choice, workload_questions
from agent.app.local_socket import SOCKET_NAME, STATUS, LocalSocketServer
from agent.app.parts import PartPlan, Service
from agent.app.wiring import Wiring
from agent.app.workload_fronts import PackageFront, ServiceFront
from agent.app.workload_parts import Workloads
from agent.config.kinds import split_listen, time_zone
from agent.config.settings import (
    AcsmpSettings,
    DeviceApiSettings,
    MetricsSettings,
    ServerTlsSettings,
    Settings,
)
from agent.protocols.acsmp.device_api import (
    create_application,
    upload_paths,
    waitress_error_body,
)
from agent.protocols.acsmp.gate import Gate, UploadAdmission
from agent.protocols.acsmp.identity import DeviceIdentity
from agent.protocols.acsmp.session import PlatformSession
from agent.sampling.sampler import Sampler
from agent.security import self_test, tls
from agent.transport.refusals import Refusal
from agent.transport.server import HttpServer, ServerLimits
from agent.transport.uploads import UploadAllowance, UploadFolder, Uploads

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

WsgiApplication: TypeAlias = Callable[..., Iterable[bytes]]

# A platform's poller and an operator's scraper need a handful of connections; the rest is room for
# clients that keep theirs open.
DEVICE_API_LIMITS = ServerLimits()
# Downloads are cut at once; a container that is being started is waited for.
WORKLOADS_STOP_SECONDS = 10.0
_GIB = 1 << 30
METRICS_LIMITS = ServerLimits(max_body_bytes=64 * 1024, connections=64, threads=2)


def plan(settings: Settings, *, wiring: Wiring) -> tuple[PartPlan, ...]:
    """Return the parts that these settings want, in the order of their start.

    Raises:
        PermanentError: what the settings name (a certificate, the cryptography of this build)
            cannot be used.
    """
    if settings.acsmp:
        self_test.run()
    plans = [_sampler(settings, wiring=wiring), _local_socket(settings, wiring=wiring)]
    if settings.metrics is not None:
        plans.append(_metrics(settings.metrics, wiring=wiring))
    if settings.runtime.kind != runtime_choice.NONE:
        plans.append(_workloads(settings, wiring=wiring))
    if settings.device_api is not None:
        identities = platforms.identities(settings)
        plans.append(
            _device_api(settings, settings.device_api, identities=identities, wiring=wiring)
        )
        plans += [
            _platform(
                each,
                identity=identity,
                device_api=settings.device_api,
                settings=settings,
                wiring=wiring,
            )
            for each, identity in zip(settings.acsmp, identities, strict=False)
        ]
    wiring.settings = settings
    return tuple(plans)


def _sampler(settings: Settings, *, wiring: Wiring) -> PartPlan:
    def build() -> Service:
        return _Held(Sampler(settings, clock=wiring.clock), wiring=wiring, name="sampler")

    def update(_: Service) -> bool:
        # The sampler knows which of its plugins a change concerns; the others go on.
        if wiring.sampler is None:
            return False
        wiring.sampler.reload(settings)
        return True

    return PartPlan(
        name="sampler",
        key=(settings.collect, settings.accelerators),
        build=build,
        update=update,
    )


def _local_socket(settings: Settings, *, wiring: Wiring) -> PartPlan:
    path = Path(settings.node.state_dir) / SOCKET_NAME
    return PartPlan(
        name="local socket",
        key=path,
        build=lambda: LocalSocketServer(
            path,
            answers={
                STATUS: lambda _: wiring.status_document(),
                **workload_questions.answers(lambda: wiring.workloads),
            },
        ),
    )


def _metrics(settings: MetricsSettings, *, wiring: Wiring) -> PartPlan:
    def build() -> Service:
        collector = metrics.AgentCollector(
            view=wiring.view,
            sessions=wiring.session_statuses,
            identify=wiring.identify,
            workloads=lambda: wiring.workloads,
        )
        server = HttpServer(
            metrics.application(collector),
            listen=split_listen(settings.listen),
            limits=METRICS_LIMITS,
            name="metrics",
        )
        return _Held(server, wiring=wiring, name="metrics_server")

    return PartPlan(name="metrics", key=settings, build=build)


def _workloads(settings: Settings, *, wiring: Wiring) -> PartPlan:
    folder = settings.node.state_dir

    def update(_: Service) -> bool:
        if wiring.workloads is None or wiring.settings is None:
            return False
        if wiring.settings.node.state_dir != folder:
            return False
        wiring.workloads.reload(settings)
        return True

    return PartPlan(
        name="workloads",
        key=(
            folder,
            settings.runtime,
            settings.workloads,
            settings.accelerators,
            settings.collect.interval_seconds,
            settings.acsmp,
        ),
        build=lambda: _Held(Workloads(settings, wiring=wiring), wiring=wiring, name="workloads"),
        update=update,
        stop_seconds=WORKLOADS_STOP_SECONDS,
    )


def _device_api(
    settings: Settings,
    device_api: DeviceApiSettings,
    *,
    identities: Sequence[DeviceIdentity],
    wiring: Wiring,
) -> PartPlan:
    is_offered = settings.runtime.kind != runtime_choice.NONE
    package_maximum_bytes = int(settings.workloads.package_maximum_gib * _GIB)
    minimum_free_bytes = int(settings.workloads.download.minimum_free_gib * _GIB)
    upload_path = Path(settings.node.state_dir) / "uploads"

    def surface() -> _Surface:
        gate = Gate(identities, tokens=wiring.tokens, clock=wiring.clock)
        return _Surface(
            application=create_application(
                view=wiring.view,
                gate=gate,
                address=wiring.address,
                identify=wiring.identify,
                prefix=device_api.prefix,
                zone=time_zone(device_api.time_zone),
                packages=PackageFront(lambda: wiring.workloads) if is_offered else None,
                services=ServiceFront(lambda: wiring.workloads) if is_offered else None,
            ),
            admission=UploadAdmission(
                gate,
                paths=upload_paths(device_api.prefix),
                package_maximum_bytes=package_maximum_bytes,
            ),
        )

    socket_key = (
        device_api.listen,
        device_api.tls,
        (upload_path, minimum_free_bytes) if is_offered else None,
    )

    def build() -> Service:
        folder = UploadFolder(upload_path, minimum_free_bytes=minimum_free_bytes)
        return _DeviceApi(
            device_api,
            surface=surface(),
            upload_folder=folder if is_offered else None,
            key=socket_key,
            wiring=wiring,
        )

    def update(service: Service) -> bool:
        # Another platform or password is no reason to close anybody's connection.
        if not isinstance(service, _DeviceApi) or service.key != socket_key:
            return False
        service.surface = surface()
        return True

    return PartPlan(
        name="device API",
        key=(device_api, tuple(identities), is_offered, package_maximum_bytes, socket_key),
        build=build,
        update=update,
    )


def _platform(
    platform: AcsmpSettings,
    *,
    identity: DeviceIdentity,
    device_api: DeviceApiSettings,
    settings: Settings,
    wiring: Wiring,
) -> PartPlan:
    def build() -> Service:
        # Where the configuration leaves the port to the system, the real one is known only now.
        port = None if wiring.device_server is None else wiring.device_server.port
        told = next(
            each
            for each in platforms.identities(settings, listen_port=port)
            if each.platform == platform.name
        )
        return _Session(
            platforms.session(platform, identity=told, clock=wiring.clock), wiring=wiring
        )

    return PartPlan(
        name=f"platform {platform.name}",
        key=(platform, identity, device_api.listen, device_api.tls),
        build=build,
    )


def _ssl_context(settings: ServerTlsSettings | None) -> ssl.SSLContext | None:
    if settings is None:
        return None
    return tls.server_context(
        settings.certificate, private_key=settings.private_key, client_ca=settings.client_ca
    )


class _Held:
    """Is a service that the others may ask through the wiring while it runs."""

    def __init__(
        self, service: Sampler | HttpServer | Workloads, *, wiring: Wiring, name: str
    ) -> None:
        self._service = service
        self._wiring = wiring
        self._name = name

    def start(self) -> None:
        self._service.start()
        setattr(self._wiring, self._name, self._service)

    def stop(self, *, timeout_seconds: float) -> None:
        setattr(self._wiring, self._name, None)
        self._service.stop(timeout_seconds=timeout_seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Surface:
    """Is what the device API shows: its application, and who may send it a large body."""

    application: WsgiApplication
    admission: UploadAdmission


class _DeviceApi:
    """Is the device API's listener, whose surface can be changed while it serves."""

    def __init__(
        self,
        settings: DeviceApiSettings,
        *,
        surface: _Surface,
        upload_folder: UploadFolder | None,
        key: object,
        wiring: Wiring,
    ) -> None:
        self.surface = surface
        self.key = key
        uploads = None
        if upload_folder is not None:
            uploads = Uploads(admit=self._admit, folder=upload_folder)
        server = HttpServer(
            self._serve,
            listen=split_listen(settings.listen),
            limits=DEVICE_API_LIMITS,
            ssl_context=_ssl_context(settings.tls),
            error_body=waitress_error_body,
            name="device-api",
            uploads=uploads,
        )
        self._held = _Held(server, wiring=wiring, name="device_server")

    def _serve(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return self.surface.application(environ, start_response)

    def _admit(
        self, method: str, path: str, headers: Mapping[str, str], peer: str
    ) -> UploadAllowance | Refusal | None:
        return self.surface.admission.admit(method, path, headers, peer)

    def start(self) -> None:
        self._held.start()

    def stop(self, *, timeout_seconds: float) -> None:
        self._held.stop(timeout_seconds=timeout_seconds)


class _Session:
    """Is a platform's session that the others may ask through the wiring while it runs."""

    def __init__(self, session: PlatformSession, *, wiring: Wiring) -> None:
        self._session = session
        self._wiring = wiring

    def start(self) -> None:
        self._wiring.add_session(self._session)
        self._session.start()

    def stop(self, *, timeout_seconds: float) -> None:
        self._wiring.remove_session(self._session)
        self._session.stop(timeout_seconds=timeout_seconds)
