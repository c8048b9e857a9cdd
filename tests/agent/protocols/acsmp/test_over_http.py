"""The device API and a session over real connections, on loopback."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

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
from agent.model.secret import Secret
from agent.protocols.acsmp.device_api import create_application, waitress_error_body
from agent.protocols.acsmp.gate import Gate
from agent.protocols.acsmp.identity import PlatformToken
from agent.protocols.acsmp.session import PlatformSession
from agent.transport.client import HttpClient
from agent.transport.server import HttpServer, ServerLimits

CODE = "11010800005020000001"
PATH = "/ACSMP/Computility"
TOKEN = {"Authorization": "Bearer t-1"}
OPENAPI = Path(__file__).parents[3] / "openapi" / "acsmp-clause7.openapi.yaml"
# Not negative_data_rejection: the device API is forgiving by design (docs/conformance.md).
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    positive_data_acceptance,
]


@pytest.fixture
def device(view, identity) -> Iterator[SimpleNamespace]:
    """Yield the device API as it is served."""
    application = create_application(
        view=lambda: view,
        gate=Gate(
            [identity(platform="city", computility_code=CODE)],
            tokens=lambda: (PlatformToken(platform="city", token=Secret("t-1")),),
            clock=SystemClock(),
        ),
        address=lambda _identity: "192.0.2.7",
        identify=lambda _: "NVIDIA-T4",
        prefix="/ACSMP",
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
        yield SimpleNamespace(
            url=f"http://127.0.0.1:{server.port}", port=server.port, session=session
        )
    server.stop(timeout_seconds=5)


def exchange(port: int, request: bytes) -> tuple[int, dict[str, Any]]:
    """Send bytes as they are; return the status and the JSON of the answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


def test_a_platform_reads_this_node(device):
    answer = device.session.post(
        device.url + PATH, json={"PageRequest": {"PageNumber": "1"}}, auth=("admin", "Passw0rd")
    )

    assert answer.status_code == 200
    assert answer.json()["Data"]["PageContent"][0]["DeviceInfos"][0]["Cpu"] == 64


def test_a_chunked_body_is_read(device):
    answer = device.session.post(
        device.url + PATH, data=iter([b'{"PageNumber":', b"2}"]), headers=TOKEN
    )

    assert answer.json()["Data"]["PageContent"] == []


def test_a_get_with_a_body_is_read_like_a_post(device):
    answer = device.session.get(device.url + PATH, json={"PageNumber": 2}, headers=TOKEN)

    assert answer.json()["Data"]["PageContent"] == []


def test_a_body_that_is_too_long_gets_the_envelope(device):
    answer = device.session.post(device.url + PATH, data=b" " * 70_000, headers=TOKEN)

    assert answer.status_code == 413
    assert answer.json()["Code"] == 413
    assert answer.json()["Message"]


def test_what_is_no_http_gets_the_envelope(device):
    status, envelope = exchange(device.port, b"GARBAGE\r\n\r\n")

    assert status == envelope["Code"] == 400


@pytest.mark.slow
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_whatever_comes_is_answered_as_described(device, method):
    schema = schemathesis.openapi.from_path(str(OPENAPI))
    operation = schema[PATH][method]
    modes = schemathesis.GenerationMode

    @hypothesis.settings(
        max_examples=150,
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
        answer = case.call(base_url=device.url, session=device.session, headers=TOKEN, timeout=5)
        case.validate_response(answer, checks=CHECKS)

    fuzz()


@pytest.fixture
def platform() -> Iterator[SimpleNamespace]:
    """Yield a platform over HTTP that notes what it is asked, and tells when."""
    asked: list[tuple[str, str | None, dict[str, Any]]] = []
    changed = threading.Condition()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with changed:
                asked.append((self.path, self.headers["Authorization"], body))
                changed.notify_all()
            answer = b'{"Code":0,"Message":"success","Data":{"Token":"t-1"}}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
            """Write nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()

    def wait_for(count: int) -> None:
        with changed:
            assert changed.wait_for(lambda: len(asked) >= count, timeout=20)

    yield SimpleNamespace(
        url=f"http://127.0.0.1:{server.server_port}", asked=asked, wait_for=wait_for
    )
    server.shutdown()
    server.server_close()
    thread.join(5)


@pytest.fixture
def start(identity, platform) -> Iterator[Callable[..., PlatformSession]]:
    """Yield a starter of sessions with the real client and clock; stops them at the end."""
    sessions = []

    def make(**changes: Any) -> PlatformSession:
        client = HttpClient(base_url=changes.pop("url", platform.url), user_agent="test")
        session = PlatformSession(
            identity=identity(**changes),
            url=platform.url,
            keepalive_seconds=1.0,
            client=client,
            seal_password=lambda password: password.reveal(),
            clock=SystemClock(),
        )
        sessions.append((session, client))
        session.start()
        return session

    yield make
    for session, client in sessions:
        assert session.stop(timeout_seconds=10)
        client.close()


def test_a_session_registers_and_keeps_alive_over_http(start, platform):
    session = start()
    platform.wait_for(2)

    assert [path for path, _, _ in platform.asked[:2]] == ["/ACSMP/Register", "/ACSMP/Keepalive"]
    # The address that routes to loopback is loopback.
    assert platform.asked[0][2]["IP"] == "127.0.0.1"
    assert platform.asked[1][1] == "Bearer t-1"
    assert session.is_alive()


def test_a_platform_that_swallows_everything_costs_another_one_nothing(start, platform):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        start(platform="silent", url=f"http://127.0.0.1:{silent.getsockname()[1]}")
        start()

        platform.wait_for(3)
