"""Fuzzes the platform against the description of annex A.

Two ways: what keeps to the description is taken, and whatever else comes is refused in its words.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import hypothesis
import jsonschema_rs
import pytest
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from agent.simulator.run import Simulator
from tests.agent.simulator.monitoring.conftest import CENTRE, PROJECT, Caller

OPENAPI = Path(__file__).parents[3] / "openapi" / "tc609-annex-a.openapi.yaml"
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
Body = dict[str, Any]


def login(_: Body) -> Body:
    return {"username": "city", "password": "p&w=字"}


def same(body: Body) -> Body:
    return body


def with_id(body: Body) -> Body:
    return {**body, "id": 1}


def on_earth(body: Body) -> Body:
    """Return a centre with what no schema can say put right."""
    day = body.get("productionDate")
    return {
        **body,
        "projectId": "1" if body["projectId"] else "",
        **{name: round(body[name], 6) for name in ("longitude", "latitude")},
        **({} if day is None or is_day(day) else {"productionDate": "2024/10/29"}),
    }


def of_the_centre(body: Body) -> Body:
    named = {"centerName": CENTRE["name"]} if "centerName" in body else {}
    return {**body, "centerId": 1, **named}


MENDED: dict[tuple[str, str], Callable[[Body], Body]] = {
    ("POST", "/api/token"): login,
    ("POST", "/api/project"): same,
    ("PUT", "/api/project"): with_id,
    ("POST", "/api/computePowerCenter"): on_earth,
    ("PUT", "/api/computePowerCenter"): lambda body: with_id(on_earth(body)),
    ("POST", "/api/monthReport"): of_the_centre,
}


def is_day(text: str) -> bool:
    try:
        date(*map(int, text.split("/")))
    except ValueError:
        return False
    return True


def is_right(body: Body, operation: tuple[str, str]) -> bool:
    """Tell whether a body that keeps to its schema says what is there, too."""
    decimals = (
        -Decimal(repr(body[name])).normalize().as_tuple().exponent
        for name in ("longitude", "latitude")
        if name in body and "Center" in operation[1]
    )
    is_placed = all(count <= 6 for count in decimals)
    is_dated = "Center" not in operation[1] or is_day(body.get("productionDate", "2024/1/1"))
    return is_placed and is_dated and body == MENDED[operation](body)


@pytest.fixture
def served(platform: Callable[..., Simulator], caller_of: Callable[..., Caller]) -> Caller:
    most = 100_000
    caller = caller_of(platform(projects_maximum=most, centres_maximum=most, months_maximum=most))
    caller.post("project", PROJECT)
    caller.post("computePowerCenter", CENTRE)
    return caller


def settings(examples: int) -> Any:
    return hypothesis.settings(
        max_examples=examples,
        deadline=5000,
        derandomize=True,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )


def send(case: schemathesis.Case, served: Caller) -> Any:
    answer = case.call(
        base_url=served.simulator.url,
        session=served.session,
        headers={"Authorization": f"Bearer {served.token}"},
        timeout=5,
    )
    case.validate_response(answer, checks=CHECKS)
    return answer.json()


def test_every_operation_of_annex_a_is_described() -> None:
    assert len(OPERATIONS) == 9


@pytest.mark.slow
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_what_keeps_to_the_description_is_taken(served: Caller, method: str, path: str) -> None:
    @settings(40)
    @hypothesis.given(
        case=SCHEMA[path][method].as_strategy(generation_mode=schemathesis.GenerationMode.POSITIVE)
    )
    def fuzz(case: schemathesis.Case) -> None:
        if method != "GET":
            case.body = MENDED[method, path](case.body)
        answer = send(case, served)
        assert answer["code"] == 200, (case.body, answer)

    fuzz()


@pytest.mark.slow
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_whatever_comes_is_answered_as_described(served: Caller, method: str, path: str) -> None:
    operation = SCHEMA[path][method]
    validator = None
    if method != "GET":
        body = SCHEMA.raw_schema["paths"][path][method.lower()]["requestBody"]
        schema = body["content"]["application/json"]["schema"]
        components = {"components": SCHEMA.raw_schema["components"]}
        validator = jsonschema_rs.Draft202012Validator({**schema, **components})

    @settings(40)
    @hypothesis.given(
        case=operation.as_strategy(generation_mode=schemathesis.GenerationMode.POSITIVE)
        | operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE)
    )
    def fuzz(case: schemathesis.Case) -> None:
        answer = send(case, served)
        if validator is None:
            return
        is_object = isinstance(case.body, dict)
        is_valid = is_object and validator.is_valid(case.body)
        is_taken = is_valid and is_right(case.body, (method, path))
        hypothesis.event(f"valid {is_valid}, taken {is_taken}")
        assert (answer["code"] == 200) == is_taken, (case.body, answer)

    fuzz()
