"""When a session speaks: backoff, misses, and the worst gap as arithmetic promises it."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.protocols.acsmp.cadence import (
    BACKOFF_MAXIMUM_SECONDS,
    EXCHANGE_DEADLINE_SECONDS,
    REFUSED_BACKOFF_MAXIMUM_SECONDS,
    Action,
    Backoff,
    Cadence,
)

KEEPALIVE_SECONDS = 30.0
ANSWER_SECONDS = 3.0
PROMISED_GAP_SECONDS = 45.0


def cadence(**changes):
    return Cadence(**{"keepalive_seconds": KEEPALIVE_SECONDS, "start_seconds": 0.0, **changes})


def test_the_first_registration_is_due_at_once():
    due = cadence(start_seconds=5.0).due

    assert (due.action, due.at_seconds) == (Action.REGISTER, 5.0)


@given(keepalive=st.floats(1, 60), seed=st.integers())
def test_a_beat_comes_within_five_percent_and_never_after_sixty_seconds(keepalive, seed):
    uniform = random.Random(seed).uniform
    each = cadence(keepalive_seconds=keepalive, uniform=uniform)

    each.contact_accepted(started_seconds=100.0)

    beat = each.due.at_seconds - 100.0
    assert each.due.action is Action.KEEPALIVE
    assert beat <= 60.0
    assert keepalive * 0.95 - 1e-9 <= beat <= keepalive * 1.05 + 1e-9


@pytest.mark.parametrize(
    ("refused", "maximum"),
    [(False, BACKOFF_MAXIMUM_SECONDS), (True, REFUSED_BACKOFF_MAXIMUM_SECONDS)],
)
def test_the_backoff_doubles_from_one_second_to_its_maximum(refused, maximum):
    backoff = Backoff(uniform=lambda _low, high: high)

    delays = [backoff.next_delay_seconds(refused=refused) for _ in range(2000)]

    assert delays[:5] == [1.0, 2.0, 4.0, 8.0, 16.0]
    assert all(earlier <= later for earlier, later in itertools.pairwise(delays))
    assert delays[-1] == max(delays) == maximum


@given(kinds=st.lists(st.booleans(), max_size=60), seed=st.integers())
def test_jitter_stays_in_the_upper_half_of_each_step(kinds, seed):
    jittered = Backoff(uniform=random.Random(seed).uniform)
    steps = Backoff(uniform=lambda _low, high: high)

    for refused in kinds:
        delay, step = (each.next_delay_seconds(refused=refused) for each in (jittered, steps))
        assert step / 2 <= delay <= step


def test_the_first_refusal_after_a_long_outage_starts_at_one_second():
    backoff = Backoff(uniform=lambda _low, high: high)
    for _ in range(20):
        backoff.next_delay_seconds(refused=False)

    assert backoff.next_delay_seconds(refused=True) == 1.0
    assert backoff.next_delay_seconds(refused=False) == 1.0


def test_three_misses_lead_to_a_registration_and_two_do_not():
    each = cadence()
    each.contact_accepted(started_seconds=0.0)

    actions = []
    for _ in range(3):
        each.keepalive_missed(now_seconds=each.due.at_seconds)
        actions.append(each.due.action)

    assert actions == [Action.KEEPALIVE, Action.KEEPALIVE, Action.REGISTER]


def test_an_accepted_beat_forgets_earlier_misses():
    each = cadence()
    for _ in range(10):
        each.contact_accepted(started_seconds=each.due.at_seconds)
        each.keepalive_missed(now_seconds=each.due.at_seconds)
        each.keepalive_missed(now_seconds=each.due.at_seconds)
        assert each.due.action is Action.KEEPALIVE


def test_the_platforms_wish_is_heard_up_to_thirty_seconds():
    each = cadence()

    each.registration_failed(now_seconds=0.0, refused=False, retry_after_seconds=12.0)
    assert each.due.at_seconds == 12.0
    each.registration_failed(now_seconds=0.0, refused=False, retry_after_seconds=86400.0)
    assert each.due.at_seconds == BACKOFF_MAXIMUM_SECONDS


@given(seed=st.integers(), slow_first=st.floats(0, 10))
def test_one_lost_beat_costs_at_most_the_promised_gap(seed, slow_first):
    """The beat before may have been slow; the platform heard it at its start at the latest."""
    each = cadence(uniform=random.Random(seed).uniform)
    heard_seconds = 0.0
    each.contact_accepted(started_seconds=heard_seconds)
    lost_until = max(each.due.at_seconds, slow_first) + EXCHANGE_DEADLINE_SECONDS
    each.keepalive_missed(now_seconds=lost_until)

    accepted_seconds = each.due.at_seconds + ANSWER_SECONDS

    assert accepted_seconds - heard_seconds <= PROMISED_GAP_SECONDS


@given(
    seed=st.integers(),
    outage_start=st.floats(0, 120),
    outage_seconds=st.floats(0, 600),
    failure_seconds=st.floats(0, EXCHANGE_DEADLINE_SECONDS),
    forgets=st.booleans(),
)
def test_the_gap_while_the_platform_can_answer_keeps_the_promise_after_any_outage(
    seed, outage_start, outage_seconds, failure_seconds, forgets
):
    """A run against a platform that is away once; what starts in the outage fails after a while."""
    each = cadence(uniform=random.Random(seed).uniform)
    outage_end = outage_start + outage_seconds
    holds_us = False
    # The gap that counts begins with a contact, or with the platform's return.
    since = 0.0
    worst = 0.0
    now = 0.0
    while now < outage_end + 200.0:
        due = each.due
        now = max(now, due.at_seconds)
        if outage_start <= now < outage_end:
            since = outage_end
            now += failure_seconds
            if forgets:
                holds_us = False
            if due.action is Action.REGISTER:
                each.registration_failed(now_seconds=now, refused=False)
            else:
                each.keepalive_missed(now_seconds=now)
            continue
        started, now = now, now + ANSWER_SECONDS
        if due.action is Action.KEEPALIVE and not holds_us:
            each.registration_lost(now_seconds=now)
            continue
        holds_us = True
        worst = max(worst, now - since)
        since = now
        each.contact_accepted(started_seconds=started)

    assert worst <= PROMISED_GAP_SECONDS
