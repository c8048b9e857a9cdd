"""The thread that delivers to one platform."""

from __future__ import annotations

import threading

import pytest

from agent.errors import TransientError
from agent.protocols.tc609.delivery import DeliveryThread

PATIENCE_SECONDS = 20.0


class Script:
    """Delivers what is scripted, and tells when the script is over."""

    def __init__(self, *steps: bool | Exception, wait_seconds: float | None = None) -> None:
        self.steps = list(steps)
        self.wait = wait_seconds
        self.calls = 0
        self.is_over = threading.Event()

    def deliver_due(self) -> bool:
        self.calls += 1
        if not self.steps:
            self.is_over.set()
            return False
        step = self.steps.pop(0)
        if isinstance(step, Exception):
            raise step
        return step

    def wait_seconds(self) -> float | None:
        return self.wait


@pytest.fixture
def thread_of():
    threads = []

    def make(script: Script, **changed) -> DeliveryThread:
        thread = DeliveryThread(script, platform="city", **changed)
        threads.append(thread)
        thread.start()
        return thread

    yield make
    for thread in threads:
        thread.stop(timeout_seconds=PATIENCE_SECONDS)
        assert not thread._thread.is_alive()


def test_all_that_is_due_is_delivered_without_a_rest(thread_of):
    script = Script(*[True] * 50)
    thread_of(script)
    assert script.is_over.wait(PATIENCE_SECONDS)


def test_it_waits_as_long_as_the_outbox_says(thread_of):
    script = Script(False, wait_seconds=0.01)
    thread_of(script)
    assert script.is_over.wait(PATIENCE_SECONDS)


def test_it_can_be_woken(thread_of):
    script = Script(False, wait_seconds=3600.0)
    thread = thread_of(script)
    for _ in range(1000):
        thread.wake()
        if script.is_over.wait(0.02):
            break
    assert script.is_over.is_set()


def test_trouble_is_survived_and_logged_once(thread_of, caplog):
    caplog.set_level("INFO")
    script = Script(TransientError("disk"), TransientError("disk"), ValueError("odd"))
    thread_of(script, longest_wait_seconds=0.01)
    assert script.is_over.wait(PATIENCE_SECONDS)
    assert caplog.text.count("event=outbox_failed") == 1
    assert caplog.text.count("event=delivery_failed") == 1


def test_it_can_be_stopped_before_it_was_started():
    DeliveryThread(Script(), platform="city").stop(timeout_seconds=1)
