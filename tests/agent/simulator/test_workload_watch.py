"""The read-back of packages and services, and the authorisation server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from agent.simulator.run import Simulator
from tests.agent.simulator.fake_box import TIME, FakeBox, run_box

Run = Callable[..., Simulator]
CODE = "11010800005020000001"


@pytest.fixture
def box() -> Iterator[FakeBox]:
    with run_box() as box:
        yield box


@pytest.fixture
def platform(run_simulator: Run, registration: dict[str, Any], box: FakeBox) -> Simulator:
    simulator = run_simulator(poll_seconds=0.05)
    message = {**registration, "Port": box.port}
    requests.post(f"{simulator.url}/ACSMP/Register", json=message, timeout=5)
    return simulator


def wait_for(simulator: Simulator, text: str) -> dict[str, Any]:
    """Return the first event that says so."""
    last, deadline = 0, time.monotonic() + 10
    seen: list[str] = []
    while time.monotonic() < deadline:
        for event in simulator.events.after(last, limit=500, wait_seconds=1):
            last = event["id"]
            problems = [finding["problem"] for finding in event["findings"]]
            if text in event["text"] or any(text in problem for problem in problems):
                return dict(event)
            seen.append(event["text"])
    pytest.fail(f"nobody said {text!r}: {seen[-20:]}")


def package(status: int, progress: float, error: str = "") -> dict[str, Any]:
    return {
        "AlgoPackageName": "people",
        "AlgoPackageType": "image",
        "AlgoPackageVersion": "1.0.0",
        "AlgoFilePackageID": "7",
        "Status": status,
        "CreatedDate": TIME,
        "DownloadProgress": progress,
        "DownloadErrorMessage": error,
    }


def test_nothing_is_asked_of_a_device_that_nobody_gave_anything(
    platform: Simulator, box: FakeBox
) -> None:
    box.wait_for_requests(5)
    assert {path for _, path, _ in box.requests} == {"/ACSMP/Computility"}


def test_a_download_is_followed_to_its_end(platform: Simulator, box: FakeBox) -> None:
    box.packages["7"] = package(1, 0.25)
    platform.packages(CODE)
    event = wait_for(platform, f"package 7 on {CODE}: downloading 25%")
    assert event["details"]["progress"] == 0.25
    box.packages["7"] = package(1, 0.5)
    wait_for(platform, "downloading 50%")
    box.packages["7"] = package(3, 1.0)
    wait_for(platform, "7 on 11010800005020000001: downloaded")
    state = requests.get(f"{platform.control_url}/_control/state", timeout=5).json()
    assert state["nodes"][0]["workloads"]["packages"][0]["Status"] == 3
    box.packages.clear()
    wait_for(platform, f"package 7 on {CODE}: gone")


def test_progress_that_falls_is_a_finding(platform: Simulator, box: FakeBox) -> None:
    box.packages["7"] = package(1, 0.5)
    platform.packages(CODE)
    wait_for(platform, "downloading 50%")
    box.packages["7"] = package(1, 0.25)
    wait_for(platform, "fell from 0.5 to 0.25")


def test_a_failed_download_says_why(platform: Simulator, box: FakeBox) -> None:
    box.packages["7"] = package(2, 0.5, "404 Not Found")
    platform.packages(CODE)
    assert wait_for(platform, "FAILED, '404 Not Found'")["details"]["status"] == 2


def test_services_are_followed_over_all_pages(platform: Simulator, box: FakeBox) -> None:
    services = [box.load({"AlgoFilePackageID": "7"}) for _ in range(25)]
    platform.packages(CODE)
    for service_id in (services[0], services[24]):
        wait_for(platform, f"service {service_id} on {CODE}: RUNNING")
    box.services[services[24]]["Status"] = "ERROR"
    wait_for(platform, f"service {services[24]} on {CODE}: ERROR")
    del box.services[services[24]]
    wait_for(platform, f"service {services[24]} on {CODE}: gone")


def test_monitors_and_services_have_to_agree(platform: Simulator, box: FakeBox) -> None:
    service_id = box.load({"AlgoFilePackageID": "7"})
    platform.packages(CODE)
    wait_for(platform, f"service {service_id} on {CODE}: RUNNING")
    box.monitors = [{"AlgoServiceID": "stranger", "AlgoFilePackageID": "7"}]
    wait_for(platform, "is stranger, no service has that id")
    wait_for(platform, f"is missing for {service_id}, which runs")
    box.monitors = [{"AlgoServiceID": service_id, "AlgoFilePackageID": "8"}]
    wait_for(platform, "is not the one of the service")


def test_a_good_device_has_no_findings(platform: Simulator, box: FakeBox) -> None:
    box.packages["7"] = package(3, 1.0)
    box.load({"AlgoFilePackageID": "7"})
    platform.packages(CODE)
    wait_for(platform, ": RUNNING")
    box.services.clear()
    box.packages.clear()
    wait_for(platform, "package 7 on 11010800005020000001: gone")
    events = platform.events.after(0, limit=500, wait_seconds=0)
    assert [event["findings"] for event in events if event["findings"]] == []


def test_a_device_that_stops_answering_is_told_once(platform: Simulator, box: FakeBox) -> None:
    box.packages["7"] = package(3, 1.0)
    platform.packages(CODE)
    wait_for(platform, "downloaded")
    box.spoil = lambda path, answer: answer if "Comp" in path else {"Code": 5, "Message": "no"}
    event = wait_for(platform, "not read: list of packages was refused")
    assert event["accepted"] is False
    box.wait_for_requests(len(box.requests) + 6)
    events = platform.events.after(0, limit=500, wait_seconds=0)
    assert len([each for each in events if "not read" in each["text"]]) == 1


def test_a_package_whose_service_runs_is_not_imported_again(
    platform: Simulator, box: FakeBox
) -> None:
    service_id = box.load({"AlgoFilePackageID": "7"})
    platform.packages(CODE)
    wait_for(platform, f"service {service_id} on {CODE}: RUNNING")
    # The event is told just before it is kept: another round has to begin.
    box.wait_for_requests(len(box.requests) + 6)
    answer = requests.post(
        f"{platform.control_url}/ACSMP/AlgoFilePackages",
        data={"AlgoFilePackageID": "7"},
        files={"File": b"x"},
        timeout=5,
    )
    assert (answer.status_code, answer.json()["Code"]) == (409, 40902)


def test_the_authorisation_server_says_yes_and_notes_who_asked(run_simulator: Run) -> None:
    simulator = run_simulator(authorisation_listen=("127.0.0.1", 0))
    url = f"http://{simulator.authorisation_address}"
    answer = requests.post(f"{url}/any/path?a=1", data="serial=1", timeout=5)
    assert answer.json() == {"Code": 0, "Message": "success"}
    assert requests.get(url, timeout=5).json()["Code"] == 0
    event = wait_for(simulator, "authorisation asked")
    assert event["kind"] == "authorisation"
    assert event["details"] == {
        "peer": "127.0.0.1",
        "method": "POST",
        "path": "/any/path?a=1",
        "body": "serial=1",
    }
    assert requests.post(url, data=b"x" * 65537, timeout=5).status_code == 413
