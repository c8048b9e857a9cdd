"""Time that is moved by hand, and those who sleep by it."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta, timezone

from agent.app.demo.clock import StampedMeters, SteppedClock
from agent.config.meter_settings import MeterSettings
from agent.contracts import HasTraits
from agent.model.metering import MeterReading, RegisterTraits

START = datetime(2026, 3, 1, tzinfo=timezone.utc)


class Sleeper:
    """Pauses in a thread, again and again, and counts how often it woke."""

    def __init__(self, clock: SteppedClock, *, seconds: float) -> None:
        self.stopping = threading.Event()
        self.woke: list[datetime] = []
        self._clock = clock
        self._seconds = seconds
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        while not self._clock.pause(self.stopping, self._seconds):
            self.woke.append(self._clock.now())

    def stop(self) -> None:
        self.stopping.set()
        self.thread.join(10)
        assert not self.thread.is_alive()


def idle(clock: SteppedClock, count: int) -> bool:
    return clock.wait_until_idle(count, timeout_seconds=10)


def test_time_stands_still_until_it_is_moved():
    clock = SteppedClock(START)
    assert (clock.now(), clock.monotonic()) == (START, 0.0)
    clock.advance(START + timedelta(minutes=5))
    assert (clock.now(), clock.monotonic()) == (START + timedelta(minutes=5), 300.0)
    clock.advance(START)
    assert clock.now() == START + timedelta(minutes=5)


def test_sleepers_wake_when_they_are_due_and_not_before():
    clock = SteppedClock(START)
    often, seldom = Sleeper(clock, seconds=60), Sleeper(clock, seconds=150)
    for due in (60, 120, 150, 180, 240):
        assert idle(clock, 2)
        assert clock.next_due() == START + timedelta(seconds=due)
        clock.advance(START + timedelta(seconds=due))
    assert idle(clock, 2)
    assert [(each - START).seconds for each in often.woke] == [60, 120, 180, 240]
    assert [(each - START).seconds for each in seldom.woke] == [150]
    clock.end()
    often.stop()
    seldom.stop()


def test_who_works_is_waited_for():
    clock = SteppedClock(START)
    sleeper = Sleeper(clock, seconds=60)
    assert idle(clock, 1)
    assert not clock.wait_until_idle(2, timeout_seconds=0.01)
    clock.end()
    sleeper.stop()


def test_who_is_asked_to_stop_stops_though_time_stands_still():
    clock = SteppedClock(START)
    sleeper = Sleeper(clock, seconds=60)
    assert idle(clock, 1)
    sleeper.stop()
    assert sleeper.woke == []
    assert clock.next_due() is None


def test_a_pause_of_nothing_is_none():
    clock = SteppedClock(START)
    stopping = threading.Event()
    assert clock.pause(stopping, 0.0) is False
    stopping.set()
    assert clock.pause(stopping, 60.0) is True


def test_a_reading_bears_the_time_of_the_clock():
    class Meter:
        def probe(self):
            pass

        def read(self):
            return MeterReading(taken_at=datetime.now(timezone.utc), energy_joules=7)

        def traits(self):
            return RegisterTraits(modulus=10)

        def close(self):
            self.closed = True

    clock, inner = SteppedClock(START), Meter()
    meter = StampedMeters(lambda _: inner, clock=clock).open(MeterSettings(name="a", kind="fake"))
    meter.probe()
    assert meter.read() == MeterReading(taken_at=START, energy_joules=7)
    assert isinstance(meter, HasTraits)
    assert meter.traits().modulus == 10
    meter.close()
    assert inner.closed
