"""Fuzzes the simulator against the description of its operations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import requests
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    positive_data_acceptance,
    response_schema_conformance,
    status_code_conformance,
)

from agent.simulator.run import Simulator

OPENAPI = Path(__file__).parents[2] / "openapi" / "acsmp-clause7.openapi.yaml"
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
    positive_data_acceptance,
]
OPERATIONS = [
    ("POST", "/ACSMP/Register"),
    ("POST", "/ACSMP/Keepalive"),
    ("POST", "/ACSMP/UnRegister"),
    ("POST", "/ACSMP/Computility"),
    ("GET", "/ACSMP/Computility"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_whatever_comes_is_answered_as_described(
    run_simulator: Callable[..., Simulator], registration: dict[str, Any], method: str, path: str
) -> None:
    simulator = run_simulator(allow_plain_password=True)
    answer = requests.post(f"{simulator.url}/ACSMP/Register", json=registration, timeout=5)
    assert answer.status_code == 200
    schema = schemathesis.openapi.from_path(str(OPENAPI))
    session = requests.Session()

    @hypothesis.settings(
        max_examples=150,
        deadline=5000,
        derandomize=True,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(
        case=schema[path][method].as_strategy(generation_mode=schemathesis.GenerationMode.POSITIVE)
        | schema[path][method].as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE)
    )
    def fuzz(case: schemathesis.Case) -> None:
        answer = case.call(base_url=simulator.url, session=session, timeout=5)
        case.validate_response(answer, checks=CHECKS)

    fuzz()
    session.close()
