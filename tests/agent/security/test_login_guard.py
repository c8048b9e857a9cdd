"""Guessing is slow, and remembering who guesses is bounded."""

from __future__ import annotations

import pytest

from agent.security.login_guard import ADDRESSES_MAXIMUM, FAILURES_AT_ONCE, LoginGuard


class FakeClock:
    """Is a clock that stands still until it is moved."""

    def __init__(self):
        self.seconds = 1000.0

    def monotonic(self):
        return self.seconds

    def advance(self, seconds):
        self.seconds += seconds


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def guard(clock):
    return LoginGuard(clock=clock)


def exhaust(guard, address):
    return [guard.failed(address) for _ in range(FAILURES_AT_ONCE)]


def test_only_the_first_failure_is_news(guard):
    assert exhaust(guard, "192.0.2.1") == [True] + [False] * (FAILURES_AT_ONCE - 1)


def test_a_day_of_guesses_gets_no_more_than_one_in_six_seconds(guard, clock):
    looked_at = 0
    for _ in range(3600):
        if guard.wait_seconds("192.0.2.1") == 0:
            looked_at += 1
            guard.failed("192.0.2.1")
        clock.advance(1.0)

    assert looked_at <= FAILURES_AT_ONCE + 3600 / 6


def test_an_ipv6_network_counts_as_one_address(guard):
    for host in range(FAILURES_AT_ONCE):
        guard.failed(f"2001:db8:1:2::{host:x}")

    assert guard.wait_seconds("2001:db8:1:2:ffff::1") > 0
    assert guard.wait_seconds("2001:db8:1:3::1") == 0


def test_ipv4_behind_an_ipv6_socket_counts_by_its_own_address(guard):
    exhaust(guard, "::ffff:192.0.2.1")

    assert guard.wait_seconds("::ffff:192.0.2.1") > 0
    assert guard.wait_seconds("::ffff:192.0.2.2") == 0


def test_memory_is_bounded_and_the_latest_guesser_is_remembered(guard):
    for number in range(3 * ADDRESSES_MAXIMUM):
        guard.failed(f"host-{number}")
    exhaust(guard, "192.0.2.1")

    assert len(guard._empty_at) <= ADDRESSES_MAXIMUM
    assert guard.wait_seconds("192.0.2.1") > 0
