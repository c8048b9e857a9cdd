"""The device API: what a platform may ask this node (T/BAX 0006.5 annex G, seen from the device).

The parts of the standard that define the device's own interfaces are not public; this API mirrors
annex G. What it answers, and where, stands in `ROUTES`.
"""

from __future__ import annotations

import http
import logging
import math
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import falcon

from agent.model.clock import Clock
from agent.model.view import AgentView
from agent.protocols.acsmp import tolerant, wire, wire_monitoring
from agent.protocols.acsmp.access import CHALLENGES, Access
from agent.protocols.acsmp.device_info import IdentifyAccelerator, device_info
from agent.protocols.acsmp.identity import DeviceIdentity, PlatformToken
from agent.protocols.acsmp.login_guard import LoginGuard
from agent.protocols.acsmp.wire_monitoring import ComputilityInfo

logger = logging.getLogger(__name__)

HEALTH_PATH = "/healthz"
_ALIVE = b"alive\n"
_REQUEST_ID_BYTES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Is one resource: its path below the prefix, its methods, the handler, and where it is from.

    `handler` names a method of `DeviceApi`.
    """

    path: str
    methods: tuple[str, ...]
    handler: str
    source: str


ROUTES = (
    Route(
        path=wire_monitoring.COMPUTILITY_PATH,
        # Table 43 has GET, table 44 POST with a body; annex G names no method.
        methods=("GET", "HEAD", "POST"),
        handler="list_computility",
        source="T/BAX 0006.5 tables 43 and 44, annex G",
    ),
)


class DeviceApi:
    """Holds the handlers of `ROUTES`; safe in every thread."""

    def __init__(
        self,
        *,
        view: Callable[[], AgentView],
        address: Callable[[DeviceIdentity], str | None],
        identify: IdentifyAccelerator,
    ) -> None:
        self._view = view
        self._address = address
        self._identify = identify

    def list_computility(self, request: falcon.Request, response: falcon.Response) -> None:
        """Answer ComputilityListRequest (annex G) with what the caller may see of this node.

        Without a code, that is every code under which the caller knows this node: one, unless
        platforms share user and password. `OrderList` is sent back; with one node there is nothing
        to order.
        """
        try:
            query = wire_monitoring.decode_computility_query(_fields(request))
        except tolerant.WireError as error:
            raise falcon.HTTPBadRequest(description=error.reason) from error
        by_code: dict[str, DeviceIdentity] = {}
        for identity in _caller(request):
            by_code.setdefault(identity.computility_code, identity)
        if query.computility_code is not None:
            if query.computility_code not in by_code:
                raise falcon.HTTPNotFound(
                    description=f"ComputilityCode {query.computility_code} is not this node"
                )
            by_code = {query.computility_code: by_code[query.computility_code]}
        view = self._view()
        matching = [
            ComputilityInfo(
                computility_code=code,
                device_infos=[
                    device_info(
                        view,
                        computility_code=code,
                        address=self._address(identity),
                        identify=self._identify,
                    )
                ],
            )
            for code, identity in by_code.items()
            if query.node_type in (None, identity.node_type)
        ]
        response.data = wire_monitoring.encode_computility_list(
            matching, query=query, request_id=_request_id()
        )


class _Gate:
    """Is the middleware that lets nobody further without credentials.

    It runs before routing: who may not enter does not learn which paths exist.
    """

    def __init__(self, *, access: Access, guard: LoginGuard) -> None:
        self._access = access
        self._guard = guard

    def process_request(self, request: falcon.Request, response: falcon.Response) -> None:
        """Find out who calls, or refuse."""
        # What a node has changes all the time; no proxy on the way may keep an answer.
        response.set_header("Cache-Control", "no-store")
        if request.path == HEALTH_PATH:
            return
        if not self._access.has_credentials(request):
            raise _unauthorized("this needs the registered user and password, or the token")
        address = request.remote_addr
        wait_seconds = self._guard.wait_seconds(address)
        if wait_seconds > 0:
            raise falcon.HTTPTooManyRequests(
                description="too many failed logins from this address; wait, then try again",
                retry_after=math.ceil(wait_seconds),
            )
        identities = self._access.identities_of(request)
        if not identities:
            if self._guard.failed(address):
                logger.warning("login to the device API failed address=%s", address)
            elif self._guard.wait_seconds(address) > 0:
                logger.warning("logins to the device API are slowed down address=%s", address)
            raise _unauthorized("wrong user, password or token")
        request.context.identities = identities


class _Resource:
    """Gives falcon the responders of one route; a resource has no other methods."""

    def __init__(self, route: Route, *, api: DeviceApi) -> None:
        handler = getattr(api, route.handler)
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
    identities: Sequence[DeviceIdentity],
    tokens: Callable[[], Iterable[PlatformToken]],
    address: Callable[[DeviceIdentity], str | None],
    identify: IdentifyAccelerator,
    clock: Clock,
    prefix: str,
) -> falcon.App[falcon.Request, falcon.Response]:
    """Return the device API as a WSGI application.

    `view` returns the latest view as it may be shown now; `tokens` the platforms' tokens that are
    good now; `address` the IPv4 address that a platform was told, None while there is none. All of
    them are called for each request, in the server's threads.
    """
    api = DeviceApi(view=view, address=address, identify=identify)
    gate = _Gate(access=Access(identities, tokens=tokens), guard=LoginGuard(clock=clock))
    application = falcon.App(middleware=[gate], media_type=falcon.MEDIA_JSON)
    application.req_options.strip_url_path_trailing_slash = True
    application.set_error_serializer(_write_error)
    application.add_error_handler(Exception, _answer_fault)
    application.add_route(HEALTH_PATH, _Health())
    for route in ROUTES:
        application.add_route(prefix + route.path, _Resource(route, api=api))
    return application


def waitress_error_body(status: int, message: str) -> tuple[str, bytes]:
    """Return content type and body of a refusal by the HTTP server, in the envelope (A.2)."""
    return falcon.MEDIA_JSON, wire.encode_failure(
        code=status, message=message, request_id=_request_id()
    )


def _fields(request: falcon.Request) -> Any:
    """Return the fields of a query: those of the body, or of the query string where it has any.

    No body at all asks for everything, as {} does.
    """
    if request.method != "POST" and request.params:
        return request.params
    body = request.bounded_stream.read()
    return tolerant.decode_object(body) if body.strip() else {}


def _caller(request: falcon.Request) -> tuple[DeviceIdentity, ...]:
    identities: tuple[DeviceIdentity, ...] = request.context.identities
    return identities


def _request_id() -> str:
    return secrets.token_hex(_REQUEST_ID_BYTES)


def _unauthorized(message: str) -> falcon.HTTPUnauthorized:
    return falcon.HTTPUnauthorized(description=message, challenges=CHALLENGES)


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
        request_id=_request_id(),
    )


def _answer_fault(
    request: falcon.Request, response: falcon.Response, error: Exception, _params: dict[str, Any]
) -> None:
    """Answer a fault of ours: the trace goes to the log, a number to find it to the client."""
    request_id = _request_id()
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
