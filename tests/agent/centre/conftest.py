"""A clock that a test sets, meters that say what a test wants, and a ledger in a folder."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from agent.centre.ledger import Ledger
from agent.errors import AgentError
from agent.model.metering import MeterReading

START = datetime(2026, 3, 1, tzinfo=timezone.utc)
KWH = 3_600_000


class SetClock:
    """Is a clock of which a test moves both hands."""

    def __init__(self, now: datetime = START) -> None:
        self._now = now
        self._monotonic = 1000.0
        self._lock = threading.Lock()

    def monotonic(self) -> float:
        with self._lock:
            return self._monotonic

    def now(self) -> datetime:
        with self._lock:
            return self._now

    def pass_time(self, seconds: float) -> None:
        """Let time go by."""
        with self._lock:
            self._monotonic += seconds
            self._now += timedelta(seconds=seconds)

    def set(self, now: datetime) -> None:
        """Set the wall clock, as an operator does."""
        with self._lock:
            self._now = now


@dataclass
class FakeMeter:
    """Says what a test wants: a reading, an error, or nothing for ever."""

    says: Callable[[], MeterReading] | AgentError | Exception | None = None
    asked: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    hang: threading.Event | None = None
    is_closed: bool = False
    times: int = 0

    def probe(self) -> None:
        """Is always here."""

    def read(self) -> MeterReading:
        self.times += 1
        self.asked.release()
        if self.hang is not None:
            self.hang.wait(30)
        if isinstance(self.says, Exception):
            raise self.says
        assert self.says is not None
        return self.says()

    def close(self) -> None:
        self.is_closed = True


def at(seconds: float, *, kwh: float | None = None, **values: object) -> MeterReading:
    """Return a reading so many seconds after START."""
    energy = None if kwh is None else round(kwh * KWH)
    return MeterReading(
        taken_at=START + timedelta(seconds=seconds),
        energy_joules=energy,
        **values,  # type: ignore[arg-type]
    )


def wait_until(condition: Callable[[], bool], *, seconds: float = 30.0) -> None:
    """Wait until something holds, and fail where it never does."""
    import time

    ends = time.monotonic() + seconds
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < ends, "it never came true"
        pause.wait(0.005)


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(tmp_path)
    yield opened
    opened.close()
