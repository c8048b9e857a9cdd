"""A vendor's plugin that can be told to misbehave, and a clock that stands still."""

from __future__ import annotations

import importlib
import os
import select
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import ModuleType

import pytest

from agent.config.kinds import RawSection
from agent.model.clock import SystemClock
from agent.sampling.accelerator_host import AcceleratorHost, AcceleratorSnapshot
from agent.sampling.plugins import PluginPlan

FAKE_WHEEL = Path(__file__).parent / "fake_wheel"
PATIENCE_SECONDS = 30.0


class StillClock:
    """Goes on only when it is told to."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=self.seconds)


@dataclass
class FakeCards:
    """Is the folder that tells the fake plugin what to do, and where it notes what it did."""

    folder: Path

    def tell(self, mode: str = "normal", *, cards: int = 2) -> None:
        (self.folder / "cards").write_text(str(cards))
        (self.folder / "mode").write_text(mode)

    def noted(self, name: str) -> str:
        return (self.folder / name).read_text()

    @property
    def environment(self) -> dict[str, str]:
        return {"FAKE_CARDS_FOLDER": str(self.folder)}


@dataclass
class AskedHost:
    """Is a host whose passes are waited for."""

    host: AcceleratorHost
    done: threading.Event = field(default_factory=threading.Event)

    def ask(self) -> AcceleratorSnapshot:
        self.done.clear()
        self.host.request()
        assert self.done.wait(PATIENCE_SECONDS), "the host hangs"
        return self.host.snapshot()


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def fake_wheel() -> Path:
    return FAKE_WHEEL


@pytest.fixture
def cards(tmp_path: Path) -> FakeCards:
    cards = FakeCards(tmp_path)
    cards.tell()
    return cards


@pytest.fixture
def open_host(cards: FakeCards, clock: StillClock) -> Iterator[Callable[..., AskedHost]]:
    """Return a function that starts a host of the fake plugin."""
    opened: list[AcceleratorHost] = []

    def start(
        *,
        values: dict[str, str] | None = None,
        enabled: bool | str = "auto",
        read_seconds: float = 10.0,
        probe_seconds: float = 10.0,
        target: str = "fake_cards:FakePlugin",
        hardware: Callable[[], int] = lambda: 0,
    ) -> AskedHost:
        done = threading.Event()
        host = AcceleratorHost(
            PluginPlan(
                group="accelerators",
                name="fake",
                target=target,
                enabled=enabled,
                options=RawSection(
                    values=values or {},
                    file="config.yaml",
                    key="accelerators.fake",
                    places={name: (7 + line, 5) for line, name in enumerate(values or {})},
                ),
            ),
            clock=clock,
            on_done=done.set,
            import_paths=[str(FAKE_WHEEL)],
            environment=cards.environment,
            read_seconds=read_seconds,
            probe_seconds=probe_seconds,
            hardware=hardware,
        )
        opened.append(host)
        host.start()
        return AskedHost(host, done)

    yield start
    for host in opened:
        host.stop(timeout_seconds=10.0)


@pytest.fixture
def wait_for_end() -> Callable[[int], bool]:
    """Return a function that waits for a process to end, whoever its parent is."""

    def wait(pid: int) -> bool:
        try:
            fd = os.pidfd_open(pid)
        except ProcessLookupError:
            return True
        try:
            poll = select.poll()
            poll.register(fd, select.POLLIN)
            return bool(poll.poll(PATIENCE_SECONDS * 1000))
        finally:
            os.close(fd)

    return wait


@pytest.fixture
def system_clock() -> SystemClock:
    return SystemClock()


@pytest.fixture
def fake_collectors(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Return the module of collectors that misbehave, fresh, and let its threads go at the end."""
    monkeypatch.syspath_prepend(str(FAKE_WHEEL))
    monkeypatch.delitem(sys.modules, "fake_collectors", raising=False)
    module = importlib.import_module("fake_collectors")
    yield module
    module.released.set()


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], None]:
    """Return a function that waits until something is so."""

    def wait(is_so: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE_SECONDS
        while not is_so():
            assert time.monotonic() < end, "it never came to be"
            threading.Event().wait(0.01)

    return wait
