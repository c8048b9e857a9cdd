"""Checks are run under deadlines, and a stuck one costs no other."""

from __future__ import annotations

import threading

from agent.app.doctor import runner
from agent.app.doctor.check import Check, State, failed, ok, skipped, warning
from agent.errors import NotPresent


def check(name, look, **options):
    return Check(name=name, look=look, **options)


def states(results):
    return [(each.name, each.state) for each in results]


def test_results_stand_in_the_order_of_the_chains(clock):
    slow = threading.Event()

    def first():
        assert slow.wait(20)
        return ok("late")

    def second():
        slow.set()
        return ok("early")

    told = []
    results = runner.run(
        [[check("a", first)], [check("b", second)]], clock=clock, on_result=told.append
    )
    assert [each.name for each in results] == ["a", "b"]
    assert sorted(each.name for each in told) == ["a", "b"]


def test_a_check_that_hangs_is_left_behind_and_the_next_has_its_turn(clock):
    never = threading.Event()
    try:
        results = runner.run(
            [
                [
                    check("stuck", lambda: never.wait() and ok(""), deadline_seconds=0.05),
                    check("behind it", lambda: ok("fine")),
                ]
            ],
            clock=clock,
        )
    finally:
        never.set()
    assert states(results) == [("stuck", State.FAILED), ("behind it", State.OK)]
    assert results[0].found == "no answer within 0 s"
    assert results[0].advice


def test_the_whole_ends_in_time_whatever_hangs(clock):
    never = threading.Event()
    chain = [check(str(number), lambda: never.wait() and ok("")) for number in range(5)]
    try:
        began = clock.monotonic()
        results = runner.run([chain], clock=clock, overall_seconds=0.2)
        assert clock.monotonic() - began < 5
    finally:
        never.set()
    assert [each.state for each in results] == [State.FAILED] * 5


def test_a_check_is_skipped_where_what_it_needs_is_not_there(clock):
    results = runner.run(
        [
            [
                check("dns", lambda: failed("no such name", advice="mend it")),
                check("connect", lambda: ok(""), needs=("dns",)),
                check("tls", lambda: ok(""), needs=("connect",)),
                check("other", lambda: ok("")),
            ]
        ],
        clock=clock,
    )
    assert [each.state for each in results] == [
        *(State.FAILED, State.SKIPPED, State.SKIPPED, State.OK)
    ]
    assert results[1].found == "needs dns, which is failed"
    assert results[2].found == "needs connect, which is skipped"


def test_a_warning_keeps_nobody_from_going_on(clock):
    results = runner.run(
        [
            [
                check("tls", lambda: warning("plain", advice="use https")),
                check("answer", lambda: ok(""), needs=("tls",)),
            ]
        ],
        clock=clock,
    )
    assert [each.state for each in results] == [State.WARNING, State.OK]


def test_an_error_of_ours_becomes_a_failure_with_its_hint(clock):
    def look():
        raise NotPresent("no card", hint="put one in")

    (result,) = runner.run([[check("card", look)]], clock=clock)
    assert (result.state, result.found, result.advice) == (State.FAILED, "no card", "put one in")


def test_a_fault_of_a_check_is_told_and_ends_nothing_else(clock):
    def look():
        raise IndexError("list index out of range")

    results = runner.run([[check("bad", look)], [check("good", lambda: ok(""))]], clock=clock)
    assert states(results) == [("bad", State.FAILED), ("good", State.OK)]
    assert "IndexError" in results[0].found


def test_one_check_may_find_something_about_several(clock):
    (first, second) = runner.run(
        [[check("plugin", lambda: [ok("", subject="a"), skipped("absent", subject="b")])]],
        clock=clock,
    )
    assert [(first.subject, first.state), (second.subject, second.state)] == [
        ("a", State.OK),
        ("b", State.SKIPPED),
    ]
