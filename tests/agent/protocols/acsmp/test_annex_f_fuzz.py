"""Whatever comes on the paths of annex F is answered as its description says."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
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

from agent.errors import NotFoundError
from agent.model.clock import SystemClock
from agent.model.secret import Secret
from agent.model.workloads import DesiredService, Package, PackageState, Service, ServiceState
from agent.protocols.acsmp.device_api import create_application, waitress_error_body
from agent.protocols.acsmp.gate import Gate
from agent.protocols.acsmp.identity import PlatformToken
from agent.transport.server import HttpServer, ServerLimits

CODE = "11010800005020000001"
NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
OPENAPI = Path(__file__).parents[3] / "openapi" / "acsmp-annex-f.openapi.yaml"
# A package or service that is not there is no wrong data, so the paths with an id are left out of
# `positive_data_acceptance`.
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
OPERATIONS = [
    ("POST", "/ACSMP/AlgoFilePackages/Devices"),
    ("POST", "/ACSMP/AlgoFilePackages"),
    ("POST", "/ACSMP/AlgoFilePackages/Devices/Search"),
    ("GET", "/ACSMP/AlgoFilePackages/Devices/{ComputilityCode}/{AlgoFilePackageID}"),
    ("POST", "/ACSMP/AlgoFilePackages/Devices/{ComputilityCode}/{AlgoFilePackageID}"),
    ("DELETE", "/ACSMP/AlgoFilePackages/Devices/{ComputilityCode}/{AlgoFilePackageID}"),
    ("POST", "/ACSMP/AlgoServices/Devices"),
    ("POST", "/ACSMP/AlgoServices/Devices/UnInstall"),
    ("POST", "/ACSMP/AlgoServices/Devices/Search"),
    ("GET", "/ACSMP/AlgoServices/Devices/{ComputilityCode}/{AlgoServiceID}"),
    ("GET", "/ACSMP/AlgoServices/Devices/{ComputilityCode}/{AlgoServiceID}/Logs"),
]


class Packages:
    """Has one package that is coming, and takes every push."""

    kept = Package(
        package_id="a", state=PackageState.DOWNLOADING, created_at=NOW, progress_at=NOW,
        progress_ratio=0.5,
    )  # fmt: skip

    def push(self, push):
        pass

    def get(self, package_id):
        if package_id != "a":
            raise NotFoundError(f"there is no package {package_id}")
        return self.kept

    def delete(self, package_id):
        self.get(package_id)

    def list(self):
        return (self.kept,)


class Services:
    """Has one service that runs, and takes every order."""

    def load(self, load):
        return "b"

    def unload(self, *, package_id, service_id):
        pass

    def services(self):
        desired = DesiredService(
            service_id="b", package_id="a", generation="g", env=(), replicas=1, created_at=NOW
        )
        return (Service(desired=desired, state=ServiceState.RUNNING),)

    def logs(self, service_id, *, replica, tail_lines):
        return b"line\n"


@pytest.fixture
def served(view, identity) -> Iterator[SimpleNamespace]:
    gate = Gate(
        [identity(platform="city", computility_code=CODE)],
        tokens=lambda: (PlatformToken(platform="city", token=Secret("t-1")),),
        clock=SystemClock(),
    )
    application = create_application(
        view=lambda: view,
        gate=gate,
        address=lambda _: None,
        identify=lambda _: None,
        prefix="/ACSMP",
        packages=Packages(),
        services=Services(),
    )
    server = HttpServer(
        application,
        listen=("127.0.0.1", 0),
        limits=ServerLimits(max_body_bytes=65536),
        name="device-api",
        error_body=waitress_error_body,
    )
    server.start()
    with requests.Session() as session:
        yield SimpleNamespace(url=f"http://127.0.0.1:{server.port}", session=session)
    server.stop(timeout_seconds=5)


def test_every_operation_is_asked():
    described = schemathesis.openapi.from_path(str(OPENAPI)).raw_schema["paths"]
    assert {(method.upper(), path) for path in described for method in described[path]
            if method != "parameters"} == set(OPERATIONS)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_whatever_comes_on_annex_f_is_answered_as_described(served, method, path):
    operation = schemathesis.openapi.from_path(str(OPENAPI))[path][method]
    checks = CHECKS if "{" in path else [*CHECKS, positive_data_acceptance]
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
            headers={"Authorization": "Bearer t-1"},
            timeout=5,
        )
        case.validate_response(answer, checks=checks)

    fuzz()
