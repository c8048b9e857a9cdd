"""The platform behind TLS, and devices behind TLS."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import certifi
import pytest
import requests

from agent.simulator.run import Simulator


@pytest.mark.peer
def test_the_platform_speaks_tls(
    run_simulator: Callable[..., Simulator], registration: dict[str, Any], certificate: Path
) -> None:
    simulator = run_simulator(certificate=certificate)
    assert simulator.url.startswith("https://")
    url = f"{simulator.url}/ACSMP/Register"
    answer = requests.post(url, json=registration, verify=str(certificate), timeout=5)
    assert answer.status_code == 200


@pytest.mark.peer
@pytest.mark.parametrize("checked", ["own CA", "no CA", "other CA"])
def test_devices_are_called_over_tls(
    run_simulator: Callable[..., Simulator],
    registration: dict[str, Any],
    device_answer: dict[str, Any],
    certificate: Path,
    checked: str,
) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(device_answer).encode())

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    ca_file = {"own CA": certificate, "no CA": None, "other CA": Path(certifi.where())}[checked]
    simulator = run_simulator(poll_seconds=60, device_https=True, device_ca_file=ca_file)
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        message = {**registration, "Port": server.server_address[1]}
        requests.post(f"{simulator.url}/ACSMP/Register", json=message, timeout=5)
        last, found = 0, None
        while found is None:
            events = simulator.events.after(last, limit=500, wait_seconds=5)
            assert events, "the device was not read back in time"
            last = events[-1]["id"]
            found = next((event for event in events if event["kind"] == "read_back"), None)
        server.shutdown()
        thread.join()
    assert found["accepted"] == (checked != "other CA")
    if checked == "other CA":
        assert "certificate" in found["text"].lower()
