"""Annex B against its description: what keeps to it is answered, and nothing else is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import hypothesis
import pytest
import requests
import schemathesis
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from agent.model.clock import SystemClock
from agent.model.operations import CentreLoad
from agent.model.secret import Secret
from agent.protocols.tc609.query_api import QueryOptions, create_application, server_error_body
from agent.protocols.tc609.questions import CentreNames
from agent.protocols.tc609.tokens import TokenStore
from agent.protocols.tc609.users import Users
from agent.security.password_hashes import PasswordHash
from agent.transport.server import HttpServer, ServerLimits
from tests.agent.protocols.tc609.makers import hour

NAME = "示例算力中心"
LOGIN = {"username": "city", "password": "Passw0rd"}
OPENAPI = Path(__file__).parents[3] / "openapi" / "tc609-annex-b.openapi.yaml"
SCHEMA = schemathesis.openapi.from_path(str(OPENAPI))
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
OPERATIONS = [
    (method.upper(), path)
    for path, methods in SCHEMA.raw_schema["paths"].items()
    for method in methods
]
QUESTIONS = [each for each in OPERATIONS if each[1] != "/api/token"]


@pytest.fixture
def served() -> Iterator[SimpleNamespace]:
    clock = SystemClock()
    tokens = TokenStore(clock=clock)
    application = create_application(
        options=QueryOptions(names=CentreNames(centre_id=7, centre_name=NAME)),
        users=Users({"city": PasswordHash.of(Secret("Passw0rd"))}, clock=clock),
        tokens=tokens,
        latest_hour=hour,
        operational=lambda: CentreLoad(figures={"node_count": 1}),
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
            session=session,
            token=tokens.issue("city").token.reveal(),
        )
    server.stop(timeout_seconds=5)


def settings(examples: int) -> Any:
    return hypothesis.settings(
        max_examples=examples,
        deadline=5000,
        derandomize=True,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )


def code_of(case: schemathesis.Case, served: SimpleNamespace) -> int:
    """Return the code of an answer that is as described."""
    answer = case.call(
        base_url=served.url, session=served.session, headers={"token": served.token}, timeout=5
    )
    case.validate_response(answer, checks=CHECKS)
    return int(answer.json()["code"])


def test_every_operation_of_annex_b_is_described() -> None:
    assert {path for _, path in OPERATIONS} == {
        "/api/token",
        "/api/queryOperationalData",
        "/api/querySupervisionSystemData",
    }


@pytest.mark.slow
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_what_keeps_to_the_description_is_answered(
    served: SimpleNamespace, method: str, path: str
) -> None:
    positive = schemathesis.GenerationMode.POSITIVE

    @settings(20 if path == "/api/token" else 50)
    @hypothesis.given(
        case=SCHEMA[path][method].as_strategy(generation_mode=positive),
        named=st.sampled_from(
            [{"centerId": 7}, {"centerName": NAME}, {"centerId": 7, "centerName": NAME}]
        ),
    )
    def fuzz(case: schemathesis.Case, named: dict[str, Any]) -> None:
        others = {"centerId": None, "centerName": None}
        if path == "/api/token":
            case.body = {**case.body, **LOGIN}
        elif method == "GET":
            # What else is in the query stays.
            case.query = {**{n: v for n, v in case.query.items() if n not in others}, **named}
        else:
            case.body = {**{n: v for n, v in case.body.items() if n not in others}, **named}
        assert code_of(case, served) == 200

    fuzz()


@pytest.mark.slow
@pytest.mark.parametrize(("method", "path"), QUESTIONS)
def test_a_question_about_another_centre_is_never_answered(
    served: SimpleNamespace, method: str, path: str
) -> None:
    operation, modes = SCHEMA[path][method], schemathesis.GenerationMode

    @settings(50)
    @hypothesis.given(
        case=operation.as_strategy(generation_mode=modes.POSITIVE)
        | operation.as_strategy(generation_mode=modes.NEGATIVE)
    )
    def fuzz(case: schemathesis.Case) -> None:
        asked = case.query if method == "GET" else case.body
        if isinstance(asked, dict) and (asked.get("centerId") == 7 or NAME in asked.values()):
            return
        assert code_of(case, served) in (10003, 10004, 10005, 99999)

    fuzz()
