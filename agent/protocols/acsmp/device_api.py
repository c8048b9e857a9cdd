"""The device API: what a platform may ask this node (T/BAX 0006.5, annexes F and G).

The parts of the standard that define the device's own interfaces are not public; this API mirrors
annexes F and G. What it answers, and where, stands in `ROUTES`.
"""

from __future__ import annotations

import http
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta, timezone, tzinfo
from typing import Any, Literal

import falcon

from agent.errors import (
    AgentError,
    ConflictError,
    NoRoomError,
    NotFoundError,
    PermanentError,
    RequestError,
    TransientError,
)
from agent.model.view import AgentView
from agent.model.workloads import Service
from agent.protocols.acsmp import (
    requests,
    wire,
    wire_monitoring,
    wire_packages,
    wire_services,
)
from agent.protocols.acsmp.device_info import device_info
from agent.protocols.acsmp.gate import HEALTH_PATH, Gate
from agent.protocols.acsmp.identity import DeviceIdentity
from agent.protocols.acsmp.package_api import PackageApi, Packages
from agent.protocols.acsmp.service_api import ServiceApi, Services
from agent.protocols.acsmp.tolerant import WireError
from agent.protocols.acsmp.wire_monitoring import ComputilityInfo
from agent.protocols.acsmp.xpu_types import IdentifyAccelerator

logger = logging.getLogger(__name__)

_ALIVE = b"alive\n"
# The standard says no zone; its platforms stand in one.
DEFAULT_ZONE = timezone(timedelta(hours=8), "Asia/Shanghai")


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Is one resource: its path below the prefix, its methods, the handler, and where it is from.

    `handler` names a method of the object that answers for `part`.
    """

    path: str
    methods: tuple[str, ...]
    part: Literal["node", "packages", "services"]
    handler: str
    source: str


ROUTES = (
    Route(
        path=wire_monitoring.COMPUTILITY_PATH,
        # Table 43 has GET, table 44 POST with a body; annex G names no method.
        methods=("GET", "HEAD", "POST"),
        part="node",
        handler="list_computility",
        source="T/BAX 0006.5 tables 43 and 44, annex G",
    ),
    Route(
        path=wire_packages.PUSH_PATH,
        methods=("POST",),
        part="packages",
        handler="push",
        source="T/BAX 0006.5 table 7, F.1, table A.1",
    ),
    Route(
        path=wire_packages.PUSH_PATH_OF_THE_PLATFORM,
        methods=("POST",),
        part="packages",
        handler="push",
        source="T/BAX 0006.5 table 1, A.1",
    ),
    Route(
        path=wire_packages.SEARCH_PATH,
        methods=("POST",),
        part="packages",
        handler="search",
        source="T/BAX 0006.5 table 9, F.3",
    ),
    Route(
        path=wire_packages.PACKAGE_PATH,
        # Table 10 has POST, on the path that table 8 deletes; a query by GET is what others expect.
        methods=("GET", "HEAD", "POST"),
        part="packages",
        handler="show",
        source="T/BAX 0006.5 table 10, F.4",
    ),
    Route(
        path=wire_packages.PACKAGE_PATH,
        methods=("DELETE",),
        part="packages",
        handler="delete",
        source="T/BAX 0006.5 table 8, F.2",
    ),
    Route(
        path=wire_services.LOAD_PATH,
        methods=("POST",),
        part="services",
        handler="load",
        source="T/BAX 0006.5 table 11, F.5",
    ),
    Route(
        path=wire_services.UNLOAD_PATH,
        methods=("POST",),
        part="services",
        handler="unload",
        source="T/BAX 0006.5 table 12, F.6",
    ),
    Route(
        path=wire_services.SEARCH_PATH,
        methods=("POST",),
        part="services",
        handler="search",
        source="T/BAX 0006.5 table 13, F.7",
    ),
    Route(
        path=wire_services.SERVICE_PATH,
        # Table 14 has GET, where table 10 has POST for its like.
        methods=("GET", "HEAD", "POST"),
        part="services",
        handler="show",
        source="T/BAX 0006.5 table 14, F.8",
    ),
    Route(
        path=wire_services.LOGS_PATH,
        methods=("GET", "HEAD"),
        part="services",
        handler="logs",
        source="not in the standard: an addition of this program",
    ),
)
_STATUSES: Mapping[type[AgentError], int] = {
    WireError: 400,
    RequestError: 400,
    NotFoundError: 404,
    ConflictError: 409,
    PermanentError: 422,
    TransientError: 503,
    NoRoomError: 507,
}
_RETRY_SECONDS = 30


class DeviceApi:
    """Holds the handlers of the routes about this node itself; safe in every thread."""

    def __init__(
        self,
        *,
        view: Callable[[], AgentView],
        address: Callable[[DeviceIdentity], str | None],
        identify: IdentifyAccelerator,
        services: Callable[[], Sequence[Service]],
    ) -> None:
        self._view = view
        self._address = address
        self._identify = identify
        self._services = services

    def list_computility(self, request: falcon.Request, response: falcon.Response) -> None:
        """Answer ComputilityListRequest (annex G) with what the caller may see of this node.

        Without a code, that is every code under which the caller knows this node: one, unless
        platforms share user and password. `OrderList` is sent back; with one node there is nothing
        to order.
        """
        query = wire_monitoring.decode_computility_query(requests.fields(request))
        requests.check_code(request, query.computility_code)
        by_code: dict[str, DeviceIdentity] = {}
        for identity in requests.caller(request):
            by_code.setdefault(identity.computility_code, identity)
        if query.computility_code is not None:
            by_code = {query.computility_code: by_code[query.computility_code]}
        view, services = self._view(), self._known_services()
        matching = [
            ComputilityInfo(
                computility_code=code,
                device_infos=[
                    device_info(
                        view,
                        computility_code=code,
                        address=self._address(identity),
                        identify=self._identify,
                        services=services,
                    )
                ],
            )
            for code, identity in by_code.items()
            if query.node_type in (None, identity.node_type)
        ]
        response.data = wire_monitoring.encode_computility_list(
            matching, query=query, request_id=requests.request_id()
        )

    def _known_services(self) -> Sequence[Service] | None:
        """Return the services, None where they cannot be told now: the rest still can."""
        try:
            return self._services()
        except TransientError as error:
            logger.debug("services unknown reason=%s", error.reason)
            return None


class _Resource:
    """Gives falcon the responders of one path; a resource has no other methods."""

    def __init__(self, routes: Sequence[Route], *, parts: Mapping[str, object | None]) -> None:
        for route in routes:
            part = parts[route.part]
            handler = _answer_not_offered if part is None else getattr(part, route.handler)
            for method in route.methods:
                setattr(self, f"on_{method.lower()}", handler)


class _Health:
    """Says "alive" to everybody, and nothing else."""

    def on_get(self, _request: falcon.Request, response: falcon.Response) -> None:
        """Answer."""
        response.content_type = falcon.MEDIA_TEXT
        response.data = _ALIVE

    on_head = on_get


def create_application(
    *,
    view: Callable[[], AgentView],
    gate: Gate,
    address: Callable[[DeviceIdentity], str | None],
    identify: IdentifyAccelerator,
    prefix: str,
    zone: tzinfo = DEFAULT_ZONE,
    packages: Packages | None = None,
    services: Services | None = None,
) -> falcon.App[falcon.Request, falcon.Response]:
    """Return the device API as a WSGI application.

    `view` returns the latest view as it may be shown now; `address` the IPv4 address that a
    platform was told, None while there is none. Both are called for each request, in the server's
    threads. `zone` is that of the times in answers. Without `packages` or `services` their paths
    answer 501.
    """
    parts: dict[str, object | None] = {
        "node": DeviceApi(
            view=view,
            address=address,
            identify=identify,
            services=tuple if services is None else services.services,
        ),
        "packages": None if packages is None else PackageApi(packages, zone=zone),
        "services": None
        if services is None
        else ServiceApi(services, view=view, identify=identify, zone=zone),
    }
    application = falcon.App(middleware=[gate], media_type=falcon.MEDIA_JSON)
    application.req_options.strip_url_path_trailing_slash = True
    application.set_error_serializer(_write_error)
    application.add_error_handler(Exception, _answer_fault)
    for kind in _STATUSES:
        application.add_error_handler(kind, _answer_refusal)
    application.add_route(HEALTH_PATH, _Health())
    for path in dict.fromkeys(route.path for route in ROUTES):
        routes = [route for route in ROUTES if route.path == path]
        application.add_route(prefix + path, _Resource(routes, parts=parts))
    return application


def upload_paths(prefix: str) -> tuple[str, ...]:
    """Return the paths to which a package may be sent as a large form."""
    return prefix + wire_packages.PUSH_PATH, prefix + wire_packages.PUSH_PATH_OF_THE_PLATFORM


def waitress_error_body(status: int, message: str) -> tuple[str, bytes]:
    """Return content type and body of a refusal by the HTTP server, in the envelope (A.2)."""
    return falcon.MEDIA_JSON, wire.encode_failure(
        code=status, message=message, request_id=requests.request_id()
    )


def _answer_not_offered(_request: falcon.Request, _response: falcon.Response, **_: str) -> None:
    raise falcon.HTTPNotImplemented(
        description="this node runs no algorithm services (runtime.kind is none)"
    )


def _answer_refusal(
    _request: falcon.Request, _response: falcon.Response, error: Exception, _params: dict[str, Any]
) -> None:
    """Answer an error of ours by what the caller does next."""
    status = next(code for kind, code in _STATUSES.items() if isinstance(error, kind))
    headers = {}
    if isinstance(error, TransientError):
        seconds = error.retry_after_seconds
        headers["Retry-After"] = str(_RETRY_SECONDS if seconds is None else math.ceil(seconds))
    reason = getattr(error, "reason", "")
    raise falcon.HTTPError(status, description=reason, headers=headers) from error


def _write_error(
    request: falcon.Request, response: falcon.Response, error: falcon.HTTPError
) -> None:
    """Put a refusal into the envelope; its Code is the HTTP status: the standard has no list."""
    status = error.status_code
    message = error.description
    if isinstance(error, falcon.HTTPRouteNotFound):
        message = f"no such path: {wire.printable(request.path)}"
    elif isinstance(error, falcon.HTTPMethodNotAllowed):
        allowed = dict(error.headers or {}).get("Allow", "")
        message = f"{request.method} is not possible here; use {allowed}"
    response.content_type = falcon.MEDIA_JSON
    response.data = wire.encode_failure(
        code=status,
        message=message or http.HTTPStatus(status).phrase,
        request_id=requests.request_id(),
    )


def _answer_fault(
    request: falcon.Request, response: falcon.Response, error: Exception, _params: dict[str, Any]
) -> None:
    """Answer a fault of ours: the trace goes to the log, a number to find it to the client."""
    request_id = requests.request_id()
    logger.error(
        "device API failed method=%s path=%s request_id=%s",
        request.method,
        request.path,
        request_id,
        exc_info=error,
    )
    response.status = falcon.HTTP_500
    response.content_type = falcon.MEDIA_JSON
    response.data = wire.encode_failure(
        code=500,
        message="an internal error happened here; the log of the agent says more",
        request_id=request_id,
    )
