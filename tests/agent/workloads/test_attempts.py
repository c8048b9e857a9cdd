from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.workloads.attempts import Attempts
from tests.agent.workloads.reconciler_bench import HandClock


def test_waits_double_up_to_five_minutes():
    clock = HandClock()
    attempts = Attempts(clock=clock, random_ratio=lambda: 0.0)
    waits = []

    assert attempts.wait_seconds("a") == 0.0
    for _ in range(12):
        attempts.count("a")
        waits.append(attempts.wait_seconds("a"))
        clock.seconds += waits[-1]
        assert attempts.wait_seconds("a") == 0.0

    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]


def test_a_minute_that_goes_well_begins_anew_and_a_shorter_time_does_not():
    clock = HandClock()
    attempts = Attempts(clock=clock, random_ratio=lambda: 0.0)
    for _ in range(5):
        attempts.count("a")

    attempts.goes_well("a")
    clock.seconds += 59.0
    attempts.goes_ill("a")
    attempts.goes_well("a")
    clock.seconds += 59.0
    attempts.goes_well("a")
    attempts.count("a")
    assert attempts.wait_seconds("a") == 32.0

    attempts.goes_well("a")
    clock.seconds += 60.0
    attempts.goes_well("a")
    attempts.count("a")
    assert attempts.wait_seconds("a") == 1.0


def test_only_what_is_still_about_is_remembered():
    attempts = Attempts(clock=HandClock())
    attempts.count("a")
    attempts.count("b")

    attempts.keep_only({"b"})

    assert attempts.wait_seconds("a") == 0.0
    assert attempts.wait_seconds("b") > 0.0


@given(st.integers(1, 5000), st.floats(0, 1))
def test_no_wait_is_longer_than_promised_however_often(count: int, ratio: float):
    attempts = Attempts(clock=HandClock(), random_ratio=lambda: ratio)
    for _ in range(count):
        attempts.count("a")

    assert 0.8 <= attempts.wait_seconds("a") <= 300.0
