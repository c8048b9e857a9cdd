"""What devices fetch: whole, in ranges, spoilt; over real sockets."""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from agent.simulator.faults import parse_fault
from agent.simulator.run import Simulator

Run = Callable[..., Simulator]
CONTENT = os.urandom(300_000)
MD5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
PACKAGE = "1101150192508600000120231012203630000102"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    path = tmp_path / "algo.tar"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def platform(run_simulator: Run, package: Path) -> Simulator:
    simulator = run_simulator()
    assert simulator.add_package(package, package_id=PACKAGE) == PACKAGE
    return simulator


def url(simulator: Simulator) -> str:
    return f"{simulator.url}/packages/{PACKAGE}"


def fetch(simulator: Simulator, **headers: str) -> requests.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return requests.get(url(simulator), headers=named, timeout=10, allow_redirects=False)


def raw(simulator: Simulator, *, headers: str = "", method: str = "GET") -> tuple[str, bytes]:
    """Return head and body of an answer, however it ended."""
    host, _, port = simulator.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(
            f"{method} /packages/{PACKAGE} HTTP/1.1\r\nHost: {host}\r\n"
            f"Connection: close\r\n{headers}\r\n".encode()
        )
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
    head, _, body = received.partition(b"\r\n\r\n")
    return head.decode("latin-1"), body


def apply(simulator: Simulator, **description: Any) -> None:
    simulator.apply(parse_fault({"count": 1, **description}))


def test_the_file_comes_whole_with_what_a_client_needs_to_resume(platform: Simulator) -> None:
    answer = fetch(platform)
    assert (answer.status_code, answer.content) == (200, CONTENT)
    assert answer.headers["Content-Length"] == str(len(CONTENT))
    assert answer.headers["ETag"] == f'"{MD5}"'
    assert answer.headers["Accept-Ranges"] == "bytes"
    (event,) = (
        e for e in platform.events.after(0, limit=500, wait_seconds=0) if "length" in str(e)
    )
    assert (event["kind"], event["details"]["size_bytes"]) == ("download", len(CONTENT))


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=1000-", 1000, len(CONTENT)),
        ("bytes=70000-200000", 70_000, 200_001),
        ("bytes=-7", len(CONTENT) - 7, len(CONTENT)),
        ("bytes=5-99999999", 5, len(CONTENT)),
    ],
)
def test_a_range_is_that_part_and_says_which(
    platform: Simulator, asked: str, start: int, end: int
) -> None:
    head, body = raw(platform, headers=f"Range: {asked}\r\n")
    assert head.startswith("HTTP/1.1 206 ")
    assert f"Content-Range: bytes {start}-{end - 1}/{len(CONTENT)}" in head
    assert body == CONTENT[start:end]


def test_a_range_behind_the_end_is_416_with_the_size(platform: Simulator) -> None:
    answer = fetch(platform, Range=f"bytes={len(CONTENT)}-")
    assert answer.status_code == 416
    assert answer.headers["Content-Range"] == f"bytes */{len(CONTENT)}"


def test_a_range_of_another_file_is_the_whole_of_this_one(platform: Simulator) -> None:
    assert fetch(platform, Range="bytes=5-", If_Range='"other"').content == CONTENT
    same = fetch(platform, Range="bytes=5-", If_Range=f'"{MD5}"')
    assert (same.status_code, same.content) == (206, CONTENT[5:])
    dated = fetch(platform, Range="bytes=5-", If_Range=same.headers["Last-Modified"])
    assert dated.status_code == 206


def test_head_says_the_same_without_the_file(platform: Simulator) -> None:
    head, body = raw(platform, method="HEAD")
    assert head.startswith("HTTP/1.1 200 ")
    assert f"Content-Length: {len(CONTENT)}" in head
    assert body == b""


def test_an_empty_file_is_an_empty_answer(platform: Simulator, tmp_path: Path) -> None:
    (tmp_path / "empty.tar").touch()
    platform.add_package(tmp_path / "empty.tar", package_id="empty")
    answer = requests.get(f"{platform.url}/packages/empty", timeout=10)
    assert (answer.status_code, answer.content) == (200, b"")


def test_an_unknown_package_and_a_vanished_file_are_404(platform: Simulator, package: Path) -> None:
    assert requests.get(f"{platform.url}/packages/none", timeout=10).json()["Code"] == 40402
    package.unlink()
    assert fetch(platform).status_code == 404


def test_only_registered_nodes_fetch_where_a_token_is_required(
    run_simulator: Run, package: Path, registration: dict[str, Any]
) -> None:
    simulator = run_simulator(require_token=True)
    simulator.add_package(package, package_id=PACKAGE)
    licence = simulator.add_licence(b"licence")
    assert fetch(simulator).status_code == 401
    assert fetch(simulator, Token="wrong").status_code == 401
    assert requests.get(licence, timeout=10).json()["Code"] == 40101
    register = f"{simulator.url}/ACSMP/Register"
    token = requests.post(register, json=registration, timeout=10).json()["Data"]["Token"]
    assert fetch(simulator, Token="wrong").status_code == 401
    assert fetch(simulator, Authorization=f"Bearer {token}").content == CONTENT
    assert requests.get(licence, headers={"Token": token}, timeout=10).content == b"licence"


def test_break_off_sends_so_many_bytes_and_closes(platform: Simulator) -> None:
    apply(platform, kind="break_off", bytes=100_001)
    head, body = raw(platform)
    assert f"Content-Length: {len(CONTENT)}" in head
    assert body == CONTENT[:100_001]
    apply(platform, kind="break_off", bytes=10)
    assert raw(platform, headers="Range: bytes=100001-\r\n")[1] == CONTENT[100_001:100_011]
    assert raw(platform, headers="Range: bytes=100011-\r\n")[1] == CONTENT[100_011:]


def test_drip_sends_all_in_the_end(platform: Simulator) -> None:
    apply(platform, kind="drip", bytes=3_000_000)
    assert fetch(platform).content == CONTENT


def test_a_drip_ends_with_the_simulator(platform: Simulator) -> None:
    apply(platform, kind="drip", bytes=100)
    with requests.get(url(platform), stream=True, timeout=10) as answer:
        assert next(answer.iter_content(10)) == CONTENT[:10]
        platform.stop()


def test_corrupt_changes_one_kib_at_a_place(platform: Simulator) -> None:
    apply(platform, kind="corrupt", bytes=65_000)
    body = fetch(platform).content
    assert (body[:65_000], body[66_024:]) == (CONTENT[:65_000], CONTENT[66_024:])
    assert all(
        left != right for left, right in zip(body[65_000:66_024], CONTENT[65_000:], strict=False)
    )


def test_no_range_sends_the_whole(platform: Simulator) -> None:
    apply(platform, kind="no_range")
    answer = fetch(platform, Range="bytes=5-")
    assert (answer.status_code, answer.content) == (200, CONTENT)
    assert "Accept-Ranges" not in answer.headers


def test_change_etag_ends_a_resumption(platform: Simulator) -> None:
    apply(platform, kind="change_etag")
    answer = fetch(platform, Range="bytes=5-", If_Range=f'"{MD5}"')
    assert (answer.status_code, answer.content) == (200, CONTENT)
    assert answer.headers["ETag"] != f'"{MD5}"'


def test_false_length_is_too_long_or_too_short(platform: Simulator) -> None:
    apply(platform, kind="false_length", bytes=400_000)
    head, body = raw(platform)
    assert "Content-Length: 400000" in head
    assert body == CONTENT
    apply(platform, kind="false_length", bytes=1000)
    assert fetch(platform).content == CONTENT[:1000]


def test_error_brings_retry_after(platform: Simulator) -> None:
    apply(platform, kind="error", operation="Package", status=503, retry_after_seconds=7)
    answer = fetch(platform)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "7")
    assert fetch(platform).status_code == 200


def test_redirections_lead_to_itself_elsewhere_and_to_plain_http(platform: Simulator) -> None:
    apply(platform, kind="redirect", operation="Package")
    assert fetch(platform).headers["Location"] == f"/packages/{PACKAGE}"
    apply(platform, kind="redirect", operation="Package", to="http")
    assert fetch(platform).headers["Location"] == url(platform)
    platform.apply(parse_fault({"kind": "redirect", "operation": "Package", "to": "elsewhere"}))
    answer = requests.get(url(platform), timeout=10)
    assert answer.url == f"{platform.url}/moved/packages/{PACKAGE}"
    assert answer.content == CONTENT


def test_a_download_holds_no_worker(platform: Simulator, tmp_path: Path) -> None:
    large = tmp_path / "large.tar"
    with large.open("wb") as file:
        file.truncate(64 * 1024 * 1024)
    platform.add_package(large, package_id="large")
    many = [
        requests.get(f"{platform.url}/packages/large", stream=True, timeout=10) for _ in range(20)
    ]
    # There are fewer workers than that, and nobody has taken his file.
    assert fetch(platform).content == CONTENT
    for answer in many:
        answer.close()


def test_a_file_that_becomes_shorter_ends_its_download_alone(
    platform: Simulator, tmp_path: Path
) -> None:
    large = tmp_path / "large.tar"
    with large.open("wb") as file:
        file.truncate(64 * 1024 * 1024)
    platform.add_package(large, package_id="large")
    with requests.get(f"{platform.url}/packages/large", stream=True, timeout=10) as answer:
        os.truncate(large, 10)
        # Its end, and no time-out.
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            for _ in answer.iter_content(1024 * 1024):
                pass
    assert fetch(platform).content == CONTENT
