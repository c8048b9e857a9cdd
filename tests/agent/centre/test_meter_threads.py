"""Each meter is read in its own thread, and what it says comes to the ledger."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from agent.centre.clock_watch import ClockWatch
from agent.centre.keeper import ReadingKeeper
from agent.centre.ledger import Ledger
from agent.centre.meter_threads import MeterThread, MeterThreads
from agent.config.meter_settings import LedgerSettings, MeterSettings
from agent.errors import (
    ConfigError,
    ConfigProblem,
    NoRoomError,
    NotPresent,
    ReadingUnavailable,
)
from agent.model.clock import SystemClock
from agent.model.metering import MeterReading, RegisterTraits
from agent.model.view import PluginState
from tests.agent.centre.conftest import START, FakeMeter, SetClock, at, wait_until


class Bench:
    """Runs meters with a clock of the machine, so that intervals pass."""

    def __init__(self, ledger: Ledger, *, stalled_seconds: float = 60.0) -> None:
        self.ledger = ledger
        self.clock = SystemClock()
        self.stalled_seconds = stalled_seconds
        self.watch = ClockWatch(self.clock, on_step=lambda *_: None)
        self.keeper = ReadingKeeper(
            ledger,
            settings=LedgerSettings(),
            clock=self.clock,
            watch=self.watch,
            gather_seconds=0.01,
        )
        self.threads: MeterThreads | None = None

    def start(self, **meters: object) -> None:
        def opened(settings: MeterSettings) -> object:
            meter = meters[settings.name]
            if isinstance(meter, Exception):
                raise meter
            return meter

        self.threads = MeterThreads(
            [
                MeterThread(
                    MeterSettings(name=name, kind="fake", interval_seconds=1),
                    open_meter=opened,  # type: ignore[arg-type]
                    ledger=self.ledger,
                    keeper=self.keeper,
                    watch=self.watch,
                    clock=self.clock,
                    kept_for=timedelta(days=400),
                    stalled_seconds=self.stalled_seconds,
                )
                for name in meters
            ]
        )
        self.keeper.start()
        self.threads.start()

    def status(self, name: str):
        assert self.threads is not None
        return next(each for each in self.threads.statuses() if each.name == name)

    def state(self, name: str) -> PluginState:
        return self.status(name).state

    def stop(self) -> None:
        if self.threads is not None:
            self.threads.stop(timeout_seconds=2)
        self.keeper.stop(timeout_seconds=2)


@pytest.fixture
def bench(ledger: Ledger) -> Iterator[Bench]:
    made = Bench(ledger, stalled_seconds=0.1)
    yield made
    made.stop()


def now_says(clock: SystemClock, **values: object) -> Callable[[], MeterReading]:
    return lambda: MeterReading(taken_at=clock.now(), **values)  # type: ignore[arg-type]


def test_what_a_meter_says_is_on_the_disk(bench: Bench) -> None:
    meter = FakeMeter(says=now_says(bench.clock, energy_joules=7, power_watts=2.0))
    bench.start(a=meter)
    wait_until(lambda: bench.ledger.latest("a", until=bench.clock.now()) is not None)
    status = bench.status("a")
    assert status.state is PluginState.ACTIVE
    assert status.reading is not None
    assert (status.reading.energy_joules, status.refused) == (7, None)


def test_a_meter_that_hangs_costs_no_other_and_is_told_as_stalled(bench: Bench) -> None:
    hang = threading.Event()
    stuck = FakeMeter(hang=hang, says=now_says(bench.clock, energy_joules=1))
    well = FakeMeter(says=now_says(bench.clock, energy_joules=7))
    bench.start(stuck=stuck, well=well)
    wait_until(lambda: bench.state("stuck") is PluginState.STALLED)
    wait_until(lambda: well.times >= 2)
    assert bench.state("well") is PluginState.ACTIVE
    assert stuck.times == 1
    hang.set()
    wait_until(lambda: bench.state("stuck") is PluginState.ACTIVE)


@pytest.mark.parametrize(
    ("says", "state", "words"),
    [
        (ReadingUnavailable("no answer", hint="look at the cable"), PluginState.FAILING, "cable"),
        (NotPresent("not here"), PluginState.ABSENT, "not here"),
        (ValueError("a fault of its own"), PluginState.FAILING, "a fault of its own"),
    ],
)
def test_what_a_meter_cannot_is_told(
    bench: Bench, says: Exception, state: PluginState, words: str
) -> None:
    bench.start(a=FakeMeter(says=says))
    wait_until(lambda: bench.state("a") is state)
    assert words in str(bench.status("a").detail)


def test_a_meter_that_fails_is_asked_again(bench: Bench) -> None:
    meter = FakeMeter(says=ReadingUnavailable("not now"))
    bench.start(a=meter)
    wait_until(lambda: bench.state("a") is PluginState.FAILING)
    meter.says = now_says(bench.clock, energy_joules=1)
    wait_until(lambda: bench.state("a") is PluginState.ACTIVE)


def test_a_meter_whose_settings_are_wrong_is_broken(bench: Bench) -> None:
    problem = ConfigProblem(file="f", key="meters[0]", message="wrong port")
    bench.start(a=ConfigError([problem]))
    wait_until(lambda: bench.state("a") is PluginState.BROKEN)
    assert "wrong port" in str(bench.status("a").detail)


def test_what_is_no_reading_is_a_fault_of_the_meter(bench: Bench) -> None:
    bench.start(a=FakeMeter(says=lambda: 7))  # type: ignore[arg-type,return-value]
    wait_until(lambda: bench.state("a") is PluginState.FAILING)
    assert "no reading" in str(bench.status("a").detail)


def test_a_reading_of_a_wrong_clock_is_told(bench: Bench) -> None:
    old = at(0, kwh=1).taken_at.replace(year=1970)
    bench.start(a=FakeMeter(says=lambda: MeterReading(taken_at=old, energy_joules=1)))
    wait_until(lambda: bench.status("a").refused is not None)
    assert "the clock was wrong" in str(bench.status("a").refused)


def test_what_a_meter_tells_of_its_register_is_kept(bench: Bench) -> None:
    class Telling(FakeMeter):
        def traits(self) -> RegisterTraits:
            return RegisterTraits(modulus=100)

    bench.start(a=Telling(says=now_says(bench.clock, energy_joules=1)))
    wait_until(lambda: bench.ledger.traits("a").modulus == 100)


def test_what_a_meter_remembers_is_kept_at_once_and_once(bench: Bench) -> None:
    class Remembering(FakeMeter):
        rows: tuple[MeterReading, ...] = ()

        def read_all(self) -> tuple[MeterReading, ...]:
            return self.rows

    def row(minutes: int) -> MeterReading:
        taken_at = bench.clock.now().replace(microsecond=0) - timedelta(minutes=minutes)
        return MeterReading(taken_at=taken_at, water_millilitres=1000 - minutes)

    meter = Remembering()
    meter.rows = tuple(row(minutes) for minutes in range(600, 0, -1))
    meter.says = lambda: meter.rows[-1]
    bench.start(a=meter)
    middle = bench.clock.now() - timedelta(hours=5)
    wait_until(lambda: bench.ledger.latest("a", until=middle) is not None)
    oldest = row(700)
    meter.rows = (oldest, *meter.rows)
    wait_until(lambda: bench.ledger.latest("a", until=oldest.taken_at) == oldest)
    assert bench.status("a").refused is None


def test_a_stop_closes_the_meter_and_writes_what_waits(ledger: Ledger) -> None:
    bench = Bench(ledger)
    meter = FakeMeter(says=now_says(bench.clock, energy_joules=3))
    bench.start(a=meter)
    assert meter.asked.acquire(timeout=10)
    bench.stop()
    assert meter.is_closed
    assert ledger.latest("a", until=bench.clock.now()) is not None


class FullDisk:
    """Is a ledger whose disk is full until it is not."""

    def __init__(self) -> None:
        self.is_full = True
        self.kept: list[tuple[str, MeterReading]] = []

    def keep(self, named, **_: object):
        from agent.centre.ledger import Kept

        if self.is_full:
            raise NoRoomError("no room")
        self.kept += named
        return Kept(accepted=len(named))


def test_readings_wait_while_the_disk_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    from agent.centre import keeper as module

    monkeypatch.setattr(module, "_RETRY_SECONDS", 0.02)
    disk, clock = FullDisk(), SetClock()
    keeper = ReadingKeeper(
        disk,  # type: ignore[arg-type]
        settings=LedgerSettings(),
        clock=clock,
        watch=ClockWatch(clock, on_step=lambda *_: None),
        gather_seconds=0.0,
    )
    keeper.start()
    readings = [at(15 * number, kwh=number) for number in range(5)]
    for reading in readings:
        keeper.hand_in("a", reading)
    wait_until(lambda: keeper.trouble is not None)
    disk.is_full = False
    wait_until(lambda: len(disk.kept) == 5)
    assert [reading for _, reading in disk.kept] == readings
    wait_until(lambda: keeper.trouble is None)
    assert keeper.waiting == 0
    keeper.stop(timeout_seconds=2)


def test_what_is_being_written_still_waits() -> None:
    """Who is told that nothing waits may rely on it that everything is on the disk."""
    is_written, is_asked = threading.Event(), threading.Event()

    class SlowDisk:
        def keep(self, named, **_: object):
            from agent.centre.ledger import Kept

            is_asked.set()
            is_written.wait(30)
            return Kept(accepted=len(named))

    clock = SetClock()
    keeper = ReadingKeeper(
        SlowDisk(),  # type: ignore[arg-type]
        settings=LedgerSettings(),
        clock=clock,
        watch=ClockWatch(clock, on_step=lambda *_: None),
        gather_seconds=0.0,
    )
    keeper.start()
    keeper.hand_in("a", at(0, kwh=1))
    assert is_asked.wait(10)
    assert keeper.waiting == 1
    is_written.set()
    wait_until(lambda: keeper.waiting == 0)
    keeper.stop(timeout_seconds=2)


def test_a_meter_waits_as_it_is_told_to(ledger: Ledger, clock: SetClock) -> None:
    waits: list[float] = []

    def pause(stopping: threading.Event, seconds: float) -> bool:
        waits.append(seconds)
        clock.pass_time(seconds)
        return len(waits) > 3

    watch = ClockWatch(clock, on_step=lambda *_: None)
    meter = FakeMeter(says=lambda: MeterReading(taken_at=clock.now(), energy_joules=1))
    thread = MeterThread(
        MeterSettings(name="a", kind="fake", interval_seconds=600),
        open_meter=lambda _: meter,  # type: ignore[arg-type, return-value]
        ledger=ledger,
        keeper=ReadingKeeper(ledger, settings=LedgerSettings(), clock=clock, watch=watch),
        watch=watch,
        clock=clock,
        kept_for=timedelta(days=400),
        pause=pause,
    )
    thread.start()
    wait_until(lambda: meter.is_closed)
    thread.stop(timeout_seconds=2)
    assert (waits, meter.times) == ([0, 600, 600, 600], 3)


def test_being_held_up_between_two_clocks_is_no_step() -> None:
    class HeldUp(SetClock):
        """Lets a minute go by between the first two looks, as a suspended process does."""

        looks = 0

        def now(self):
            self.looks += 1
            seen = super().now()
            if self.looks == 2:
                self.pass_time(60)
            return seen

    clock, steps = HeldUp(), []
    watch = ClockWatch(clock, on_step=lambda *each: steps.append(each))
    watch.check()
    watch.check()
    assert steps == []


def test_a_clock_that_is_set_is_noticed_once() -> None:
    clock, steps = SetClock(), []
    watch = ClockWatch(clock, on_step=lambda before, after: steps.append((before, after)))
    clock.pass_time(86400)
    watch.check()
    assert steps == []
    clock.set(START)
    clock.pass_time(1)
    watch.check()
    watch.check()
    ((before, after),) = steps
    assert before == START + timedelta(days=1, seconds=1)
    assert after == START + timedelta(seconds=1)


def test_a_clock_that_is_trimmed_is_none() -> None:
    clock, steps = SetClock(), []
    watch = ClockWatch(clock, on_step=lambda before, after: steps.append((before, after)))
    for _ in range(50):
        clock.pass_time(15)
        clock.set(clock.now() + timedelta(seconds=5))
        watch.check()
    assert steps == []
