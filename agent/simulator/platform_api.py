"""The platform's four operations over HTTP: clause 7 and annex G of T/BAX 0006.5.

Every answer has the envelope of the standard; a failure also has an HTTP status of its own.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import falcon

from agent.simulator.downloads import Downloads
from agent.simulator.events import Event, EventKind, EventLog
from agent.simulator.faults import FaultKind
from agent.simulator.misbehaviour import ASKED_FAULT, operation_of
from agent.simulator.nodes_page import page_of
from agent.simulator.passwords import PasswordReader
from agent.simulator.refusal import MESSAGE_LENGTH_MAXIMUM, Refusal, ResultCode
from agent.simulator.registry import Registration, Registry
from agent.simulator.request_token import token_of
from agent.simulator.tables import REQUESTS
from agent.simulator.validation import Checked, Finding, NotJson, check, decode

_logger = logging.getLogger(__name__)

BODY_BYTES_MAXIMUM = 64 * 1024


@dataclass(slots=True, kw_only=True)
class Exchange:
    """Collects what one request gives for the log."""

    operation: str
    peer: str
    token: str | None
    fault: FaultKind | None
    code: str | None = None
    text: str = ""
    findings: tuple[Finding, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)


class PlatformService:
    """Carries the operations out and logs each; safe in every thread.

    `on_registered` is called after each accepted registration and must not block.
    """

    def __init__(
        self,
        *,
        registry: Registry,
        passwords: PasswordReader,
        events: EventLog,
        strict_extra: bool,
        on_registered: Callable[[], None],
    ) -> None:
        self._on_registered = on_registered
        self._registry = registry
        self._passwords = passwords
        self._events = events
        self._strict_extra = strict_extra

    def serve(
        self, exchange: Exchange, read_message: Callable[[], Any]
    ) -> tuple[int, dict[str, Any]]:
        """Return HTTP status and body of the answer to one request."""
        operations = {
            "Register": self._register,
            "Keepalive": self._keepalive,
            "UnRegister": self._unregister,
            "Computility": self._computility,
        }
        try:
            checked = self._check(exchange, read_message)
            data = operations[exchange.operation](exchange, checked.value)
        except Refusal as refusal:
            return self._refuse(exchange, refusal)
        body = {"Code": 0, "Message": "success"}
        self._log(exchange, code=ResultCode.SUCCESS)
        if exchange.operation == "Register":
            self._on_registered()
        return 200, body if data is None else {**body, "Data": data}

    def _check(self, exchange: Exchange, read_message: Callable[[], Any]) -> Checked:
        table = REQUESTS[exchange.operation]
        message = read_message()
        checked = check(message, table, strict_extra=self._strict_extra)
        exchange.findings = checked.findings
        name = "ComputilityCode" if exchange.operation == "Computility" else "Code"
        code = checked.value.get(name)
        if isinstance(code, str) and len(code) == 20 and code.isascii() and code.isdigit():
            exchange.code = code
        if not checked.accepted:
            fatal = [finding for finding in checked.findings if finding.fatal]
            raise Refusal(
                "; ".join(str(finding) for finding in fatal),
                code=ResultCode.TABLE_VIOLATED,
                findings=checked.findings,
            )
        return checked

    def _register(self, exchange: Exchange, value: Mapping[str, Any]) -> dict[str, Any]:
        read = self._passwords.read(value["Password"], table=REQUESTS["Register"])
        exchange.findings += read.findings
        node = self._registry.register(
            Registration(
                code=value["Code"],
                type=value["Type"],
                address=value["IP"],
                port=value["Port"],
                username=value["Username"],
                password=read.password,
                password_layout=read.layout,
                support_algo_service=value.get("SupportAlgoService", True),
            )
        )
        again = "registered again" if node.registrations > 1 else "registered"
        how = "plain" if read.layout == "plain" else f"decrypted ({read.layout})"
        exchange.text = (
            f"{again} {node.code} {node.type} at {node.address}:{node.port}, password {how}"
        )
        exchange.details = {"password_layout": read.layout, "registrations": node.registrations}
        return {"Token": node.token}

    def _keepalive(self, exchange: Exchange, value: Mapping[str, Any]) -> dict[str, Any] | None:
        code = value["Code"]
        if exchange.fault is FaultKind.FORGET:
            self._registry.forget(code)
        elif exchange.fault is FaultKind.EXPIRE_TOKEN:
            self._registry.expire_token(code)
        kept = self._registry.keepalive(
            code, token=exchange.token, rotate=exchange.fault is FaultKind.ROTATE_TOKEN
        )
        renewed = ", new token" if kept.new_token is not None else ""
        exchange.text = f"keepalive {code}, {kept.gap_seconds:.1f} s after the last{renewed}"
        exchange.details = {
            "gap_seconds": round(kept.gap_seconds, 3),
            "token_sent": exchange.token is not None,
            "token_renewed": kept.new_token is not None,
        }
        return None if kept.new_token is None else {"Token": kept.new_token}

    def _unregister(self, exchange: Exchange, value: Mapping[str, Any]) -> None:
        code = value["Code"]
        if exchange.fault is FaultKind.FORGET:
            self._registry.forget(code)
        read = self._passwords.read(value["Password"], table=REQUESTS["UnRegister"])
        exchange.findings += read.findings
        self._registry.unregister(code, username=value["Username"], password=read.password)
        exchange.text = f"unregistered {code}"

    def _computility(self, exchange: Exchange, value: Mapping[str, Any]) -> dict[str, Any]:
        page, findings = page_of(self._registry.nodes(), request=value)
        exchange.findings += findings
        exchange.text = f"listed {len(page['PageContent'])} of {page['Total']} nodes"
        return page

    def _refuse(self, exchange: Exchange, refusal: Refusal) -> tuple[int, dict[str, Any]]:
        known = set(exchange.findings)
        exchange.findings += tuple(each for each in refusal.findings if each not in known)
        exchange.text = f"refused {exchange.operation} from {exchange.peer}: {refusal.message}"
        self._log(exchange, code=refusal.code)
        return refusal.code.status, {"Code": int(refusal.code), "Message": refusal.message}

    def _log(self, exchange: Exchange, *, code: ResultCode) -> None:
        self._events.add(
            Event(
                kind=EventKind.REQUEST,
                operation=exchange.operation,
                code=exchange.code,
                accepted=code is ResultCode.SUCCESS,
                status=code.status,
                result_code=int(code),
                text=exchange.text,
                findings=exchange.findings,
                details={"peer": exchange.peer, **exchange.details},
            )
        )


class _PostOperation:
    """Serves one operation that takes its message in the body."""

    def __init__(self, service: PlatformService, *, operation: str) -> None:
        self._service = service
        self._operation = operation

    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        exchange = _exchange(request, operation=self._operation)
        status, body = self._service.serve(exchange, lambda: _read_message(request))
        _write(response, status=status, body=body)


class _Computility(_PostOperation):
    """Serves table 44 (POST with a body) and table 43 (GET, for which no place is named)."""

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        exchange = _exchange(request, operation=self._operation)
        status, body = self._service.serve(exchange, lambda: _query_message(request))
        _write(response, status=status, body=body)


def build_platform_application(
    service: PlatformService, *, downloads: Downloads
) -> falcon.App[Any, Any]:
    """Return the WSGI application of the platform."""
    application = falcon.App()
    downloads.add_routes(application)
    for operation in REQUESTS:
        kind = _Computility if operation == "Computility" else _PostOperation
        application.add_route(f"/ACSMP/{operation}", kind(service, operation=operation))
    application.add_error_handler(Exception, _failed)
    application.add_error_handler(falcon.HTTPError, _http_error)
    return application


def envelope_of_status(status: int, message: str) -> tuple[str, bytes]:
    """Return content type and body for a refusal that no operation made (the HTTP server's)."""
    return "application/json", _encode({"Code": status * 100, "Message": message})


def _http_error(
    request: falcon.Request, response: falcon.Response, error: falcon.HTTPError, _: Any
) -> None:
    path = request.path[:60]
    if error.status_code == 404:
        known = ", ".join(f"/ACSMP/{operation}" for operation in REQUESTS)
        message = f"nothing is at {path!r}: the operations are {known}"
    elif error.status_code == 405:
        message = f"{request.method} is not for {path}: use POST"
    else:
        message = f"{error.title or 'failed'}: {error.description or 'see the HTTP status'}"
    _write(
        response,
        status=error.status_code,
        body={"Code": error.status_code * 100, "Message": message},
    )
    # A 405 has to name the methods that are allowed.
    if error.headers:
        response.set_headers(error.headers)


def _failed(request: falcon.Request, response: falcon.Response, error: Exception, _: Any) -> None:
    _logger.error("request failed operation=%s", operation_of(request.path), exc_info=error)
    message = "the simulator itself failed here, its log says why"
    _write(response, status=500, body={"Code": int(ResultCode.INTERNAL), "Message": message})


def _exchange(request: falcon.Request, *, operation: str) -> Exchange:
    return Exchange(
        operation=operation,
        peer=str(request.remote_addr),
        token=token_of(request),
        fault=request.env.get(ASKED_FAULT),
    )


def _read_message(request: falcon.Request) -> Any:
    content_type = (request.content_type or "application/json").partition(";")[0].strip().lower()
    if content_type != "application/json":
        raise Refusal(
            f"Content-Type must be application/json, got {content_type[:60]!r}",
            code=ResultCode.NOT_A_JSON_TYPE,
        )
    body = request.bounded_stream.read(BODY_BYTES_MAXIMUM + 1)
    if len(body) > BODY_BYTES_MAXIMUM:
        raise Refusal(
            f"the body is longer than {BODY_BYTES_MAXIMUM} bytes", code=ResultCode.TOO_LARGE
        )
    try:
        return decode(body)
    except NotJson as error:
        raise Refusal(str(error), code=ResultCode.NOT_JSON) from error


def _query_message(request: falcon.Request) -> Any:
    """Return the message of a GET: its body if it has one, else the same names in the query."""
    if request.content_length:
        return _read_message(request)
    message: dict[str, Any] = {}
    page: dict[str, Any] = {"PageNumber": 1, "PageSize": 10}
    for name, value in request.params.items():
        if name in page:
            page[name] = _int_of_text(value)
        else:
            message[name] = value
    return {**message, "PageRequest": page}


def _int_of_text(value: str | list[str]) -> Any:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 10:
        return int(value)
    return value


def _write(response: falcon.Response, *, status: int, body: dict[str, Any]) -> None:
    response.status = status
    response.content_type = "application/json"
    response.data = _encode(body)


def _encode(body: dict[str, Any]) -> bytes:
    message = str(body["Message"])[:MESSAGE_LENGTH_MAXIMUM]
    answer = {**body, "Message": message, "RequestID": str(uuid.uuid4())}
    # A path may hold bytes that are no text; an answer has to be UTF-8 all the same.
    return json.dumps(answer, ensure_ascii=False).encode("utf-8", "replace")
