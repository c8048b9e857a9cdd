"""The rate that all downloads share."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.workloads.rates import TokenBucket


class HandClock:
    def __init__(self):
        self.seconds = 0.0

    def monotonic(self):
        return self.seconds

    def now(self):
        return datetime(2026, 1, 1, tzinfo=timezone.utc)


@given(
    rate=st.floats(1.0, 1e9),
    pieces=st.lists(st.tuples(st.integers(0, 1 << 20), st.floats(0.0, 3.0)), max_size=40),
)
def test_no_more_than_the_rate_and_half_a_second_of_it_comes(rate, pieces):
    clock = HandClock()
    bucket = TokenBucket(rate, clock=clock)
    taken = 0
    for count, pause in pieces:
        wait_seconds = bucket.take(count)
        taken += count
        clock.seconds += wait_seconds
        assert taken <= rate * (clock.seconds + 0.5) * (1 + 1e-9) + 1e-6
        clock.seconds += pause


def test_several_wait_longer_than_one():
    bucket = TokenBucket(100.0, clock=HandClock())
    assert bucket.take(100) == pytest.approx(1.0)
    assert bucket.take(100) == pytest.approx(2.0)


def test_no_limit_never_waits():
    assert TokenBucket(None, clock=HandClock()).take(1 << 40) == 0.0
