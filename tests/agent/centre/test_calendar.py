"""Hours are closed when they are due, whatever happens to the clock."""

from __future__ import annotations

import threading
from datetime import timedelta

from agent.centre.calendar import Calendar
from agent.errors import NoRoomError
from agent.model.clock import SystemClock
from tests.agent.centre.conftest import START, SetClock, wait_until


def calendar(close, clock, *, prune=lambda: None) -> Calendar:
    return Calendar(close=close, prune=prune, clock=clock, close_after_seconds=120)


def test_the_next_close_is_when_an_hour_is_due_or_soon() -> None:
    made = calendar(lambda: None, SetClock())
    assert made.next_close(START + timedelta(seconds=1)) == START + timedelta(seconds=120)
    assert made.next_close(START + timedelta(seconds=120)) == START + timedelta(seconds=420)
    late = START + timedelta(minutes=61)
    assert made.next_close(late) == START + timedelta(minutes=62)


def test_it_closes_at_once_and_again_after_a_fault() -> None:
    closed = threading.Semaphore(0)

    def close() -> None:
        closed.release()
        raise NoRoomError("no room")

    made = calendar(close, SystemClock())
    made.start()
    assert closed.acquire(timeout=10)
    made.plan()
    assert closed.acquire(timeout=10)
    made.stop()
    made.stop()


def test_what_is_planned_while_it_runs_is_done_after_it() -> None:
    begun, may_end = threading.Semaphore(0), threading.Event()
    lock = threading.Lock()

    def close() -> None:
        with lock:
            begun.release()
            may_end.wait(30)

    made = calendar(close, SystemClock())
    made.start()
    assert begun.acquire(timeout=10)
    made.plan()
    # The scheduler has looked at it once it can say when it is due again.
    scheduler = made._scheduler
    assert scheduler is not None
    wait_until(lambda: scheduler.get_job("close").next_run_time > SystemClock().now())
    may_end.set()
    assert begun.acquire(timeout=10)
    made.stop()


def test_a_clock_that_goes_back_is_planned_anew() -> None:
    """The scheduler of an hour that is far ahead would sleep until then."""

    class Ahead(SystemClock):
        ahead = timedelta(days=3650)

        def now(self):
            return super().now() + self.ahead

    closed = threading.Semaphore(0)
    clock = Ahead()
    made = calendar(closed.release, clock)
    made.start()
    # By its own clock it is due now; the scheduler looks at that of the machine, years behind.
    assert not closed.acquire(blocking=False)
    clock.ahead = timedelta()
    made.plan()
    assert closed.acquire(timeout=10)
    made.stop()
