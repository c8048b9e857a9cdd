"""What the tests of the monitoring platform share: a user of it, and messages without fault."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import requests

from agent.simulator.monitoring.settings import MonitoringSettings
from agent.simulator.run import Simulator

USERS = {"city": "p&w=字", "other": "x"}
PROJECT: dict[str, Any] = {
    "projectName": "示例项目一期",
    "computePowerInvestment": {"projectStatus": "已投产"},
    "province": "440000",
    "clusterId": "4",
    "hubId": "13",
}
CENTRE: dict[str, Any] = {
    "name": "示例算力中心",
    "description": "一期 1200 架",
    "projectId": "1",
    "clusterId": "4",
    "longitude": 113.59723,
    "latitude": 24.8,
    "province": "440000",
    "city": "440200",
    "type": 3,
    "productionDate": "2024/1/9",
    "hubId": "13",
}
MONTH: dict[str, Any] = {
    "centerId": 1,
    "centerName": "示例算力中心",
    "reportMonth": "2024-10",
    "computePowerSupply": {"totalRacks": 1200},
    "computePowerApplication": {"userCount": 3},
    "computeElectricitySynergy": {"electricityConsume": 1.5},
    "computeNetworkSecurity": {"domesticRate": 0.5},
}
CENTRE_CHANGE = {name: CENTRE[name] for name in CENTRE if name not in ("province", "city")}


class WallClock:
    """Is a clock of the agent that stands still until it is moved."""

    def __init__(self) -> None:
        self.at = datetime.now(timezone.utc)
        self.seconds = 1000.0

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.seconds

    def advance(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)
        self.seconds += seconds


class Caller:
    """Is a user of the platform, with a token."""

    def __init__(self, simulator: Simulator, *, username: str = "city") -> None:
        self.simulator = simulator
        self.session = requests.Session()
        self.login = {"username": username, "password": USERS[username]}
        self.token = ""

    def log_in(self) -> dict[str, Any]:
        answer = self.call("POST", "token", json=self.login)
        self.token = answer.get("token", "")
        return answer

    def call(self, method: str, path: str, **how: Any) -> Any:
        answer = self.raw(method, path, **how)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def raw(self, method: str, path: str, **how: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        headers |= how.pop("headers", {})
        url = f"{self.simulator.url}/api/{path}"
        return self.session.request(method, url, headers=headers, timeout=10, **how)

    def post(self, path: str, message: Any) -> Any:
        return self.call("POST", path, json=message)

    def put(self, path: str, message: Any) -> Any:
        return self.call("PUT", path, json=message)

    def get(self, path: str, **query: Any) -> Any:
        return self.call("GET", path, params=query)

    def fill(self) -> None:
        """Make a project, a centre and a month."""
        for path, message in (
            ("project", PROJECT),
            ("computePowerCenter", CENTRE),
            ("monthReport", MONTH),
        ):
            assert self.post(path, message)["code"] == 200


@pytest.fixture
def wall() -> WallClock:
    return WallClock()


@pytest.fixture
def platform(run_simulator: Callable[..., Simulator]) -> Callable[..., Simulator]:
    """Return a function that starts a simulator; settings of the monitoring platform by keyword."""

    def run(*, monotonic: Any = None, strict_extra: bool = False, **monitoring: Any) -> Simulator:
        more: dict[str, Any] = {} if monotonic is None else {"monotonic": monotonic}
        for name in ("state_file", "device_ca_file"):
            if name in monitoring:
                more[name] = monitoring.pop(name)
        settings = MonitoringSettings(**{"users": USERS, **monitoring})
        return run_simulator(monitoring=settings, strict_extra=strict_extra, **more)

    return run


@pytest.fixture
def caller_of() -> Iterator[Callable[..., Caller]]:
    """Return a function that logs a user in."""
    made: list[Caller] = []

    def make(simulator: Simulator, *, username: str = "city") -> Caller:
        caller = Caller(simulator, username=username)
        made.append(caller)
        caller.log_in()
        return caller

    yield make
    for caller in made:
        caller.session.close()


@pytest.fixture
def caller(platform: Callable[..., Simulator], caller_of: Callable[..., Caller]) -> Caller:
    """Return a user of a platform without special settings."""
    return caller_of(platform())


def control(simulator: Simulator, path: str = "", *, method: str = "GET", **how: Any) -> Any:
    """Return what the control endpoint answers below its monitoring path."""
    url = f"{simulator.control_url}/_control/monitoring{path}"
    answer = requests.request(method, url, timeout=10, **how)
    assert answer.ok, answer.text
    return answer.json()


def events_of(simulator: Simulator, operation: str) -> list[dict[str, Any]]:
    """Return the events of an operation, oldest first."""
    events = simulator.events.after(0, limit=500, wait_seconds=0)
    return [each for each in events if each["operation"] == operation]
