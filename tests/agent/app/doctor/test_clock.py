"""What kernel, time services and a platform's Date say of the clock."""

from __future__ import annotations

from datetime import timedelta
from email.utils import format_datetime

import pytest

from agent.app.doctor import clock as clocks
from agent.app.doctor.check import State
from agent.app.doctor.clock import KernelClock
from tests.agent.app.doctor.conftest import NOON

LOOSE = KernelClock(is_synchronised=False, largest_error_seconds=16.0)
SET = KernelClock(is_synchronised=True, largest_error_seconds=0.0125)
CHRONY = "Reference ID    : 00000000 ()\nLeap status     : {}\n"


@pytest.mark.parametrize(
    ("kernel", "is_marked", "chrony", "state"),
    [
        (SET, False, None, State.OK),
        (LOOSE, True, None, State.OK),
        (LOOSE, False, CHRONY.format("Normal"), State.OK),
        (LOOSE, False, CHRONY.format("Not synchronised"), State.WARNING),
        (LOOSE, False, None, State.WARNING),
        (None, False, None, State.SKIPPED),
        (None, True, None, State.OK),
    ],
)
def test_whoever_keeps_the_clock_right_is_believed(kernel, is_marked, chrony, state):
    found = clocks.judge(kernel, is_marked=is_marked, chrony=chrony)
    assert found.state is state
    assert (found.advice is not None) == (state is State.WARNING)


def test_the_kernel_is_asked_without_being_changed():
    kernel = clocks.kernel_clock()
    if kernel is not None:  # a container may forbid the question
        assert 0 <= kernel.largest_error_seconds < 10_000


@pytest.mark.parametrize(
    ("seconds", "state", "words"),
    [
        (0, State.OK, "as that of the platform"),
        (-20, State.OK, "20 s behind the platform"),
        (31, State.WARNING, "31 s ahead of the platform"),
        (-86400, State.WARNING, "86400 s behind the platform"),
    ],
)
def test_the_difference_to_a_platform_is_told(seconds, state, words):
    date = format_datetime(NOON - timedelta(seconds=seconds), usegmt=True)
    found = clocks.against(date, now=NOON, whose="the platform")
    assert (found.state, found.found) == (state, words)


@pytest.mark.parametrize("date", [None, "", "yesterday", "Thu, 01 Jan 2026 12:00:00"])
def test_a_platform_without_a_date_is_no_failure(date):
    assert clocks.against(date, now=NOON, whose="the platform").state is State.SKIPPED
