"""Time that stands still while meters are read, and then jumps to the next moment that matters.

A clock that merely runs faster would turn the milliseconds of a question into seconds, and every
figure would be off by what flows in them. Here a day passes as fast as its questions are answered,
and each reading is of the very moment that it bears.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any, ClassVar

from agent.config.meter_settings import MeterSettings
from agent.contracts import HasTraits, Meter
from agent.model.clock import Clock
from agent.model.metering import MeterReading, RegisterTraits

# A waiting thread looks so often whether it was asked to stop.
_LOOK_SECONDS = 0.1


class SteppedClock:
    """Is a clock that `advance` moves; threads that `pause` by it sleep until it has come so far.

    `advance`, `next_due` and `wait_until_idle` are for the one thread that moves time.
    """

    def __init__(self, start_at: datetime) -> None:
        self._start_at = start_at.astimezone(timezone.utc)
        self._seconds = 0.0
        self._sleeping: dict[object, float] = {}
        self._changed = threading.Condition()
        self._is_over = False

    def monotonic(self) -> float:
        """Return seconds since the start; never goes back."""
        with self._changed:
            return self._seconds

    def now(self) -> datetime:
        """Return the time, in UTC."""
        with self._changed:
            return self._start_at + timedelta(seconds=self._seconds)

    def pause(self, stopping: threading.Event, seconds: float) -> bool:
        """Wait until an event is set, or time has moved on so far; tell whether it is set."""
        sleeper = object()
        with self._changed:
            due = self._seconds + seconds
            self._sleeping[sleeper] = due
            self._changed.notify_all()
            try:
                while self._seconds < due and not self._is_over and not stopping.is_set():
                    self._changed.wait(_LOOK_SECONDS)
            finally:
                del self._sleeping[sleeper]
        # Nobody moves time any more: what is left to wait for is the end.
        return stopping.wait(seconds) if self._is_over else stopping.is_set()

    def wait_until_idle(self, sleepers: int, *, timeout_seconds: float) -> bool:
        """Wait until so many threads sleep beyond now; tell whether they do."""
        with self._changed:
            return self._changed.wait_for(
                lambda: sum(due > self._seconds for due in self._sleeping.values()) >= sleepers,
                timeout_seconds,
            )

    def next_due(self) -> datetime | None:
        """Return the time at which the first of those who sleep beyond now is due."""
        with self._changed:
            dues = [due for due in self._sleeping.values() if due > self._seconds]
            return self._start_at + timedelta(seconds=min(dues)) if dues else None

    def advance(self, moment: datetime) -> None:
        """Let it be another time; one that is past changes nothing."""
        with self._changed:
            self._seconds = max(self._seconds, (moment - self._start_at).total_seconds())
            self._changed.notify_all()

    def end(self) -> None:
        """Wake everybody: time moves no more."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()


class StampedMeters:
    """Opens meters whose readings bear the time of a clock in place of this machine's."""

    def __init__(self, open_meter: Callable[[MeterSettings], Meter], *, clock: Clock) -> None:
        self._open_meter = open_meter
        self._clock = clock

    def open(self, settings: MeterSettings) -> Meter:
        """Return a meter, of which nothing has been asked yet; errors as those of its kind."""
        return _StampedMeter(self._open_meter(settings), clock=self._clock)


class _StampedMeter:
    """Is a meter with another clock; its deadlines are still those of this machine."""

    name: ClassVar[str] = "stamped"
    config_type: ClassVar[type[Any]] = object

    def __init__(self, meter: Meter, *, clock: Clock) -> None:
        self._meter = meter
        self._clock = clock

    def probe(self) -> None:
        self._meter.probe()

    def read(self) -> MeterReading:
        return dataclasses.replace(self._meter.read(), taken_at=self._clock.now())

    def traits(self) -> RegisterTraits:
        return self._meter.traits() if isinstance(self._meter, HasTraits) else RegisterTraits()

    def close(self) -> None:
        self._meter.close()


class Pace:
    """Holds up whoever is too fast for a person: at most one turn each `seconds`."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._next = time.monotonic()
        self._never = threading.Event()

    def wait(self) -> None:
        """Wait until the next turn is due."""
        self._next = max(self._next + self._seconds, time.monotonic())
        self._never.wait(max(0.0, self._next - time.monotonic()))
