"""The control endpoint: state, events with waiting, and what it refuses."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import requests

from agent.simulator.events import Event, EventKind
from agent.simulator.run import Simulator


@pytest.fixture
def simulator(run_simulator: Callable[..., Simulator], registration: dict[str, Any]) -> Simulator:
    simulator = run_simulator(lost_after_seconds=0.2)
    requests.post(f"{simulator.url}/ACSMP/Register", json=registration, timeout=5)
    return simulator


def get(simulator: Simulator, path: str, **parameters: Any) -> Any:
    answer = requests.get(f"{simulator.control_url}/_control/{path}", params=parameters, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_state_shows_what_a_tester_wants_to_know(simulator: Simulator) -> None:
    state = get(simulator, "state")
    assert state["platform"]["url"] == simulator.url
    assert state["platform"]["public_key"].startswith("-----BEGIN PUBLIC KEY-----")
    (node,) = state["nodes"]
    assert node["password"] == "geheim-密码"
    assert node["password_layout"] == "C1C3C2, 04, hex"
    assert node["read_back"]["content"] is None


def test_a_silent_node_is_lost_without_being_asked(simulator: Simulator) -> None:
    last = 0
    for _ in range(10):
        answer = get(simulator, "events", after=last, wait=5)
        last = answer["last"]
        if any(event["kind"] == "lost" for event in answer["events"]):
            break
    else:
        pytest.fail("the node was never lost")
    assert get(simulator, "state")["nodes"][0]["lost"] is True


def test_events_are_read_on_from_the_last_one(run_simulator: Callable[..., Simulator]) -> None:
    simulator = run_simulator()
    first = get(simulator, "events")
    assert [event["kind"] for event in first["events"]] == ["state"]
    assert get(simulator, "events", after=first["last"]) == {"events": [], "last": first["last"]}


def test_who_waits_is_told_at_once(run_simulator: Callable[..., Simulator]) -> None:
    simulator = run_simulator()
    last = get(simulator, "events")["last"]
    answers: list[Any] = []

    def wait() -> None:
        answers.append(get(simulator, "events", after=last, wait=20))

    thread = threading.Thread(target=wait)
    began = time.monotonic()
    thread.start()
    simulator.events.add(Event(kind=EventKind.CONTROL, text="now"))
    thread.join(10)
    assert time.monotonic() - began < 10
    assert [event["text"] for event in answers[0]["events"]] == ["now"]


def test_who_waits_leaves_room_for_calls_that_act(run_simulator: Callable[..., Simulator]) -> None:
    simulator = run_simulator()
    last = get(simulator, "events")["last"]
    waiting = [
        threading.Thread(target=get, args=(simulator, "events"), kwargs={"after": last, "wait": 20})
        for _ in range(20)
    ]
    for thread in waiting:
        thread.start()
    assert get(simulator, "state")["nodes"] == []
    simulator.events.add(Event(kind=EventKind.CONTROL, text="go home"))
    for thread in waiting:
        thread.join(10)
        assert not thread.is_alive()


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"kind": "explode"}', b'{"kind": "error", "count": -1}']
)
def test_a_bad_fault_is_refused_in_words(simulator: Simulator, body: bytes) -> None:
    answer = requests.post(f"{simulator.control_url}/_control/faults", data=body, timeout=5)
    assert answer.status_code == 400
    assert len(answer.json()["description"]) > 10


@pytest.mark.parametrize(
    "query", ["after=x", "after=-1", "limit=0", "limit=501", "wait=x", "wait=-1", "wait=nan"]
)
def test_a_bad_query_is_refused(simulator: Simulator, query: str) -> None:
    url = f"{simulator.control_url}/_control/events?{query}"
    assert requests.get(url, timeout=5).status_code == 400


def test_the_platform_does_not_serve_the_control_endpoint(simulator: Simulator) -> None:
    assert requests.get(f"{simulator.url}/_control/state", timeout=5).status_code == 404


def test_faults_in_force_are_shown_and_lifted_by_number(simulator: Simulator) -> None:
    url = f"{simulator.control_url}/_control/faults"
    for kind in ("error", "garbage"):
        requests.post(url, json={"kind": kind, "seconds": 60}, timeout=5)
    first, second = requests.get(url, timeout=5).json()["faults"]
    assert (first["kind"], second["kind"]) == ("error", "garbage")
    assert 0 < first["seconds_left"] <= 60
    assert requests.delete(f"{url}?id={first['id']}", timeout=5).json() == {"lifted": 1}
    assert [each["kind"] for each in get(simulator, "state")["faults"]] == ["garbage"]
