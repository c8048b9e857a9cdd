"""Fakes and values that the tests of ACSMP share; makers hold no state and live for the session."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agent.errors import TransientError
from agent.model.accelerator import Accelerator, AcceleratorKind, AcceleratorReading
from agent.model.readings import CpuReading, DiskReading, HostReading, MemoryReading
from agent.model.secret import Secret
from agent.model.view import AcceleratorView, AgentView
from agent.protocols.acsmp.identity import DeviceIdentity
from agent.protocols.acsmp.session import PlatformSession

GOLDEN = Path(__file__).parents[3] / "golden" / "acsmp"
CODE = "11010800005020000001"


class FakeClock:
    """Is a clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.monotonic_seconds = 1000.0
        self.wall = datetime(2026, 1, 1, tzinfo=timezone.utc)

    def monotonic(self) -> float:
        return self.monotonic_seconds

    def now(self) -> datetime:
        return self.wall

    def advance(self, seconds: float) -> None:
        self.monotonic_seconds += seconds
        self.wall += timedelta(seconds=seconds)


@dataclass(frozen=True)
class FakeAnswer:
    status: int = 200
    body: bytes = b""
    retry_after_seconds: float | None = None


@dataclass
class FakeClient:
    """Is a platform: `script` answers each request, or raises."""

    clock: FakeClock
    script: Callable[[str, dict[str, Any]], FakeAnswer]
    address: str = "192.0.2.7"
    knows_route: bool = True
    requests: list[SimpleNamespace] = field(default_factory=list)
    is_closed: bool = False

    def exchange(
        self,
        method: str,
        path: str,
        *,
        body: bytes,
        headers: Mapping[str, str],
        deadline_seconds: float,
    ) -> FakeAnswer:
        self.requests.append(
            SimpleNamespace(
                method=method,
                path=path,
                body=json.loads(body),
                headers=dict(headers),
                deadline_seconds=deadline_seconds,
                at_seconds=self.clock.monotonic(),
            )
        )
        return self.script(path, self.requests[-1].body)

    def local_address(self, *, deadline_seconds: float) -> str:
        return self.route_address()

    def route_address(self) -> str:
        if not self.knows_route:
            raise TransientError("no route")
        return self.address

    def close(self) -> None:
        self.is_closed = True

    @property
    def paths(self) -> list[str]:
        return [request.path.rpartition("/")[2] for request in self.requests]


def success(token: str | None = None) -> FakeAnswer:
    body: dict[str, Any] = {"Code": 0, "Message": "success"}
    if token is not None:
        body["Data"] = {"Token": token}
    return FakeAnswer(body=json.dumps(body).encode())


@pytest.fixture(scope="session")
def answers() -> SimpleNamespace:
    """Return makers of what a platform can answer."""

    def refusal(code: int = 7, *, status: int = 200, message: str = "no") -> FakeAnswer:
        return FakeAnswer(
            status=status, body=json.dumps({"Code": code, "Message": message}).encode()
        )

    return SimpleNamespace(success=success, refusal=refusal, raw=FakeAnswer)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def make_identity(**changes: Any) -> DeviceIdentity:
    given = {
        "platform": "city",
        "computility_code": CODE,
        "node_type": "AI_BOX",
        "address": "auto",
        "port": 8123,
        "username": "admin",
        "password": Secret("Passw0rd"),
    }
    return DeviceIdentity(**{**given, **changes})


@pytest.fixture(scope="session")
def identity() -> Callable[..., DeviceIdentity]:
    """Return a maker of identities."""
    return make_identity


@pytest.fixture(scope="session")
def make_client() -> type[FakeClient]:
    return FakeClient


@pytest.fixture(scope="session")
def make_clock() -> type[FakeClock]:
    return FakeClock


@pytest.fixture(scope="session")
def make_session() -> Callable[..., PlatformSession]:
    """Return a maker of sessions that were not started."""

    def make(client: FakeClient, *, keepalive_seconds: float = 30.0, **changes: Any) -> Any:
        uniform = changes.pop("uniform", lambda _low, high: high)
        return PlatformSession(
            identity=make_identity(**changes),
            url="http://platform.example",
            keepalive_seconds=keepalive_seconds,
            client=client,
            seal_password=lambda password: f"sealed:{password.reveal()}",
            clock=client.clock,
            uniform=uniform,
        )

    return make


@pytest.fixture(scope="session")
def next_turn() -> Callable[[PlatformSession, FakeClock], None]:
    """Return a function that moves the clock to what is due and does it."""

    def turn(session: PlatformSession, clock: FakeClock) -> None:
        clock.advance(max(session.status().next_action_in_seconds, 0.0))
        session.turn()

    return turn


@pytest.fixture(scope="session")
def golden() -> Callable[[str], Any]:
    """Return a function that reads a golden message."""
    return lambda name: json.loads((GOLDEN / f"{name}.json").read_text())


@pytest.fixture
def view() -> AgentView:
    """Return a view of a node of which one value is unknown in every part."""
    return AgentView(
        taken_at=datetime(2026, 1, 1, tzinfo=timezone.utc),
        taken_monotonic_seconds=0.0,
        host=HostReading(host_name="box-1", os_name="Linux", architecture="x86_64"),
        cpu=CpuReading(
            logical_cores=64, utilization_ratio=None, unknown={"utilization_ratio": "first"}
        ),
        memory=MemoryReading(total_bytes=128 << 30, used_bytes=48_640_000_000),
        disks=(
            DiskReading(mount_path="/", total_bytes=1 << 40, used_bytes=45 << 30),
            DiskReading(mount_path="/data", total_bytes=4 << 40, used_bytes=300 << 30),
        ),
        accelerators=(
            AcceleratorView(
                accelerator=Accelerator(
                    uuid="GPU-1",
                    vendor="nvidia",
                    kind=AcceleratorKind.GPU,
                    index=0,
                    product_name="Tesla T4",
                    memory_total_bytes=16 << 30,
                ),
                reading=AcceleratorReading(
                    uuid="GPU-1", memory_used_bytes=5 << 30, utilization_ratio=0.233444
                ),
            ),
            AcceleratorView(
                accelerator=Accelerator(
                    uuid="GPU-2",
                    vendor="nvidia",
                    kind=AcceleratorKind.GPU,
                    index=1,
                    product_name=None,
                    memory_total_bytes=None,
                ),
                reading=AcceleratorReading(uuid="GPU-2"),
            ),
        ),
    )
