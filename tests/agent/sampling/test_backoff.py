from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.sampling.backoff import Backoff


@given(st.integers(0, 5000))
def test_a_wait_is_bounded_and_never_nothing(failures):
    backoff = Backoff(first_seconds=2.0, most_seconds=120.0, failures=failures)
    expected = float(min(2 * 2**failures, 120))
    assert 0.8 * expected <= backoff.next_seconds() <= expected


def test_success_starts_over():
    backoff = Backoff(first_seconds=2.0, most_seconds=120.0, failures=9)
    backoff.reset()
    assert backoff.next_seconds() <= 2.0
