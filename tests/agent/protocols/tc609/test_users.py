from __future__ import annotations

import pytest

from agent.errors import TransientError
from agent.model.secret import Secret
from agent.protocols.tc609.users import KNOWN_PLACES_MAXIMUM, Users
from agent.security.login_guard import FAILURES_AT_ONCE
from agent.security.password_hashes import PasswordHash

HASHES = {"city": PasswordHash.of(Secret("Passw0rd")), "region": PasswordHash.of(Secret("other"))}
HERE = "192.0.2.1"


@pytest.fixture
def users(clock):
    return Users(HASHES, clock=clock)


def fail(users, count=FAILURES_AT_ONCE, *, username="city", address=None):
    for number in range(count):
        assert not users.check(username, "guess", address=address or f"198.51.100.{number}")


def test_a_user_enters_with_its_own_password(users):
    assert users.check("city", "Passw0rd", address=HERE)
    assert not users.check("region", "Passw0rd", address=HERE)
    assert not users.check("city", "", address=HERE)


def test_nobody_enters_as_a_user_that_is_not_there(users):
    assert not users.check("nobody", "nobody", address=HERE)
    assert not users.check("", "nobody", address=HERE)


def test_an_address_that_guesses_has_to_wait_with_a_right_password_too(users, clock):
    fail(users, username="nobody", address=HERE)

    with pytest.raises(TransientError) as refused:
        users.check("city", "Passw0rd", address=HERE)
    assert refused.value.retry_after_seconds == pytest.approx(6)
    assert users.check("city", "Passw0rd", address="192.0.2.2")
    clock.advance(6)
    assert users.check("city", "Passw0rd", address=HERE)


def test_a_user_that_is_guessed_from_many_addresses_has_to_wait(users):
    fail(users)

    with pytest.raises(TransientError):
        users.check("city", "Passw0rd", address=HERE)
    assert users.check("region", "other", address=HERE)


def test_nobody_locks_a_platform_out_by_failing_in_its_name(users):
    assert users.check("city", "Passw0rd", address=HERE)
    fail(users)

    assert users.check("city", "Passw0rd", address=HERE)


def test_memory_is_bounded(users):
    for number in range(KNOWN_PLACES_MAXIMUM + 10):
        users._remember("city", f"2001:db8::{number:x}")

    assert len(users._known_places) == KNOWN_PLACES_MAXIMUM


def test_failures_are_logged_without_the_password(users, caplog):
    fail(users, 1, address=HERE)

    assert HERE in caplog.text
    assert "guess" not in caplog.text
