"""Each fault as a device meets it, over real connections."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import requests

from agent.simulator.faults import BadFault, parse_fault
from agent.simulator.run import Simulator

CODE = "11010800005020000001"


@pytest.fixture
def simulator(run_simulator: Callable[..., Simulator], registration: dict[str, Any]) -> Simulator:
    simulator = run_simulator()
    assert call(simulator, "Register", registration).status_code == 200
    return simulator


def call(
    simulator: Simulator, operation: str = "Keepalive", message: Any = None, **options: Any
) -> requests.Response:
    return requests.post(
        f"{simulator.url}/ACSMP/{operation}",
        json={"Code": CODE} if message is None else message,
        allow_redirects=False,
        **{"timeout": 10, **options},
    )


def keepalives(simulator: Simulator) -> int:
    return simulator.registry.nodes()[0].keepalives


def ask_for(simulator: Simulator, **fault: Any) -> dict[str, Any]:
    answer = requests.post(f"{simulator.control_url}/_control/faults", json=fault, timeout=10)
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


def test_refuse(simulator: Simulator) -> None:
    ask_for(simulator, kind="refuse", operation="Keepalive", count=1, status=401, code=7)
    answer = call(simulator)
    assert (answer.status_code, answer.json()["Code"]) == (401, 7)
    assert keepalives(simulator) == 0
    assert call(simulator).status_code == 200


def test_error(simulator: Simulator) -> None:
    ask_for(simulator, kind="error", count=1, status=503)
    answer = call(simulator)
    assert answer.status_code == 503
    assert not answer.headers["Content-Type"].startswith("application/json")


def test_garbage(simulator: Simulator) -> None:
    ask_for(simulator, kind="garbage", count=1)
    answer = call(simulator)
    assert answer.status_code == 200
    with pytest.raises(ValueError, match=r"."):
        json.loads(answer.content)


def test_huge(simulator: Simulator) -> None:
    ask_for(simulator, kind="huge", count=1, size_mib=3)
    with call(simulator, stream=True) as answer:
        assert sum(len(chunk) for chunk in answer.iter_content(65536)) > 3 * 2**20


def test_redirect_leads_to_itself(simulator: Simulator) -> None:
    ask_for(simulator, kind="redirect")
    answer = call(simulator)
    assert (answer.status_code, answer.headers["Location"]) == (307, "/ACSMP/Keepalive")
    with pytest.raises(requests.TooManyRedirects):
        requests.post(f"{simulator.url}/ACSMP/Keepalive", json={"Code": CODE}, timeout=10)


def test_drop_does_nothing_and_answers_nothing(simulator: Simulator) -> None:
    ask_for(simulator, kind="drop", count=1)
    with pytest.raises(requests.ConnectionError):
        call(simulator)
    assert keepalives(simulator) == 0
    assert call(simulator).status_code == 200


def test_a_lost_answer_was_served(simulator: Simulator) -> None:
    ask_for(simulator, kind="lose_answer", count=1)
    with pytest.raises(requests.ConnectionError):
        call(simulator)
    assert keepalives(simulator) == 1


def test_delay_is_late_and_right(simulator: Simulator) -> None:
    ask_for(simulator, kind="delay", delay_seconds=0.3)
    began = time.monotonic()
    assert call(simulator).status_code == 200
    assert time.monotonic() - began >= 0.3


def test_a_black_hole_never_answers_and_lifting_it_lets_go(simulator: Simulator) -> None:
    ask_for(simulator, kind="black_hole", operation="Keepalive")
    with pytest.raises(requests.ReadTimeout):
        call(simulator, timeout=0.3)
    ended = threading.Event()

    def wait() -> None:
        with pytest.raises(requests.ConnectionError):
            call(simulator)
        ended.set()

    thread = threading.Thread(target=wait)
    thread.start()
    wait_for(lambda: met(simulator) == 2)
    assert not ended.is_set()
    requests.delete(f"{simulator.control_url}/_control/faults", timeout=10)
    assert ended.wait(5)
    thread.join()
    assert call(simulator).status_code == 200


def test_black_holes_leave_room_for_everybody_else(simulator: Simulator) -> None:
    ask_for(simulator, kind="black_hole", operation="Keepalive")
    message = json.dumps({"Code": CODE}).encode()
    host, port = simulator.url.removeprefix("http://").split(":")
    held = []
    for _ in range(40):
        connection = socket.create_connection((host, int(port)), timeout=5)
        connection.sendall(
            b"POST /ACSMP/Keepalive HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(message), message)
        )
        held.append(connection)
    wait_for(lambda: met(simulator) == 40)
    page = {"PageRequest": {"PageNumber": 1, "PageSize": 1}}
    assert call(simulator, "Computility", page, timeout=5).status_code == 200
    for connection in held:
        connection.close()


def test_rotate_token(simulator: Simulator) -> None:
    ask_for(simulator, kind="rotate_token", every=2)
    assert "Data" not in call(simulator).json()
    token = call(simulator).json()["Data"]["Token"]
    assert simulator.registry.nodes()[0].token == token


def test_expire_token(simulator: Simulator) -> None:
    headers = {"Authorization": f"Bearer {simulator.registry.nodes()[0].token}"}
    ask_for(simulator, kind="expire_token")
    assert [call(simulator, headers=headers).status_code for _ in range(2)] == [401, 401]


def test_forget(simulator: Simulator, registration: dict[str, Any]) -> None:
    ask_for(simulator, kind="forget")
    assert call(simulator).status_code == 404
    assert call(simulator, "Register", registration).status_code == 200
    assert call(simulator).status_code == 200


def test_restart_closes_the_listener_and_opens_it_again(simulator: Simulator) -> None:
    session = requests.Session()
    session.get(f"{simulator.url}/ACSMP/Computility", timeout=10)
    ask_for(simulator, kind="restart", seconds=0.3)
    with pytest.raises(requests.ConnectionError):
        call(simulator)
    assert not state(simulator)["platform"]["listening"]
    with pytest.raises(BadFault, match="under way"):
        simulator.apply(parse_fault({"kind": "restart", "seconds": 1}))
    wait_for(lambda: state(simulator)["platform"]["listening"])
    assert call(simulator).status_code == 200
    session.close()


def test_a_restart_later_closes_the_listener_later(simulator: Simulator) -> None:
    ask_for(simulator, kind="restart", seconds=0.1, after_seconds=0.3)
    assert state(simulator)["platform"]["listening"]
    assert call(simulator).status_code == 200
    texts = ("platform closed its listener", "platform listens again")
    wait_for(lambda: [event["text"] for event in events(simulator)][-2:] == list(texts))
    assert call(simulator).status_code == 200


def test_faults_of_the_settings_are_in_force_from_the_start(
    run_simulator: Callable[..., Simulator], registration: dict[str, Any]
) -> None:
    simulator = run_simulator(faults=(parse_fault({"kind": "refuse", "operation": "Register"}),))
    assert call(simulator, "Register", registration).status_code == 403


def test_stopping_does_not_wait_for_who_is_held(
    run_simulator: Callable[..., Simulator],
) -> None:
    simulator = run_simulator(faults=(parse_fault({"kind": "black_hole"}),))
    host, port = simulator.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(
            b"POST /ACSMP/Keepalive HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
        )
        wait_for(lambda: met(simulator) == 1)
        began = time.monotonic()
        simulator.stop()
        assert time.monotonic() - began < 2


def met(simulator: Simulator) -> int:
    return sum(event["kind"] == "fault" for event in events(simulator))


def state(simulator: Simulator) -> dict[str, Any]:
    body: dict[str, Any] = requests.get(
        f"{simulator.control_url}/_control/state", timeout=10
    ).json()
    return body


def events(simulator: Simulator) -> list[dict[str, Any]]:
    return simulator.events.after(0, limit=500, wait_seconds=0)


def wait_for(condition: Callable[[], bool], *, seconds: float = 5.0) -> None:
    pause = threading.Event()
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        pause.wait(0.01)
