"""Reading devices back: friendly ones, wrong ones and hostile ones."""

from __future__ import annotations

import base64
import copy
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
import requests

from agent.simulator.run import Simulator

CODE = "11010800005020000001"
OTHER_CODE = "11010800005020000002"
Run = Callable[..., Simulator]


def register(simulator: Simulator, registration: dict[str, Any], **changes: Any) -> None:
    message = {**registration, **changes}
    answer = requests.post(f"{simulator.url}/ACSMP/Register", json=message, timeout=5)
    assert answer.status_code == 200


def read_back(simulator: Simulator, *, code: str = CODE) -> dict[str, Any]:
    """Return the event of the first read-back of a node."""
    last, deadline = 0, time.monotonic() + 10
    while time.monotonic() < deadline:
        for event in simulator.events.after(last, limit=500, wait_seconds=1):
            last = event["id"]
            if event["kind"] == "read_back" and event["code"] == code:
                return event
    pytest.fail("the device was not read back in time")


def test_a_device_is_read_with_the_password_that_was_decrypted(
    run_simulator: Run,
    fake_device: Any,
    device_answer: dict[str, Any],
    registration: dict[str, Any],
) -> None:
    simulator = run_simulator(poll_seconds=60, device_prefix="/box")
    with fake_device(device_answer) as device:
        register(simulator, registration, Port=device.port)
        event = read_back(simulator)
        simulator.stop()
    assert event["accepted"] is True
    assert event["findings"] == []
    (request,) = device.requests
    assert request["path"] == "/box/Computility"
    assert base64.b64decode(request["authorization"].removeprefix("Basic ")) == (
        "admin:geheim-密码".encode()
    )
    assert request["body"] == {
        "ComputilityCode": CODE,
        "PageRequest": {"PageNumber": 1, "PageSize": 10},
    }


def test_what_was_read_is_listed_and_lost_nodes_are_offline(
    run_simulator: Run,
    fake_device: Any,
    device_answer: dict[str, Any],
    registration: dict[str, Any],
    clock: Any,
) -> None:
    simulator = run_simulator(poll_seconds=60, monotonic=clock)
    with fake_device(device_answer) as device:
        register(simulator, registration, Port=device.port)
        read_back(simulator)
    page = requests.get(f"{simulator.url}/ACSMP/Computility", timeout=5).json()["Data"]
    assert page["PageContent"] == device_answer["Data"]["PageContent"]
    clock.seconds += 100
    simulator.registry.sweep()
    page = requests.get(f"{simulator.url}/ACSMP/Computility", timeout=5).json()["Data"]
    assert page["PageContent"][0]["DeviceInfos"][0]["IsOnline"] is False


def changed(answer: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    changed_answer = copy.deepcopy(answer)
    place: Any = changed_answer
    *way, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    for step in way:
        place = place[step]
    place[last] = value
    return changed_answer


DEVICE = "Data.PageContent.0.DeviceInfos.0"


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("Code", 1, "with Code 1"),
        ("Code", "0", "table G.2 row 1"),
        ("Data", None, "table G.2 row 3"),
        ("Data.PageContent", {}, "table G.3 row 1"),
        ("Data.Total", "1", "table G.3 row 3"),
        ("Data.PageContent.0.ComputilityCode", "1", "table G.4 row 1"),
        (f"{DEVICE}.Cpu", "8", "table G example DeviceInfos row 6"),
        (f"{DEVICE}.CpuUtilization", 25.0, "table G example DeviceInfos row 8"),
        (f"{DEVICE}.Memory", 10**400, "table G example DeviceInfos row 9"),
        (f"{DEVICE}.Memory", -1, "table G example DeviceInfos row 9"),
        (f"{DEVICE}.XpuMonitors.0.XpuUtilization", None, "table G example XpuMonitors row 3"),
        (f"{DEVICE}.DiskDetails.0.Path", 1, "table G example DiskDetails row 1"),
    ],
)
def test_an_answer_that_breaks_a_table_is_refused_with_its_row(
    run_simulator: Run,
    fake_device: Any,
    device_answer: dict[str, Any],
    registration: dict[str, Any],
    path: str,
    value: Any,
    says: str,
) -> None:
    simulator = run_simulator(poll_seconds=60)
    with fake_device(changed(device_answer, path, value)) as device:
        register(simulator, registration, Port=device.port)
        event = read_back(simulator)
    assert event["accepted"] is False
    assert says in event["text"]
    assert simulator.registry.nodes()[0].read_back.content is None


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (f"{DEVICE}.Extra", 1, "is not a field"),
        (f"{DEVICE}.MemoryUsed", 17, "MemoryUsed: is more than Memory"),
        (f"{DEVICE}.XpuMonitors.0.XpuMemoryUsed", 17, "XpuMonitors.XpuMemoryUsed"),
        ("Data.PageContent.0.ComputilityCode", OTHER_CODE, "was asked for"),
        ("Data.PageContent.0.DeviceInfos", [], "holds no device"),
        ("Data.Total", 3, "1 entries came"),
    ],
)
def test_an_odd_answer_is_taken_with_a_finding(
    run_simulator: Run,
    fake_device: Any,
    device_answer: dict[str, Any],
    registration: dict[str, Any],
    path: str,
    value: Any,
    says: str,
) -> None:
    simulator = run_simulator(poll_seconds=60)
    with fake_device(changed(device_answer, path, value)) as device:
        register(simulator, registration, Port=device.port)
        event = read_back(simulator)
    assert event["accepted"] is True
    (finding,) = simulator.registry.nodes()[0].read_back.findings
    assert says in finding


def answer_with(status: int, body: bytes, *headers: tuple[str, str]) -> Any:
    def write(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers:
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return write


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    for _ in range(1000):
        handler.wfile.write(b" " * 65536)


def drip(handler: BaseHTTPRequestHandler) -> None:
    pause = threading.Event()
    handler.wfile.write(b"HTTP/1.0 200 OK\r\n")
    while True:
        handler.wfile.write(b"X: y\r\n")
        handler.wfile.flush()
        pause.wait(0.02)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (answer_with(200, b"\x00\xff not JSON"), "not UTF-8"),
        (answer_with(200, b"<html>"), "not JSON"),
        (answer_with(200, b"[]"), "must be an object"),
        (answer_with(200, b"[" * 50_000), "deep"),
        (answer_with(401, b"no"), "does not take the user and password"),
        (answer_with(307, b"", ("Location", "/ACSMP/Computility")), "HTTP 307"),
        (answer_with(200, b"{", ("Content-Length", "100")), "99 bytes before the end"),
        (lambda handler: handler.wfile.write(b"garbage\r\n\r\n"), "broke the exchange off"),
        (lambda handler: handler.connection.close(), "broke the exchange off"),
        (endless, "more than 100000 bytes"),
        (drip, "no answer within 0.5 s"),
    ],
    ids=[
        "binary",
        "html",
        "list",
        "deep",
        "unauthorized",
        "redirect",
        "cut",
        "no HTTP",
        "closed",
        "endless",
        "drip",
    ],
)
def test_a_hostile_device_is_a_failure_in_words(
    run_simulator: Run, fake_device: Any, registration: dict[str, Any], answer: Any, says: str
) -> None:
    timeout_seconds = 0.5 if answer is drip else 10
    simulator = run_simulator(
        poll_seconds=60, poll_timeout_seconds=timeout_seconds, poll_bytes_maximum=100_000
    )
    with fake_device(answer) as device:
        register(simulator, registration, Port=device.port)
        event = read_back(simulator)
    assert event["accepted"] is False
    assert says in event["text"]
    assert event["text"].isprintable()


def test_a_device_that_hangs_costs_only_itself(
    run_simulator: Run,
    fake_device: Any,
    device_answer: dict[str, Any],
    registration: dict[str, Any],
) -> None:
    simulator = run_simulator(poll_seconds=60, poll_timeout_seconds=5)
    began = time.monotonic()
    with fake_device(lambda handler: hanging.released.wait()) as hanging:
        register(simulator, registration, Port=hanging.port)
        with fake_device(device_answer) as sound:
            register(simulator, registration, Code=OTHER_CODE, Port=sound.port)
            assert read_back(simulator, code=OTHER_CODE)["accepted"] is True
            assert time.monotonic() - began < 4


def test_a_failure_keeps_the_last_good_answer_and_is_told_once(
    run_simulator: Run,
    fake_device: Any,
    device_answer: dict[str, Any],
    registration: dict[str, Any],
) -> None:
    simulator = run_simulator(poll_seconds=0.05)
    with fake_device(device_answer) as device:
        register(simulator, registration, Port=device.port)
        read_back(simulator)
        device.answer = answer_with(500, b"broken")
        asked = len(device.requests)
        pause, deadline = threading.Event(), time.monotonic() + 5
        while len(device.requests) < asked + 5:
            assert time.monotonic() < deadline
            pause.wait(0.02)
    told = [
        event["accepted"]
        for event in simulator.events.after(0, limit=500, wait_seconds=0)
        if event["kind"] == "read_back" and "Connection refused" not in event["text"]
    ]
    assert told == [True, False]
    node = simulator.registry.nodes()[0]
    assert node.read_back.failure is not None
    assert node.read_back.content == device_answer["Data"]["PageContent"]
