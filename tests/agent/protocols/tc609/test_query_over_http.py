"""The questions of annex B over real connections, and whatever else comes on their paths."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import hypothesis
import pytest
import requests
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    positive_data_acceptance,
    response_schema_conformance,
    status_code_conformance,
)

from agent.model.clock import SystemClock
from agent.model.operations import CentreLoad
from agent.model.secret import Secret
from agent.protocols.tc609.query_api import QueryOptions, create_application, server_error_body
from agent.protocols.tc609.questions import CentreNames
from agent.protocols.tc609.sign import Signer, Verifier
from agent.protocols.tc609.sign_options import SignOptions
from agent.protocols.tc609.tokens import TokenStore
from agent.protocols.tc609.users import Users
from agent.security.password_hashes import PasswordHash
from agent.transport.server import HttpServer, ServerLimits
from tests.agent.protocols.tc609.makers import hour

NAME = "示例算力中心"
SIGN = SignOptions(secret=Secret("s3cret"))
OPENAPI = Path(__file__).parents[3] / "openapi" / "tc609-annex-b.openapi.yaml"
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    positive_data_acceptance,
]
OPERATIONS = [
    ("POST", "/api/token"),
    ("GET", "/api/queryOperationalData"),
    ("POST", "/api/queryOperationalData"),
    ("GET", "/api/querySupervisionSystemData"),
    ("POST", "/api/querySupervisionSystemData"),
]


def serve(*, sign=None) -> Iterator[SimpleNamespace]:
    clock = SystemClock()
    tokens = TokenStore(clock=clock)
    application = create_application(
        options=QueryOptions(names=CentreNames(centre_id=7, centre_name=NAME)),
        users=Users({"city": PasswordHash.of(Secret("Passw0rd"))}, clock=clock),
        tokens=tokens,
        latest_hour=hour,
        operational=lambda: CentreLoad(figures={"node_count": 1}),
        verifier=None if sign is None else Verifier(sign, clock=clock),
    )
    server = HttpServer(
        application,
        listen=("127.0.0.1", 0),
        limits=ServerLimits(max_body_bytes=65536),
        name="query-api",
        error_body=server_error_body,
    )
    server.start()
    with requests.Session() as session:
        yield SimpleNamespace(
            url=f"http://127.0.0.1:{server.port}",
            port=server.port,
            session=session,
            token=tokens.issue("city").token.reveal(),
        )
    server.stop(timeout_seconds=5)


@pytest.fixture
def served() -> Iterator[SimpleNamespace]:
    yield from serve()


@pytest.fixture
def signing() -> Iterator[SimpleNamespace]:
    yield from serve(sign=SIGN)


def test_a_platform_logs_in_and_asks_by_name(served, golden):
    login = {"username": "city", "password": "Passw0rd"}
    token = served.session.post(served.url + "/api/token", json=login).json()["token"]
    answer = served.session.get(
        served.url + "/api/querySupervisionSystemData",
        params={"centerName": NAME},
        headers={"Authorization": f"Bearer {token}"},
    )

    assert answer.json() == golden("supervision_system_data_response")


def test_a_signed_question_is_answered_once_over_http(signing):
    request = requests.Request(
        "GET",
        signing.url + "/api/queryOperationalData",
        params={"centerName": NAME, "centerId": "7"},
        headers={"token": signing.token},
    ).prepare()
    query = request.url.partition("?")[2]
    request.headers.update(Signer(SIGN, clock=SystemClock()).headers(query=query))

    assert signing.session.send(request).json()["code"] == 200
    assert signing.session.send(request).json()["code"] == 99999
    del request.headers["sign"]
    assert signing.session.send(request).json()["code"] == 10006


def exchange(port: int, request: bytes) -> tuple[int, dict]:
    """Send bytes as they are; return the status and the JSON of the answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


def test_a_name_that_is_not_escaped_is_refused(served):
    status, answer = exchange(
        served.port,
        f"GET /api/queryOperationalData?centerName={NAME} HTTP/1.0\r\n"
        f"token: {served.token}\r\n\r\n".encode(),
    )

    assert (status, answer["code"]) == (400, 99999)


def test_what_is_no_http_gets_the_envelope(served):
    status, answer = exchange(served.port, b"GARBAGE\r\n\r\n")

    assert (status, answer["code"]) == (400, 99999)


def test_a_body_that_is_too_long_gets_the_envelope(served):
    answer = served.session.post(served.url + "/api/token", data=b" " * 70_000)

    assert (answer.status_code, answer.json()["code"]) == (413, 99999)


def test_every_operation_is_asked():
    described = schemathesis.openapi.from_path(str(OPENAPI)).raw_schema["paths"]
    assert {(method.upper(), path) for path in described for method in described[path]} == set(
        OPERATIONS
    )


@pytest.mark.parametrize("path", ["/api/queryOperationalData", "/api/querySupervisionSystemData"])
def test_figures_are_answered_as_described(served, path):
    case = schemathesis.openapi.from_path(str(OPENAPI))[path]["GET"].Case(query={"centerId": 7})
    answer = case.call(
        base_url=served.url, session=served.session, headers={"token": served.token}, timeout=5
    )

    assert answer.json()["code"] == 200
    case.validate_response(answer, checks=CHECKS)


@pytest.mark.slow
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_whatever_comes_is_answered_as_described(served, method, path):
    operation = schemathesis.openapi.from_path(str(OPENAPI))[path][method]
    modes = schemathesis.GenerationMode

    @hypothesis.settings(
        max_examples=25,
        deadline=5000,
        derandomize=True,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(
        case=operation.as_strategy(generation_mode=modes.POSITIVE)
        | operation.as_strategy(generation_mode=modes.NEGATIVE)
    )
    def fuzz(case: schemathesis.Case) -> None:
        answer = case.call(
            base_url=served.url,
            session=served.session,
            headers={"token": served.token},
            timeout=5,
        )
        case.validate_response(answer, checks=CHECKS)

    fuzz()
