"""The messages of T/BAX 0006.5 clause 7 (annex B), and the envelope of every answer.

The standard's names stand here and in `wire_monitoring` (annex G) and nowhere else. Sent as the
tables spell it; what is accepted beyond that stands in docs/conformance.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import field

from agent.errors import PlatformRejected, TransientError
from agent.protocols.acsmp import tolerant
from agent.protocols.acsmp.tolerant import WireError

STANDARD = "T/BAX 0006.5"
REGISTER_PATH = "/ACSMP/Register"
UNREGISTER_PATH = "/ACSMP/UnRegister"
KEEPALIVE_PATH = "/ACSMP/Keepalive"

SUCCESS = 0
MESSAGE_MAXIMUM = 1024
TOKEN_MAXIMUM = 256
_INT_ENVELOPE_MINIMUM = -(2**31)

_HTTP_UNAUTHORIZED = 401
_HTTP_FORBIDDEN = 403
_HTTP_TOO_MANY_REQUESTS = 429
_LOGGED_CHARACTERS = 200


# What we say to a platform: clause 7, annex B.


class _RegisterRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Is table B.1."""

    code: str = field(name="Code")
    type: str = field(name="Type")
    ip: str = field(name="IP")
    port: int = field(name="Port")
    username: str = field(name="Username")
    password: str = field(name="Password")
    support_algo_service: bool = field(name="SupportAlgoService")


class _UnRegisterRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Is table B.4."""

    code: str = field(name="Code")
    username: str = field(name="Username")
    password: str = field(name="Password")


class _KeepaliveRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Is table B.5."""

    code: str = field(name="Code")


def encode_register_request(
    *,
    computility_code: str,
    node_type: str,
    address: str,
    port: int,
    username: str,
    password_text: str,
    supports_algorithm_services: bool,
) -> bytes:
    """Return RegisterRequest (table B.1); `password_text` is the password as it travels.

    `SupportAlgoService` is always there: a missing key would mean true.
    """
    return msgspec.json.encode(
        _RegisterRequest(
            code=computility_code,
            type=node_type,
            ip=address,
            port=port,
            username=username,
            password=password_text,
            support_algo_service=supports_algorithm_services,
        )
    )


def encode_unregister_request(*, computility_code: str, username: str, password_text: str) -> bytes:
    """Return UnRegisterRequest (table B.4), with the password as it travels at registration."""
    return msgspec.json.encode(
        _UnRegisterRequest(code=computility_code, username=username, password=password_text)
    )


def encode_keepalive_request(*, computility_code: str) -> bytes:
    """Return KeepaliveRequest (table B.5)."""
    return msgspec.json.encode(_KeepaliveRequest(code=computility_code))


# What a platform answers: tables B.2, B.3, A.2.


def decode_register_response(body: bytes, *, status: int) -> str:
    """Return the token of the answer to a registration (tables B.2, B.3).

    Raises:
        PlatformRejected: the platform refused.
        TransientError: what came is no answer of a platform, or has no usable token.
    """
    token = _token(_accepted(body, status=status))
    if token is None:
        raise TransientError("the platform accepted the registration but sent no token (table B.3)")
    return token


def decode_keepalive_response(body: bytes, *, status: int) -> str | None:
    """Return the new token of the answer to a keepalive, None where the old one stays.

    Table B.2 marks `Data` as required and says in its remark that keepalive sends it only to
    change the token: absent, null and {} all mean "no change".

    Raises:
        PlatformRejected: the platform refused; this node has to register again.
        TransientError: what came is no answer of a platform.
    """
    return _token(_accepted(body, status=status))


def decode_empty_response(body: bytes, *, status: int) -> None:
    """Return if the answer is a success (EmptyResponse, table A.2).

    Raises:
        PlatformRejected: the platform refused.
        TransientError: what came is no answer of a platform.
    """
    _accepted(body, status=status)


def decode_data(body: bytes, *, status: int) -> Any:
    """Return `Data` of a success, None where there is none; errors as `decode_empty_response`."""
    return tolerant.pick(_accepted(body, status=status), "Data")


def _accepted(body: bytes, *, status: int) -> Mapping[str, Any]:
    """Return the envelope of a success; the decision table of every answer stands here.

    401 and 403 are refusals whatever the body says. 5xx and 429 are trouble, not decisions, even
    in an envelope. Elsewhere the envelope decides; without one a proxy or a wrong address spoke.
    """
    if status in (_HTTP_UNAUTHORIZED, _HTTP_FORBIDDEN):
        code, message = _peek(body)
        raise _rejected(message or "no reason given", code=code or None, status=status)
    if not 200 <= status < 500 or 300 <= status < 400 or status == _HTTP_TOO_MANY_REQUESTS:
        _, message = _peek(body)
        raise TransientError(f"HTTP {status}" + (f": {message}" if message else ""))
    try:
        envelope = tolerant.decode_object(body)
        code = _result_code(envelope)
    except WireError as error:
        raise TransientError(f"HTTP {status}: {printable(error.reason)}") from error
    if code is None:
        raise TransientError(f"HTTP {status}: the answer has no Code")
    message = _message(envelope)
    if code != SUCCESS:
        raise _rejected(message or "no reason given", code=code, status=status)
    if status >= 400:
        raise TransientError(f"HTTP {status} contradicts Code 0: {message}")
    return envelope


def _peek(body: bytes) -> tuple[int | None, str]:
    """Return code and message if the body has them; what cannot be read is not there."""
    try:
        envelope = tolerant.decode_object(body)
        return _result_code(envelope), _message(envelope)
    except WireError:
        return None, ""


def _result_code(envelope: Mapping[str, Any]) -> int | None:
    return tolerant.as_int(
        tolerant.pick(envelope, "Code"),
        field="Code",
        table="table B.2",
        minimum=_INT_ENVELOPE_MINIMUM,
    )


def _message(envelope: Mapping[str, Any]) -> str:
    message = tolerant.pick(envelope, "Message")
    return printable(message) if isinstance(message, str) else ""


def _token(envelope: Mapping[str, Any]) -> str | None:
    data = tolerant.pick(envelope, "Data")
    if data is None or data == "":
        return None
    if not isinstance(data, dict):
        raise TransientError(f"Data is {tolerant.kind_of(data)}, expected an object (table B.2)")
    token = tolerant.pick(data, "Token")
    if token is None or token == "":
        return None
    if not isinstance(token, str):
        raise TransientError(f"Token is {tolerant.kind_of(token)}, expected text (table B.3)")
    # The token goes into a header: nothing in it may end the line or be lost on the way.
    if len(token) > TOKEN_MAXIMUM or not all("\x20" < character < "\x7f" for character in token):
        raise TransientError(
            f"Token ({len(token)} characters) is not 1 to {TOKEN_MAXIMUM} printable ASCII "
            "characters without blanks (table B.3)"
        )
    return token


def _rejected(message: str, *, status: int, code: int | None = None) -> PlatformRejected:
    return PlatformRejected(standard=STANDARD, message=message, code=code, status=status)


def printable(text: str) -> str:
    """Return a text of others, fit for one line of a log."""
    cut = text[:_LOGGED_CHARACTERS]
    return "".join(character if character.isprintable() else " " for character in cut).strip()


# What we answer: table A.2, and A.2 with Data.


class _EmptyResponse(msgspec.Struct, frozen=True, kw_only=True):
    """Is table A.2."""

    code: int = field(name="Code")
    message: str = field(name="Message")
    request_id: str = field(name="RequestID")


def encode_failure(*, code: int, message: str, request_id: str) -> bytes:
    """Return EmptyResponse (table A.2) for a failure; `code` is not 0."""
    return msgspec.json.encode(
        _EmptyResponse(code=code, message=message[:MESSAGE_MAXIMUM], request_id=request_id)
    )


def encode_success(*, request_id: str) -> bytes:
    """Return EmptyResponse (table A.2) for a success."""
    return msgspec.json.encode(
        _EmptyResponse(code=SUCCESS, message="success", request_id=request_id)
    )


class _DataResponse(msgspec.Struct, frozen=True, kw_only=True):
    """Is table A.2 with `Data`, the shape of tables F.3, F.5, F.8, F.11 and F.14."""

    code: int = field(name="Code")
    message: str = field(name="Message")
    data: Any = field(name="Data")
    request_id: str = field(name="RequestID")


def encode_data(data: Any, *, request_id: str) -> bytes:
    """Return a success with `Data`: a text, a message structure, or a list of them."""
    return msgspec.json.encode(
        _DataResponse(code=SUCCESS, message="success", data=data, request_id=request_id)
    )
