"""A source is asked in a thread of its own; what it said ages, and its silence has a reason."""

from __future__ import annotations

import logging
import threading

import pytest

from agent.centre import source_watch
from agent.centre.source_watch import SourceWatch
from agent.errors import PermanentError, PlatformRejected, TransientError
from tests.agent.centre.conftest import wait_until


class Clock:
    """Is a monotonic clock that a test moves."""

    def __init__(self):
        self.seconds = 100.0

    def monotonic(self):
        return self.seconds


class Source:
    """Is a source that answers what a test wants, each time that it lets it."""

    def __init__(self):
        self.answers = []
        self.asked = 0
        self.closed = threading.Event()

    def read(self):
        self.asked += 1
        answer = self.answers.pop(0) if self.answers else TransientError("silent")
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self):
        self.closed.set()


@pytest.fixture
def source():
    return Source()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def watch(source, clock):
    """Return a watch that asks whenever the clock has moved on."""
    one = SourceWatch("n1", read=source.read, close=source.close, clock=clock)
    yield one
    one.ask_to_stop()
    one.join(timeout_seconds=5)
    assert not one.is_alive


def test_before_the_first_answer_nothing_is_known(watch):
    told = watch.latest()
    assert (told.value, told.reason, told.age_seconds) == (None, "not asked yet", None)


def test_an_answer_is_known_until_it_is_too_old(watch, source, clock):
    source.answers = [7]
    watch.start()
    wait_until(lambda: watch.latest().value == 7)
    clock.seconds += source_watch.MAXIMUM_AGE_SECONDS
    assert watch.latest().value == 7
    clock.seconds += 0.1
    told = watch.latest()
    assert told.value is None
    assert told.reason.startswith("last answered 50 s ago")


def test_one_lost_answer_costs_nothing_and_is_logged_once(source, caplog):
    caplog.set_level(logging.INFO, logger="agent.centre.source_watch")
    clock = Clock()
    source.answers = [7, *[TransientError("refused")] * 2, 8]
    watch = SourceWatch(
        "n1", read=source.read, close=source.close, clock=clock, interval_seconds=0.0
    )
    seen = []
    watch.start()
    wait_until(lambda: seen.append(watch.latest().value) or source.asked >= 6)
    watch.ask_to_stop()
    watch.join(timeout_seconds=5)
    assert watch.latest().value == 8
    assert [each.getMessage() for each in caplog.records][:4] == [
        "event=source_known source=n1",
        "event=source_unknown source=n1 reason=refused",
        "event=source_known source=n1",
        "event=source_unknown source=n1 reason=silent",
    ]
    assert len(caplog.records) == 4


@pytest.mark.parametrize(
    ("error", "pause_seconds"),
    [
        (TransientError("no route"), source_watch.INTERVAL_SECONDS),
        (RuntimeError("a fault"), source_watch.INTERVAL_SECONDS),
        (PermanentError("who are you"), source_watch.REFUSED_SECONDS),
        (
            PlatformRejected(standard="T/BAX 0006.5", message="wrong password", status=401),
            source_watch.REFUSED_SECONDS,
        ),
    ],
    ids=str,
)
def test_who_refuses_us_is_asked_seldom(watch, source, clock, error, pause_seconds):
    source.answers = [error, 7]
    watch.start()
    wait_until(lambda: watch.latest().reason != "not asked yet")
    assert source.asked == 1
    assert str(error) in watch.latest().reason
    # What the thread waits for is real time, so the arithmetic is looked at where it is made.
    source.answers = [error]
    assert watch._ask() == pause_seconds


def test_a_question_that_hangs_is_waited_for_by_nobody_else(clock):
    released = threading.Event()

    def read():
        released.wait(30)
        raise TransientError("the client was closed")

    watch = SourceWatch("n1", read=read, close=released.set, clock=clock)
    watch.start()
    assert watch.latest().value is None
    watch.ask_to_stop()
    watch.join(timeout_seconds=5)
    assert not watch.is_alive
