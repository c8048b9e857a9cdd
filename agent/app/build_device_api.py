"""Builds the part of the agent on which platforms read and use this node."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from agent.app.held import Held
from agent.app.parts import PartPlan, Service
from agent.app.wiring import Wiring
from agent.app.workloads import runtime_choice
from agent.app.workloads.fronts import PackageFront, ServiceFront
from agent.config.kinds import split_listen, time_zone
from agent.config.settings import DeviceApiSettings, Settings
from agent.config.tls_settings import ServerTlsSettings
from agent.protocols.acsmp.device_api import (
    create_application,
    upload_paths,
    waitress_error_body,
)
from agent.protocols.acsmp.gate import Gate, UploadAdmission
from agent.protocols.acsmp.identity import DeviceIdentity
from agent.security import tls
from agent.transport.refusals import Refusal
from agent.transport.server import HttpServer, ServerLimits
from agent.transport.uploads import UploadAllowance, UploadFolder, Uploads

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

WsgiApplication: TypeAlias = Callable[..., Iterable[bytes]]

# A platform's poller and an operator's scraper need a handful of connections; the rest is room for
# clients that keep theirs open.
LIMITS = ServerLimits()
_GIB = 1 << 30


def part(
    settings: Settings,
    device_api: DeviceApiSettings,
    *,
    identities: Sequence[DeviceIdentity],
    wiring: Wiring,
) -> PartPlan:
    """Return the part; where no services are run, it takes no packages either."""
    takes_packages = settings.runtime.kind != runtime_choice.NONE
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
                packages=PackageFront(lambda: wiring.workloads) if takes_packages else None,
                services=ServiceFront(lambda: wiring.workloads) if takes_packages else None,
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
        (upload_path, minimum_free_bytes) if takes_packages else None,
    )

    def build() -> Service:
        uploads = UploadFolder(upload_path, minimum_free_bytes=minimum_free_bytes)
        return _DeviceApi(
            device_api,
            surface=surface(),
            upload_folder=uploads if takes_packages else None,
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
        key=(device_api, tuple(identities), takes_packages, package_maximum_bytes, socket_key),
        build=build,
        update=update,
    )


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
            limits=LIMITS,
            ssl_context=_ssl_context(settings.tls),
            error_body=waitress_error_body,
            name="device-api",
            uploads=uploads,
        )
        self._held = Held(server, wiring=wiring, name="device_server")

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


def _ssl_context(settings: ServerTlsSettings | None) -> ssl.SSLContext | None:
    if settings is None:
        return None
    return tls.server_context(
        settings.certificate, private_key=settings.private_key, client_ca=settings.client_ca
    )
