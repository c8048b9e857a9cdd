"""Silence, loss, return, and what survives a restart."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from agent.errors import PermanentError
from agent.simulator.events import EventLog
from agent.simulator.refusal import Refusal
from agent.simulator.registry import Clocks, Registration, Registry
from agent.simulator.store import Node, ReadBack, Store

CODE = "11010800005020000001"
REGISTRATION = Registration(
    code=CODE,
    type="AI_BOX",
    address="127.0.0.1",
    port=8123,
    username="admin",
    password="secret",
    password_layout="C1C3C2, 04, hex",
    support_algo_service=True,
)


class Platform:
    """Is a register over one file, as it stands after a start."""

    def __init__(self, path: Path | None, clock: Callable[[], float], **settings: Any) -> None:
        self.store = Store(path, history_limit=settings.pop("history_limit", 1000))
        now = lambda: datetime(2026, 1, 1, tzinfo=timezone.utc)  # noqa: E731
        self.events = EventLog(self.store, now=now)
        self.registry = Registry(
            self.store,
            self.events,
            clocks=Clocks(monotonic=clock, now=now),
            lost_after_seconds=90,
            nodes_maximum=10,
            require_token=False,
            **settings,
        )

    @property
    def node(self) -> Node:
        (node,) = self.registry.nodes()
        return node

    def kinds(self) -> list[str]:
        return [event["kind"] for event in self.events.after(0, limit=500, wait_seconds=0)]


@pytest.fixture
def platform(clock: Any) -> Iterator[Platform]:
    platform = Platform(None, clock)
    platform.registry.register(REGISTRATION)
    yield platform
    platform.store.close()


def test_a_node_is_lost_after_its_time_and_not_before(platform: Platform, clock: Any) -> None:
    clock.seconds += 90
    assert platform.registry.sweep() == 0
    assert not platform.node.is_lost
    clock.seconds += 0.1
    platform.registry.sweep()
    assert platform.node.is_lost
    platform.registry.sweep()
    assert platform.kinds() == ["lost"]


def test_a_keepalive_starts_the_time_anew(platform: Platform, clock: Any) -> None:
    for _ in range(5):
        clock.seconds += 80
        kept = platform.registry.keepalive(CODE, token=None, rotate=False)
        assert kept.gap_seconds == 80
        assert platform.registry.sweep() == 90
    assert not platform.node.is_lost
    assert platform.node.worst_gap_seconds == 80


@pytest.mark.parametrize("contact", ["keepalive", "register"])
def test_a_lost_node_comes_back_with_its_next_contact(
    platform: Platform, clock: Any, contact: str
) -> None:
    clock.seconds += 100
    platform.registry.sweep()
    if contact == "keepalive":
        platform.registry.keepalive(CODE, token=None, rotate=False)
    else:
        platform.registry.register(REGISTRATION)
    assert not platform.node.is_lost
    assert platform.kinds() == ["lost", "back"]
    assert platform.node.worst_gap_seconds == 100


def test_a_refused_keepalive_keeps_nobody_alive(platform: Platform, clock: Any) -> None:
    clock.seconds += 60
    with pytest.raises(Refusal):
        platform.registry.keepalive(CODE, token="wrong", rotate=False)
    clock.seconds += 40
    platform.registry.sweep()
    assert platform.node.is_lost


def test_a_read_device_is_not_alive_for_that(platform: Platform, clock: Any) -> None:
    clock.seconds += 100
    platform.registry.note_read_back(platform.node, ReadBack(attempts=1, successes=1))
    platform.registry.sweep()
    assert platform.node.is_lost


def test_a_rotated_token_replaces_the_old_one(platform: Platform) -> None:
    old = platform.node.token
    new = platform.registry.keepalive(CODE, token=old, rotate=True).new_token
    assert new is not None
    with pytest.raises(Refusal):
        platform.registry.keepalive(CODE, token=old, rotate=False)
    platform.registry.keepalive(CODE, token=new, rotate=False)


def test_a_reading_of_a_former_registration_is_dropped(platform: Platform) -> None:
    former = platform.node
    platform.registry.forget(CODE)
    platform.registry.note_read_back(former, ReadBack(attempts=1))
    assert platform.registry.nodes() == []


def test_everything_survives_a_restart(tmp_path: Path, clock: Any) -> None:
    path = tmp_path / "state.db"
    first = Platform(path, clock)
    first.registry.register(REGISTRATION)
    first.registry.keepalive(CODE, token=None, rotate=True)
    reading = ReadBack(content=[{"DeviceInfos": [{"Cpu": 8}]}], attempts=2, findings=("odd",))
    first.registry.note_read_back(first.node, reading)
    before = first.node
    # Not closed: so it is after SIGKILL.
    clock.seconds = 5.0
    second = Platform(path, clock)
    assert second.node == before
    second.registry.keepalive(CODE, token=before.token, rotate=False)
    assert second.registry.nodes()[0].keepalives == 2
    first.store.close()
    second.store.close()


def test_what_the_file_knew_gets_the_whole_time_again(tmp_path: Path, clock: Any) -> None:
    path = tmp_path / "state.db"
    first = Platform(path, clock)
    first.registry.register(REGISTRATION)
    first.store.close()
    clock.seconds += 1000
    second = Platform(path, clock)
    assert second.registry.sweep() == 90
    assert not second.node.is_lost
    second.store.close()


def test_the_history_is_bounded_and_its_numbers_never_repeat(tmp_path: Path, clock: Any) -> None:
    store = Store(tmp_path / "state.db", history_limit=50)
    identifiers = [store.append_event({"text": str(number)}) for number in range(500)]
    assert identifiers == list(range(1, 501))
    kept = store.events(after=0, limit=10_000)
    assert 50 <= len(kept) <= 150
    assert kept[-1] == {"id": 500, "text": "499"}
    store.close()


def test_the_state_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    Store(path, history_limit=10).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE precious (a)")
    connection.close()
    for other in (path, tmp_path, tmp_path / "missing" / "state.db"):
        with pytest.raises(PermanentError, match="cannot be used as the state file"):
            Store(other, history_limit=10)
    text = tmp_path / "text.db"
    text.write_text("this is not a database, it is a text" * 100)
    with pytest.raises(PermanentError):
        Store(text, history_limit=10)
    assert text.read_text().startswith("this is not")
