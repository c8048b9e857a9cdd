"""What the running agent asks the accelerator plugins, and how often."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from agent.app.workloads.grants import Grants
from agent.errors import BadInput, ReadingUnavailable, TransientError
from agent.model.accelerator import ContainerGrant

GRANT = ContainerGrant(devices=("/dev/acme0",))


class HandClock:
    """Is a clock that a test moves."""

    def __init__(self):
        self.seconds = 5.0

    def monotonic(self):
        return self.seconds

    def now(self):
        return datetime(2026, 1, 1, tzinfo=timezone.utc)


class Plugin:
    """Answers as it is told to, and notes what it was asked."""

    def __init__(self, error=None):
        self.error = error
        self.asked = []

    def __call__(self, sections, *, plugin, chips):
        self.asked.append((plugin, tuple(chips)))
        if self.error is not None:
            raise self.error
        return GRANT


@pytest.fixture
def clock():
    return HandClock()


def test_a_plugin_that_is_able_is_asked_once(clock):
    plugin = Plugin()
    grants = Grants({}, clock=clock, ask=plugin)
    for _ in range(3):
        assert grants.can_grant("acme")
        clock.seconds += 1000
    assert plugin.asked == [("acme", ())]


@pytest.mark.parametrize("error", [BadInput("no plugin"), ReadingUnavailable("busy")], ids=str)
def test_one_that_is_not_is_asked_again_after_a_minute(clock, error):
    plugin = Plugin(error)
    grants = Grants({}, clock=clock, ask=plugin)
    assert not grants.can_grant("acme")
    clock.seconds += 59
    assert not grants.can_grant("acme")
    assert len(plugin.asked) == 1
    clock.seconds += 1
    plugin.error = None
    assert grants.can_grant("acme")
    assert len(plugin.asked) == 2


def test_one_vendor_says_nothing_of_another(clock):
    grants = Grants({}, clock=clock, ask=Plugin())
    assert grants.can_grant("acme")
    assert not Grants({}, clock=clock, ask=Plugin(BadInput("x"))).can_grant("acme")


def test_chips_are_asked_for_every_time(clock):
    plugin = Plugin()
    grants = Grants({}, clock=clock, ask=plugin)
    assert grants.grant("acme", ["u1", "u2"]) == GRANT
    assert grants.grant("acme", ["u1", "u2"]) == GRANT
    assert plugin.asked == [("acme", ("u1", "u2"))] * 2


@pytest.mark.parametrize("error", [BadInput("no chip u1"), ReadingUnavailable("busy")], ids=str)
def test_what_cannot_be_granted_is_tried_again_later(clock, error):
    grants = Grants({}, clock=clock, ask=Plugin(error))
    with pytest.raises(TransientError, match=f"no accelerator can be given: {error}"):
        grants.grant("acme", ["u1"])
