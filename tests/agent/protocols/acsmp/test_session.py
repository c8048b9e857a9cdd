"""A session against a scripted platform, on a clock that only the test moves."""

from __future__ import annotations

import itertools
import logging
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import PermanentError, PlatformRejected, TransientError
from agent.model.secret import Secret
from agent.protocols.acsmp.status import SessionState


def script_of(*answers):
    """Return a script that gives these answers in turn, the last one for ever."""
    left = list(answers)

    def script(path, body):
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    return script


@pytest.fixture
def play(make_client, make_session, clock, next_turn):
    """Return a function that lets a session take one turn for each answer."""

    def run(*answers, **changes):
        client = make_client(clock=clock, script=script_of(*answers))
        session = make_session(client, **changes)
        for _ in answers:
            next_turn(session, clock)
        return session, client

    return run


def revealed(session):
    return [held.token.reveal() for held in session.current_tokens()]


def test_a_session_registers_and_then_keeps_alive_with_its_token(play, answers):
    session, client = play(answers.success("t-1"), answers.success())

    status = session.status()
    assert client.paths == ["Register", "Keepalive"]
    assert "Authorization" not in client.requests[0].headers
    assert client.requests[1].headers["Authorization"] == "Bearer t-1"
    assert (status.state, status.address) == (SessionState.REGISTERED, "192.0.2.7")
    assert (status.registrations_accepted, status.keepalives_accepted) == (1, 1)
    assert status.failures == 0
    assert status.last_error is None


def test_the_token_travels_in_the_configured_header(play, answers):
    _, client = play(
        answers.success("t-1"), answers.success(), token_header='User-Identify: token="{token}"'
    )

    assert client.requests[1].headers["User-Identify"] == 'token="t-1"'


def test_every_exchange_has_the_deadline(play, answers):
    _, client = play(answers.success("t-1"), answers.success())

    assert [request.deadline_seconds for request in client.requests] == [10.0, 10.0]


@pytest.mark.parametrize("data", ["{}", "null", '{"Token": null}', '{"Token": ""}', '""'])
def test_a_keepalive_without_a_new_token_keeps_the_old_one(play, answers, data):
    body = f'{{"Code": 0, "Message": "success", "Data": {data}}}'.encode()

    session, _ = play(answers.success("t-1"), answers.raw(body=body))

    assert revealed(session) == ["t-1"]
    assert session.status().token_changes == 0


def test_a_changed_token_is_used_and_the_old_one_opens_the_door_for_a_minute(play, answers, clock):
    session, client = play(answers.success("t-1"), answers.success("t-2"), answers.success())

    assert client.requests[2].headers["Authorization"] == "Bearer t-2"
    assert session.status().token_changes == 1
    assert revealed(session) == ["t-2", "t-1"]
    clock.advance(60.0)
    assert revealed(session) == ["t-2"]


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("body", [b"", b"<html>", b'{"Code": 401, "Message": "expired"}'])
def test_a_refused_token_is_dropped_and_leads_to_a_registration(play, answers, status, body):
    session, client = play(
        answers.success("t-1"), answers.raw(status=status, body=body), answers.success("t-2")
    )

    assert client.paths == ["Register", "Keepalive", "Register"]
    assert revealed(session) == ["t-2"]
    gap = client.requests[2].at_seconds - client.requests[1].at_seconds
    assert gap <= 1.0


def test_a_refused_token_opens_nothing_here_any_more(play, answers):
    session, _ = play(answers.success("t-1"), answers.refusal(status=401))

    assert revealed(session) == []
    assert session.status().state is SessionState.LOST


@pytest.mark.parametrize("code", [1, -1, 40401, "404"])
def test_an_unknown_device_registers_again(play, answers, code):
    _, client = play(answers.success("t-1"), answers.refusal(code), answers.success("t-2"))

    assert client.paths == ["Register", "Keepalive", "Register"]


HOSTILE = [
    TransientError("connection refused"),
    PermanentError("header"),
    RuntimeError("a fault of ours"),
    ("status", 500, b'{"Code": 9, "Message": "x"}'),
    ("status", 502, b"<html>"),
    ("status", 302, b""),
    ("status", 429, b'{"Code": 9, "Message": "slow down"}'),
    ("status", 404, b"not found"),
    ("status", 400, b'{"Code": 0, "Message": "success"}'),
    ("status", 200, b""),
    ("status", 200, b"null"),
    ("status", 200, b"[1]"),
    ("status", 200, b"{}"),
    ("status", 200, b'{"Message": "no code"}'),
    ("status", 200, b'{"Code": true, "Message": ""}'),
    ("status", 200, b'{"Code": 0, "Message": "", "Data": {"Token": 5}}'),
    ("status", 200, b'{"Code": 0, "Message": "", "Data": {"Token": "a\\r\\nb: c"}}'),
    ("status", 200, b'{"Code": 0, "Message": "", "Data": [1]}'),
    ("status", 200, b'{"Code": 0, "Message": "", "Data": {"Token": "' + b"a" * 257 + b'"}}'),
    ("status", 200, b"[" * 100_000),
    ("status", 200, b"\xff\xfe" * 50),
]


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda each: repr(each)[:60])
def test_three_answers_that_are_none_are_three_misses(play, answers, hostile):
    bad = hostile if isinstance(hostile, Exception) else answers.raw(hostile[1], hostile[2])

    session, client = play(answers.success("t-1"), bad, bad, bad, answers.success("t-2"))

    assert client.paths == ["Register", *["Keepalive"] * 3, "Register"]
    assert session.status().keepalives_failed == 3
    assert session.status().last_error
    assert revealed(session) == ["t-2", "t-1"]


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda each: repr(each)[:60])
def test_a_registration_without_a_usable_answer_is_tried_within_thirty_seconds(
    play, answers, hostile
):
    bad = hostile if isinstance(hostile, Exception) else answers.raw(hostile[1], hostile[2])

    session, client = play(*[bad] * 12)

    assert client.paths == ["Register"] * 12
    assert session.status().state is SessionState.FAILING
    assert session.status().next_action_in_seconds == 30.0


def test_a_registration_without_a_token_says_so(play, answers):
    session, _ = play(answers.success())

    assert "no token" in session.status().last_error
    assert session.status().state is SessionState.FAILING


@pytest.mark.parametrize("refusal", [{"code": 9}, {"status": 401}, {"status": 403}])
def test_refused_credentials_wait_longer_but_begin_quickly(play, answers, refusal):
    session, client = play(*[answers.refusal(**refusal)] * 12)

    starts = [request.at_seconds for request in client.requests]
    assert starts[4] - starts[0] <= 1 + 2 + 4 + 8
    assert session.status().state is SessionState.REFUSED
    assert session.status().next_action_in_seconds == 300.0


def test_a_changed_own_address_registers_at_once(
    make_client, make_session, clock, next_turn, answers
):
    client = make_client(clock=clock, script=script_of(answers.success("t-1")))
    session = make_session(client)
    next_turn(session, clock)
    client.address = "198.51.100.9"

    next_turn(session, clock)
    at_seconds = clock.monotonic()
    next_turn(session, clock)

    assert client.paths == ["Register", "Keepalive", "Register"]
    assert client.requests[2].body["IP"] == "198.51.100.9"
    assert clock.monotonic() == at_seconds
    assert session.status().address == "198.51.100.9"


def test_an_address_that_was_given_is_sent_as_written_and_never_looked_up(
    make_client, make_session, clock, next_turn, answers
):
    client = make_client(clock=clock, script=script_of(answers.success("t-1")), knows_route=False)
    session = make_session(client, address="127.0.0.1")

    for _ in range(3):
        next_turn(session, clock)

    assert client.paths == ["Register", "Keepalive", "Keepalive"]
    assert client.requests[0].body["IP"] == "127.0.0.1"


def test_without_a_route_the_registration_fails_and_is_tried_again(
    make_client, make_session, clock, next_turn, answers
):
    client = make_client(clock=clock, script=script_of(answers.success("t-1")), knows_route=False)
    session = make_session(client)

    next_turn(session, clock)
    assert session.status().last_error == "no route"
    client.knows_route = True
    next_turn(session, clock)

    assert session.status().is_registered


def test_a_step_of_the_wall_clock_changes_no_interval(play, answers, clock):
    session, _ = play(answers.success("t-1"), answers.success())
    before = session.status()

    clock.wall = clock.wall.replace(year=1990)

    after = session.status()
    assert after.next_action_in_seconds == before.next_action_in_seconds
    assert after.last_contact_seconds_ago == before.last_contact_seconds_ago
    assert revealed(session) == ["t-1"]


def test_the_worst_gap_includes_the_running_one(play, answers, clock):
    session, _ = play(answers.success("t-1"), answers.success(), answers.success())
    assert session.status().worst_gap_seconds == 31.5

    clock.advance(40.0)

    assert session.status().worst_gap_seconds == 40.0
    for _ in range(3):
        session.turn()
        clock.advance(1.0)
        assert session.status().worst_gap_seconds == 40.0


def test_the_gap_is_unknown_before_the_first_contact(play):
    session, _ = play(TransientError("down"))

    assert session.status().worst_gap_seconds is None
    assert session.status().last_contact_at is None


@settings(max_examples=60)
@given(
    fates=st.lists(
        st.sampled_from(["ok", "rotate", "500", "garbage", "hang", "refuse", "forget"]),
        max_size=40,
    ),
    seed=st.randoms(use_true_random=False),
)
def test_whatever_a_platform_does_the_session_goes_on_and_finds_back(
    make_client, make_session, make_clock, answers, next_turn, fates, seed
):
    clock = make_clock()
    left = list(fates)

    def script(path, body):
        fate = left.pop(0) if left else "ok"
        if fate == "hang":
            clock.advance(10.0)
            raise TransientError("deadline")
        if fate == "forget" and path.endswith("Keepalive"):
            return answers.refusal(40401)
        return {
            "500": answers.raw(500),
            "garbage": answers.raw(200, b"\x00garbage"),
            "refuse": answers.refusal(status=401),
        }.get(fate, answers.success(f"t-{len(left)}"))

    client = make_client(clock=clock, script=script)
    session = make_session(client, uniform=seed.uniform)

    while left:
        next_turn(session, clock)
    waited_from = clock.monotonic()
    while not session.status().is_registered or session.status().misses_in_a_row:
        next_turn(session, clock)

    assert clock.monotonic() - waited_from <= 300.0
    assert len(session.current_tokens()) in (1, 2)
    starts = [request.at_seconds for request in client.requests]
    assert all(0 < later - earlier <= 310.0 for earlier, later in itertools.pairwise(starts))


def test_failures_are_logged_when_the_state_changes_and_not_again(play, answers, caplog):
    caplog.set_level(logging.INFO, logger="agent.protocols.acsmp.session")

    play(*[answers.refusal()] * 5, answers.success("t-1"), *[answers.success()] * 5)

    assert len(caplog.records) == 2
    assert "Passw0rd" not in caplog.text
    assert "t-1" not in caplog.text


def test_a_session_runs_in_its_own_thread_and_stops_without_unregistering(
    make_client, make_session, clock, answers
):
    asked = threading.Event()

    def script(path, body):
        asked.set()
        return answers.success("t-1")

    client = make_client(clock=clock, script=script)
    session = make_session(client)
    session.start()
    assert asked.wait(10)

    assert session.is_alive()
    assert session.stop(timeout_seconds=10)
    assert not session.is_alive()
    assert session.status().state is SessionState.STOPPED
    assert client.paths == ["Register"]
    assert not client.is_closed


def test_a_stop_cuts_an_exchange_that_hangs(make_client, make_session, clock):
    asked, closed = threading.Event(), threading.Event()

    def script(path, body):
        asked.set()
        assert closed.wait(10)
        raise TransientError("closed")

    client = make_client(clock=clock, script=script)
    client.close = closed.set
    session = make_session(client)
    session.start()
    assert asked.wait(10)

    assert session.stop(timeout_seconds=5)
    assert closed.is_set()
    assert session.status().registrations_failed == 0


def test_a_loop_that_misses_its_own_times_is_not_alive(make_client, make_session, clock):
    asked, release = threading.Event(), threading.Event()

    def script(path, body):
        asked.set()
        assert release.wait(10)
        raise TransientError("late")

    session = make_session(make_client(clock=clock, script=script))
    session.start()
    assert asked.wait(10)
    assert session.is_alive()
    clock.advance(31.0)
    assert not session.is_alive()
    release.set()
    assert session.stop(timeout_seconds=10)


def test_one_registration_can_be_asked_for_by_itself(make_client, make_session, clock, answers):
    client = make_client(clock=clock, script=script_of(answers.success("t-1")))

    registration = make_session(client).register_once()

    assert registration.token == Secret("t-1")
    assert registration.address == "192.0.2.7"


def test_unregistering_sends_user_and_password_and_reports_a_refusal(
    make_client, make_session, clock, answers, golden
):
    client = make_client(clock=clock, script=script_of(answers.success(), answers.refusal(5)))
    session = make_session(client)

    session.unregister_once()
    assert client.requests[0].path == "/ACSMP/UnRegister"
    assert client.requests[0].body["Password"] == "sealed:Passw0rd"
    with pytest.raises(PlatformRejected) as caught:
        session.unregister_once()
    assert caught.value.code == 5


def test_the_platforms_wish_to_wait_reaches_the_schedule(play, answers):
    session, _ = play(answers.raw(503, b"", 20.0))

    assert session.status().next_action_in_seconds == 20.0
