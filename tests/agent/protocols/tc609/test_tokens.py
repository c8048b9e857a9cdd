from __future__ import annotations

import pytest

from agent.protocols.tc609.tokens import TokenStore


def issue(store, username="city"):
    return store.issue(username).token.reveal()


def test_a_token_is_its_users(clock):
    store = TokenStore(clock=clock)
    issued = store.issue("city")

    assert issued.expires_in_seconds == 3600
    assert store.username_of(issued.token.reveal()) == "city"
    assert store.username_of(issue(store, "region")) == "region"


def test_tokens_differ_and_are_long(clock):
    store = TokenStore(clock=clock)
    tokens = {issue(store) for _ in range(10)}

    assert len(tokens) == 10
    assert all(43 <= len(token) <= 256 for token in tokens)


@pytest.mark.parametrize("token", ["", "x", "x" * 10_000, "\ud800", "é"])
def test_what_was_not_issued_is_nobodys(clock, token):
    store = TokenStore(clock=clock)
    own = issue(store)

    assert store.username_of(token) is None
    assert store.username_of(own + "x") is None
    assert store.username_of(own[:-1]) is None


def test_a_token_ends_when_it_said(clock):
    store = TokenStore(clock=clock, lifetime_seconds=60)
    token = issue(store)

    clock.advance(59)
    assert store.username_of(token) == "city"
    clock.advance(1)
    assert store.username_of(token) is None


def test_ended_tokens_are_forgotten(clock):
    store = TokenStore(clock=clock, lifetime_seconds=60)
    for _ in range(5):
        issue(store)
    clock.advance(60)
    issue(store)

    assert len(store) == 1


def test_of_too_many_tokens_a_user_loses_the_oldest_and_others_lose_none(clock):
    store = TokenStore(clock=clock, per_user=3)
    other = issue(store, "region")
    tokens = [issue(store) for _ in range(5)]

    assert [store.username_of(token) for token in tokens] == [None, None, "city", "city", "city"]
    assert store.username_of(other) == "region"
    assert len(store) == 4


def test_a_token_is_not_shown(clock):
    issued = TokenStore(clock=clock).issue("city")
    assert issued.token.reveal() not in repr(issued)
