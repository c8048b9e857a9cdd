"""Packages sent as large forms to the device API as it is served."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
from types import SimpleNamespace

import pytest
import requests

from agent.model.clock import SystemClock
from agent.model.secret import Secret
from agent.protocols.acsmp.device_api import (
    create_application,
    upload_paths,
    waitress_error_body,
)
from agent.protocols.acsmp.gate import Gate, UploadAdmission
from agent.protocols.acsmp.identity import PlatformToken
from agent.transport.server import HttpServer, ServerLimits
from agent.transport.uploads import UploadFolder, Uploads

MIB = 1024 * 1024
PATH = "/ACSMP/AlgoFilePackages/Devices"
FIELDS = {"AlgoFilePackageID": "a", "MD5": "0" * 32}
LARGE = bytes(range(256)) * 4 * 1024 * 8
BASIC = "Basic " + base64.b64encode(b"admin:Passw0rd").decode()


class Taking:
    """Takes packages, and notes length and digest of each."""

    def __init__(self):
        self.taken = []

    def receive(self, package_id, *, file, digests):
        check, length = hashlib.md5(usedforsecurity=False), 0
        while piece := file.read(65536):
            check.update(piece)
            length += len(piece)
        self.taken.append((package_id, length, check.hexdigest(), digests.md5))


@pytest.fixture
def device(view, identity, tmp_path):
    tokens = [PlatformToken(platform="city", token=Secret("t-1"))]
    gate = Gate([identity(platform="city")], tokens=lambda: tuple(tokens), clock=SystemClock())
    packages = Taking()
    folder = UploadFolder(tmp_path / "uploads", minimum_free_bytes=0)
    admission = UploadAdmission(
        gate, paths=upload_paths("/ACSMP"), package_maximum_bytes=len(LARGE) + 1
    )
    server = HttpServer(
        create_application(
            view=lambda: view,
            gate=gate,
            address=lambda _: None,
            identify=lambda _: None,
            prefix="/ACSMP",
            packages=packages,
        ),
        listen=("127.0.0.1", 0),
        limits=ServerLimits(max_body_bytes=65536),
        name="device-api",
        error_body=waitress_error_body,
        uploads=Uploads(admit=admission.admit, folder=folder),
    )
    server.start()
    yield SimpleNamespace(
        url=f"http://127.0.0.1:{server.port}",
        port=server.port,
        taken=packages.taken,
        folder=folder,
        tokens=tokens,
    )
    server.stop(timeout_seconds=5)


def post(device, *, headers, content=LARGE, path=PATH, data=FIELDS):
    return requests.post(
        device.url + path,
        headers=headers,
        data=data,
        files={"File": ("p.tar", content)},
        timeout=20,
    )


@pytest.mark.parametrize("path", [PATH, "/ACSMP/AlgoFilePackages", PATH + "/"])
@pytest.mark.parametrize(
    "headers", [{"Authorization": BASIC}, {"Authorization": "Bearer t-1"}, {"Token": "t-1"}]
)
def test_a_large_form_of_a_known_caller_is_taken(device, headers, path):
    answer = post(device, headers=headers, path=path)
    assert (answer.status_code, answer.json()["Code"]) == (200, 0)
    digest = hashlib.md5(LARGE, usedforsecurity=False).hexdigest()
    assert device.taken == [("a", len(LARGE), digest, "0" * 32)]


def head(length, *, authorization, path=PATH, content_type="multipart/form-data; boundary=B"):
    return (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n{authorization}"
        f"Content-Type: {content_type}\r\nExpect: 100-continue\r\n\r\n"
    ).encode()


def first_answer(device, request):
    with socket.create_connection(("127.0.0.1", device.port), timeout=20) as connection:
        connection.sendall(request)
        stream = connection.makefile("rb")
        lines = [line.decode("latin-1") for line in iter(stream.readline, b"\r\n")]
        length = next((int(x.split(":")[1]) for x in lines if x.startswith("Content-Length:")), 0)
        return "".join(lines), stream.read(length)


@pytest.mark.parametrize(
    "authorization", ["", "Authorization: Basic eDp5\r\n", "Authorization: Bearer t-2\r\n"]
)
def test_a_stranger_is_refused_at_the_headers_and_told_how_to_log_in(device, authorization):
    top, body = first_answer(device, head(10 * MIB, authorization=authorization))
    assert " 401 " in top
    assert "www-authenticate: basic" in top.lower()
    assert json.loads(body)["Code"] == 401
    assert device.folder.open_count == 0


def test_a_guesser_is_slowed_down_at_large_forms_too(device):
    wrong = head(10 * MIB, authorization="Authorization: Basic eDp5\r\n")
    tops = [first_answer(device, wrong)[0] for _ in range(12)]
    assert " 401 " in tops[0]
    assert " 429 " in tops[-1]
    assert "Retry-After: " in tops[-1]


@pytest.mark.parametrize(
    "change",
    [
        {"path": "/ACSMP/Computility"},
        {"path": "/ACSMP/AlgoServices/Devices"},
        {"content_type": "application/json"},
    ],
)
def test_nothing_but_a_package_in_a_form_may_be_large(device, change):
    top, body = first_answer(
        device, head(8 * MIB, authorization=f"Authorization: {BASIC}\r\n", **change)
    )
    assert " 413 " in top
    assert json.loads(body)["Code"] == 413


def test_a_package_over_the_limit_is_refused_before_it_comes(device):
    top, _ = first_answer(device, head(100 * MIB, authorization=f"Authorization: {BASIC}\r\n"))
    assert " 413 " in top


def test_a_known_caller_is_told_to_go_on(device):
    top, _ = first_answer(device, head(8 * MIB, authorization=f"Authorization: {BASIC}\r\n"))
    assert " 100 " in top


def test_an_upload_may_outlast_the_token_with_which_it_began(device):
    body, length = b"--B\r\n", len(LARGE)
    body += b'Content-Disposition: form-data; name="AlgoFilePackageID"\r\n\r\na\r\n--B\r\n'
    body += b'Content-Disposition: form-data; name="File"; filename="p"\r\n\r\n'
    body += LARGE + b"\r\n--B--\r\n"
    with socket.create_connection(("127.0.0.1", device.port), timeout=20) as connection:
        connection.sendall(head(len(body), authorization="Authorization: Bearer t-1\r\n"))
        assert b" 100 " in connection.recv(65536)
        device.tokens.clear()
        connection.sendall(body)
        assert b" 200 " in connection.recv(65536)
    assert device.taken[0][:2] == ("a", length)
    assert post(device, headers={"Authorization": "Bearer t-1"}).status_code == 401


def test_a_large_form_in_chunks_is_taken_and_a_small_one_needs_no_place(device):
    class Pieces:
        def __iter__(self):
            request = requests.Request(
                "POST", device.url + PATH, data=FIELDS, files={"File": ("p", LARGE)}
            ).prepare()
            self.content_type = request.headers["Content-Type"]
            return iter(
                [request.body[at : at + 100000] for at in range(0, len(request.body), 100000)]
            )

    pieces = list(source := Pieces())
    answer = requests.post(
        device.url + PATH,
        headers={"Authorization": BASIC, "Content-Type": source.content_type},
        data=iter(pieces),
        timeout=20,
    )
    assert answer.status_code == 200, answer.text
    assert device.taken[0][1] == len(LARGE)
    assert post(device, headers={"Authorization": BASIC}, content=b"small").status_code == 200
