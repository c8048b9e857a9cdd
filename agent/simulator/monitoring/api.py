"""Annex A over HTTP: every answer has `code`, and `msg` where that is not 200."""

from __future__ import annotations

import json
import logging
from typing import Any

import falcon

from agent.simulator.misbehaviour import ASKED_FAULT
from agent.simulator.monitoring.codes import MESSAGE_LENGTH_MAXIMUM, Code
from agent.simulator.monitoring.routes import ROUTES
from agent.simulator.monitoring.service import Exchange, MonitoringService
from agent.simulator.request_token import token_of

_logger = logging.getLogger(__name__)

BODY_BYTES_MAXIMUM = 64 * 1024


class _Operations:
    """Gives falcon the methods of one path; a path has no others."""

    def __init__(self, service: MonitoringService, *, methods: dict[str, str]) -> None:
        self._service = service
        self._methods = methods
        for method in methods:
            setattr(self, f"on_{method.lower()}", self._serve)

    def _serve(self, request: falcon.Request, response: falcon.Response) -> None:
        body = request.bounded_stream.read(BODY_BYTES_MAXIMUM + 1)
        if len(body) > BODY_BYTES_MAXIMUM:
            raise falcon.HTTPContentTooLarge(
                description=f"the body is longer than {BODY_BYTES_MAXIMUM} bytes"
            )
        status, answer = self._service.serve(
            Exchange(
                operation=self._methods[request.method],
                method=request.method,
                peer=str(request.remote_addr),
                query=request.query_string,
                body=body,
                content_type=request.content_type,
                header=request.get_header,
                token=token_of(request),
                fault=request.env.get(ASKED_FAULT),
            )
        )
        _write(response, status=status, body=answer)


def build_monitoring_application(service: MonitoringService) -> falcon.App[Any, Any]:
    """Return the WSGI application of annex A."""
    application = falcon.App()
    for path, methods in ROUTES.items():
        application.add_route(path, _Operations(service, methods=methods))
    application.add_error_handler(Exception, _failed)
    application.add_error_handler(falcon.HTTPError, _http_error)
    return application


def _http_error(
    request: falcon.Request, response: falcon.Response, error: falcon.HTTPError, _: Any
) -> None:
    path = request.path[:60]
    if error.status_code == 404:
        message = f"nothing is at {path!r}: there are {', '.join(ROUTES)}"
    elif error.status_code == 405:
        message = f"{request.method} is not for {path}: use {', '.join(ROUTES[request.path])}"
    else:
        message = f"{error.title or 'failed'}: {error.description or 'see the HTTP status'}"
    if error.headers:
        response.set_headers(error.headers)
    _write(response, status=error.status_code, body={"code": int(Code.OTHER), "msg": message})


def _failed(request: falcon.Request, response: falcon.Response, error: Exception, _: Any) -> None:
    _logger.error("request failed path=%r", request.path[:60], exc_info=error)
    message = "the simulator itself failed here, its log says why"
    _write(response, status=500, body={"code": int(Code.OTHER), "msg": message})


def _write(response: falcon.Response, *, status: int, body: dict[str, Any]) -> None:
    if "msg" in body:
        body = {**body, "msg": body["msg"][:MESSAGE_LENGTH_MAXIMUM]}
    response.status = status
    response.content_type = "application/json"
    # A path may hold bytes that are no text; an answer has to be UTF-8 all the same.
    response.data = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
