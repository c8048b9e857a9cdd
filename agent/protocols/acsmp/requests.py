"""What every handler of the device API asks of a request: its fields, its caller, its node."""

from __future__ import annotations

import secrets
from typing import Any

import falcon

from agent.errors import NotFoundError
from agent.protocols.acsmp import tolerant, wire
from agent.protocols.acsmp.identity import DeviceIdentity

_REQUEST_ID_BYTES = 16


def fields(request: falcon.Request) -> Any:
    """Return the fields of a query: those of the body, or of the query string where it has any.

    No body at all asks for everything, as {} does.

    Raises:
        WireError: the body is no JSON object.
    """
    if request.method != "POST" and request.params:
        return request.params
    body = request.bounded_stream.read()
    return tolerant.decode_object(body) if body.strip() else {}


def caller(request: falcon.Request) -> tuple[DeviceIdentity, ...]:
    """Return this node as the caller knows it: once, unless platforms share a password."""
    identities: tuple[DeviceIdentity, ...] = request.context.identities
    return identities


def check_code(request: falcon.Request, code: str | None) -> None:
    """Return if the caller knows this node by a code, or named none.

    Raises:
        NotFoundError: it is another node's.
    """
    if code is not None and all(each.computility_code != code for each in caller(request)):
        raise NotFoundError(f"ComputilityCode {wire.printable(code)} is not this node")


def request_id() -> str:
    """Return a new id for an answer."""
    return secrets.token_hex(_REQUEST_ID_BYTES)


def answer_success(response: falcon.Response) -> None:
    """Answer with EmptyResponse (table A.2)."""
    response.data = wire.encode_success(request_id=request_id())


def answer_data(response: falcon.Response, data: Any) -> None:
    """Answer with `Data`."""
    response.data = wire.encode_data(data, request_id=request_id())
