"""What monitoring platforms may ask this node about its centre (TC609 A.1, B.1 and B.2).

A question shows its token, then its signature where one is demanded, then which centre it means.
The answer is HTTP 200 with the code of annex C in the body, or, by `uses_http_statuses`, with the
status that belongs to the code. What never was a question has the status of HTTP and code 99999: a
path that is not there (404), another method (405), a body that is too long (413), a fault here
(500).
"""

from __future__ import annotations

import http
import logging
import math
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import falcon

from agent.errors import AgentError, RequestError, TransientError
from agent.model.metering import CentreHour
from agent.model.operations import CentreLoad
from agent.protocols.tc609 import parameters, questions, wire
from agent.protocols.tc609.operational import OperationalMembers
from agent.protocols.tc609.question_rate import QuestionRate, TooManyQuestions
from agent.protocols.tc609.questions import CentreNames, QuestionRefused
from agent.protocols.tc609.sign import SignMissing, Verifier
from agent.protocols.tc609.tokens import TokenStore
from agent.protocols.tc609.users import Users
from agent.protocols.tc609.wire import Code

logger = logging.getLogger(__name__)

MAXIMUM_BODY_BYTES = 64 * 1024
# The standard says "in the Header parameters" (6.3.1) and names no header.
TOKEN_HEADERS = ("Authorization", "token", "X-Access-Token")
# Is told of each answer: what was asked ("token", "operational", "supervision", "other"), and the
# code that it was answered with.
Answered = Callable[[str, Code], None]
_QUESTIONS: Mapping[str, str] = {
    wire.TOKEN_PATH: "token",
    wire.OPERATIONAL_PATH: "operational",
    wire.SUPERVISION_PATH: "supervision",
}
_BEARER = "bearer "
_RETRY_SECONDS = 30
_FAULT_ID_BYTES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryOptions:
    """Is how the questions of one listener are taken.

    `signs_token_request` demands a signature of /api/token, too; `uses_http_statuses` tells
    failures by the HTTP status as well.
    """

    names: CentreNames
    signs_token_request: bool = False
    uses_http_statuses: bool = False


class QueryApi:
    """Holds the handlers of the three questions; safe in every thread."""

    def __init__(
        self,
        *,
        options: QueryOptions,
        users: Users,
        tokens: TokenStore,
        verifier: Verifier | None,
        members: OperationalMembers,
        latest_hour: Callable[[], CentreHour | None],
        operational: Callable[[], CentreLoad | None],
        rate: QuestionRate | None,
    ) -> None:
        self._options = options
        self._rate = rate
        self._users = users
        self._tokens = tokens
        self._verifier = verifier
        self._members = members
        self._latest_hour = latest_hour
        self._operational = operational

    def get_token(self, request: falcon.Request, response: falcon.Response) -> None:
        """Give a user a token for its password (A.1); both are read from the body alone.

        A password in a URL would stand in the log of every proxy on the way.
        """
        query, body = request.query_string, _body(request)
        if self._verifier is not None and self._options.signs_token_request:
            self._check_sign(request, query=query, body=body)
        login = questions.read_login(
            parameters.read(query="", body=body, content_type=request.content_type)
        )
        if not self._users.check(login.username, login.password, address=request.remote_addr):
            raise QuestionRefused("wrong username or password", code=Code.USER_REFUSED)
        issued = self._tokens.issue(login.username)
        response.data = wire.encode_token(
            issued.token, expires_in_seconds=issued.expires_in_seconds
        )

    def query_operational_data(self, request: falcon.Request, response: falcon.Response) -> None:
        """Tell load and scale of the centre (B.1)."""
        self._check_question(request)
        response.data = self._members.encode(self._operational())

    def query_supervision_data(self, request: falcon.Request, response: falcon.Response) -> None:
        """Tell electricity, green electricity, PUE and WUE of the past hour (B.2)."""
        self._check_question(request)
        response.data = wire.encode_supervision(self._latest_hour())

    def _check_question(self, request: falcon.Request) -> None:
        """Return if a platform with a token asks, signed where that is demanded, about us."""
        username = self._check_token(request)
        if self._rate is not None:
            self._rate.take(username)
        query, body = request.query_string, _body(request)
        if self._verifier is not None:
            self._check_sign(request, query=query, body=body)
        fields = parameters.read(query=query, body=body, content_type=request.content_type)
        questions.check_centre(fields, names=self._options.names)

    def _check_token(self, request: falcon.Request) -> str:
        """Return whose token it is."""
        given = [value for name in TOKEN_HEADERS if (value := request.get_header(name))]
        if not given:
            raise QuestionRefused(
                f"this needs a token from {wire.TOKEN_PATH}, as Authorization: Bearer or in the "
                "header token",
                code=Code.TOKEN_INVALID,
            )
        for value in given:
            username = self._tokens.username_of(_bare(value))
            if username is not None:
                return username
        raise QuestionRefused(
            f"the token is unknown or has ended; get a new one from {wire.TOKEN_PATH}",
            code=Code.TOKEN_INVALID,
        )

    def _check_sign(self, request: falcon.Request, *, query: str, body: bytes) -> None:
        assert self._verifier is not None  # noqa: S101 - asked for by the callers
        self._verifier.check(
            query=query, body=body, header=request.get_header, content_type=request.content_type
        )


class _Resource:
    """Gives falcon the responders of one path; a resource has no other methods."""

    def __init__(
        self,
        handler: Callable[[falcon.Request, falcon.Response], None],
        *,
        methods: tuple[str, ...],
    ) -> None:
        for method in methods:
            setattr(self, f"on_{method.lower()}", handler)


class _Bookkeeping:
    """Is the middleware that counts answers, and keeps them out of the caches of proxies."""

    def __init__(self, answered: Answered) -> None:
        self._answered = answered

    def process_request(self, _request: falcon.Request, response: falcon.Response) -> None:
        """Mark the answer to be."""
        response.set_header("Cache-Control", "no-store")
        response.context.code = Code.SUCCESS

    def process_response(
        self,
        request: falcon.Request,
        response: falcon.Response,
        _resource: object,
        _succeeded: bool,  # noqa: FBT001 - falcon's own order
    ) -> None:
        """Count the answer."""
        question = _QUESTIONS.get(request.path.rstrip("/"), "other")
        self._answered(question, response.context.code)


def create_application(
    *,
    options: QueryOptions,
    users: Users,
    tokens: TokenStore,
    latest_hour: Callable[[], CentreHour | None],
    operational: Callable[[], CentreLoad | None],
    verifier: Verifier | None = None,
    members: OperationalMembers | None = None,
    answered: Answered = lambda _question, _code: None,
    rate: QuestionRate | None = None,
) -> falcon.App[falcon.Request, falcon.Response]:
    """Return the questions of annex B as a WSGI application.

    `latest_hour` returns the hour to be told, `operational` load and scale of the centre; both are
    called for each request in the server's threads, return None while nothing is known, and may
    raise TransientError or RequestError. With a `verifier` every question has to be signed.
    `answered` is called in these threads, too, and must not wait. `rate` bounds how often one user
    asks; None bounds nothing.
    """
    api = QueryApi(
        options=options,
        users=users,
        tokens=tokens,
        verifier=verifier,
        members=OperationalMembers() if members is None else members,
        latest_hour=latest_hour,
        operational=operational,
        rate=rate,
    )
    application = falcon.App(middleware=[_Bookkeeping(answered)], media_type=falcon.MEDIA_JSON)
    application.req_options.strip_url_path_trailing_slash = True
    application.set_error_serializer(_write_error)
    application.add_error_handler(Exception, _answer_fault)
    refuse = _Refusals(uses_http_statuses=options.uses_http_statuses)
    application.add_error_handler(AgentError, refuse.answer)
    # The tables have GET; clients that cannot send a body with it use POST.
    asking = ("GET", "POST")
    application.add_route(wire.TOKEN_PATH, _Resource(api.get_token, methods=("POST",)))
    application.add_route(
        wire.OPERATIONAL_PATH, _Resource(api.query_operational_data, methods=asking)
    )
    application.add_route(
        wire.SUPERVISION_PATH, _Resource(api.query_supervision_data, methods=asking)
    )
    return application


def server_error_body(_status: int, message: str) -> tuple[str, bytes]:
    """Return content type and body of a refusal by the HTTP server, in the envelope."""
    return falcon.MEDIA_JSON, wire.encode_failure(Code.OTHER, message)


class _Refusals:
    """Answers errors of ours by what the caller does next."""

    def __init__(self, *, uses_http_statuses: bool) -> None:
        self._uses_http_statuses = uses_http_statuses

    def answer(
        self,
        request: falcon.Request,
        response: falcon.Response,
        error: Exception,
        params: dict[str, Any],
    ) -> None:
        """Put an error into the envelope; one that is no refusal is a fault."""
        if isinstance(error, TransientError):
            self._refuse_for_now(request, response, error)
        elif isinstance(error, RequestError):
            self._refuse(response, code=_code_of(error), message=error.reason)
        else:
            _answer_fault(request, response, error, params)

    def _refuse_for_now(
        self, request: falcon.Request, response: falcon.Response, error: TransientError
    ) -> None:
        seconds = error.retry_after_seconds
        response.set_header(
            "Retry-After", str(_RETRY_SECONDS if seconds is None else math.ceil(seconds))
        )
        is_login = request.path.rstrip("/") == wire.TOKEN_PATH
        code = Code.USER_REFUSED if is_login else Code.OTHER
        status = 429 if is_login or isinstance(error, TooManyQuestions) else 503
        self._refuse(response, code=code, message=error.reason, status=status)

    def _refuse(
        self, response: falcon.Response, *, code: Code, message: str, status: int | None = None
    ) -> None:
        if self._uses_http_statuses:
            response.status = wire.HTTP_STATUSES[code] if status is None else status
        response.context.code = code
        response.content_type = falcon.MEDIA_JSON
        response.data = wire.encode_failure(code, message)


def _code_of(error: RequestError) -> Code:
    if isinstance(error, QuestionRefused):
        return error.code
    return Code.SIGN_MISSING if isinstance(error, SignMissing) else Code.OTHER


def _bare(value: str) -> str:
    """Return the token of a header, with or without the word Bearer in any case."""
    text = value.strip()
    return text[len(_BEARER) :].strip() if text[: len(_BEARER)].lower() == _BEARER else text


def _body(request: falcon.Request) -> bytes:
    body = request.bounded_stream.read(MAXIMUM_BODY_BYTES + 1)
    if len(body) > MAXIMUM_BODY_BYTES:
        raise falcon.HTTPContentTooLarge(
            description=f"a question has at most {MAXIMUM_BODY_BYTES} bytes"
        )
    return body


def _write_error(
    request: falcon.Request, response: falcon.Response, error: falcon.HTTPError
) -> None:
    """Put what never was a question into the envelope."""
    message = error.description
    if isinstance(error, falcon.HTTPRouteNotFound):
        message = f"no such path: {parameters.printable(request.path)}"
    elif isinstance(error, falcon.HTTPMethodNotAllowed):
        allowed = dict(error.headers or {}).get("Allow", "")
        message = f"{request.method} is not possible here; use {allowed}"
    response.context.code = Code.OTHER
    response.content_type = falcon.MEDIA_JSON
    response.data = wire.encode_failure(
        Code.OTHER, message or http.HTTPStatus(error.status_code).phrase
    )


def _answer_fault(
    request: falcon.Request, response: falcon.Response, error: Exception, _params: dict[str, Any]
) -> None:
    """Answer a fault of ours: the trace goes to the log, a number to find it to the client."""
    fault_id = secrets.token_hex(_FAULT_ID_BYTES)
    logger.error(
        "query API failed method=%s path=%s fault_id=%s",
        request.method,
        request.path,
        fault_id,
        exc_info=error,
    )
    response.status = falcon.HTTP_500
    response.context.code = Code.OTHER
    response.content_type = falcon.MEDIA_JSON
    response.data = wire.encode_failure(
        Code.OTHER,
        f"an internal error happened here; the log of the agent says more (fault {fault_id})",
    )
