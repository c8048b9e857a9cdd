"""The device API as platforms find it, with real listeners."""

from __future__ import annotations

import os
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from agent.app.doctor import device_api
from agent.app.doctor.check import State
from agent.config.settings import DeviceApiSettings, NodeSettings, Settings
from agent.config.tls_settings import ServerTlsSettings
from agent.model.secret import Secret
from agent.security import tls


class _Healthy(BaseHTTPRequestHandler):
    body = b"alive\n"

    def do_GET(self):
        assert self.path == "/healthz"
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_):
        pass


class _Other(_Healthy):
    body = b"hello\n"


@pytest.fixture
def serve():
    """Return a function that serves a device API, or something else, and returns its port."""
    running = []

    def start(handler=_Healthy, context=None):
        server = HTTPServer(("127.0.0.1", 0), handler)
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        running.append((server, thread))
        return server.server_port

    yield start
    for server, thread in running:
        server.shutdown()
        thread.join()
        server.server_close()


def settings(listen, **changes):
    return Settings(
        node=NodeSettings(
            code="1" * 20, type="AI_BOX", address=changes.pop("address", "127.0.0.1")
        ),
        device_api=DeviceApiSettings(listen=listen, password=Secret("x"), **changes),
    )


def examine(listen, *, status=None, **changes):
    return device_api.check(settings(listen, **changes), status=status).look()


def running(port, **changes):
    return {"device_api": f"0.0.0.0:{port}", "pid": os.getpid(), **changes}


def test_a_device_api_that_answers_is_good(serve):
    port = serve()
    found = examine(f"0.0.0.0:{port}", status=running(port), advertise_port=443)
    assert found.state is State.OK
    assert found.found.startswith(f"answers on 127.0.0.1:{port}; whether port 443 leads here")


def test_what_answers_otherwise_is_no_device_api(serve):
    port = serve(_Other)
    found = examine(f"0.0.0.0:{port}", status=running(port))
    assert (found.state, "is no device API" in found.found) == (State.FAILED, True)


def test_a_port_of_another_process_is_told(serve):
    port = serve()
    found = examine(f"0.0.0.0:{port}", status=running(port, pid=1))
    assert found.state is State.FAILED
    assert f"(process {os.getpid()}), not to the agent" in found.found


def test_a_port_that_is_taken_while_no_agent_runs_is_told(serve):
    port = serve()
    found = examine(f"0.0.0.0:{port}")
    assert found.state is State.FAILED
    assert f"port {port} is taken by " in found.found
    assert str(os.getpid()) in found.found


def test_a_free_port_is_no_failure():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    assert examine(f"0.0.0.0:{port}").state is State.SKIPPED
    assert examine("0.0.0.0:0").state is State.SKIPPED


def test_an_address_that_nobody_reaches_is_told():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    found = examine(f"0.0.0.0:{port}", status=running(port))
    assert found.state is State.FAILED
    assert "refused the connection" in found.found


def test_listening_where_no_platform_comes_is_a_warning(serve):
    port = serve()
    found = examine(
        f"127.0.0.1:{port}",
        status=running(port, device_api=f"127.0.0.1:{port}"),
        address="192.0.2.7",
    )
    assert found.state is State.WARNING
    assert "it listens on 127.0.0.1 alone, and platforms are told 192.0.2.7" in found.found


def test_an_agent_that_runs_with_an_older_file_is_told():
    found = examine("0.0.0.0:8123", status={"device_api": None, "pid": 1})
    assert (found.state, "reload" in found.advice) == (State.FAILED, True)


def test_its_own_certificate_is_believed_whatever_its_name(serve, certificates):
    files = ServerTlsSettings(
        certificate=certificates.wrong_name, private_key=certificates.wrong_name
    )
    port = serve(context=tls.server_context(files.certificate, private_key=files.private_key))
    assert examine(f"0.0.0.0:{port}", status=running(port), tls=files).state is State.OK


def test_its_own_certificate_that_has_expired_is_told(serve, certificates):
    files = ServerTlsSettings(certificate=certificates.expired, private_key=certificates.expired)
    port = serve(context=tls.server_context(files.certificate, private_key=files.private_key))
    found = examine(f"0.0.0.0:{port}", status=running(port), tls=files)
    assert (found.state, "expired" in found.found) == (State.FAILED, True)


def test_another_certificate_than_the_configured_one_is_told(serve, certificates):
    files = ServerTlsSettings(certificate=certificates.server, private_key=certificates.server)
    port = serve(context=tls.server_context(certificates.client, private_key=certificates.client))
    found = examine(f"0.0.0.0:{port}", status=running(port), tls=files)
    assert found.state is State.FAILED


def test_a_node_without_a_device_api_is_skipped():
    bare = Settings(node=NodeSettings(code="1" * 20, type="AI_BOX"))
    assert device_api.check(bare, status=None).look().state is State.SKIPPED
