"""The whole: plugins, loop, views."""

from __future__ import annotations

import dataclasses
import threading
import time
from pathlib import Path

import pytest

from agent.config.settings import AcceleratorSettings, CollectSettings, NodeSettings, Settings
from agent.model.view import PluginState
from agent.sampling.hosts import HostOptions
from agent.sampling.inspection import inspect_plugins
from agent.sampling.plugins import FoundPlugin
from agent.sampling.sampler import Sampler

FOUND = (
    *(
        FoundPlugin(
            group="collectors",
            name=name.lower(),
            target=f"fake_collectors:{name}",
            distribution="fake-collectors",
        )
        for name in ("Cpu", "Memory", "Disks")
    ),
    FoundPlugin(
        group="accelerators", name="fake", target="fake_cards:FakePlugin", distribution="fake-cards"
    ),
)
HANGING = FoundPlugin(
    group="collectors", name="memory", target="fake_collectors:Hanging", distribution="x"
)


class SlowedClock:
    """Is the machine's clock, moved on by as much as a test says."""

    def __init__(self, clock):
        self._clock = clock
        self.ahead_seconds = 0.0

    def monotonic(self):
        return self._clock.monotonic() + self.ahead_seconds

    def now(self):
        return self._clock.now()


def settings(*, interval_seconds=0.05, disks="auto", accelerators=None):
    return Settings(
        node=NodeSettings(code="11010800005020000001", type="AI_BOX"),
        collect=CollectSettings(interval_seconds=interval_seconds, disks=disks),
        accelerators=accelerators or {},
    )


@pytest.fixture
def options(cards, fake_wheel):
    return HostOptions(
        import_paths=(str(fake_wheel),), environment=cards.environment, read_seconds=0.5
    )


@pytest.fixture
def moving_clock(system_clock):
    return SlowedClock(system_clock)


@pytest.fixture
def open_sampler(moving_clock, options, fake_collectors):
    """Return a function that starts a sampler."""
    opened = []

    def start(given=None, *, found=FOUND, **changes):
        sampler = Sampler(
            given or settings(),
            clock=moving_clock,
            found=found,
            options=dataclasses.replace(options, **changes),
        )
        opened.append(sampler)
        sampler.start()
        return sampler

    yield start
    fake_collectors.released.set()
    for sampler in opened:
        sampler.stop(timeout_seconds=10.0)


def state_of(sampler, name):
    return next(each.state for each in sampler.latest().plugins if each.name == name)


def test_the_first_view_is_there_at_once_and_waits_for_no_card(open_sampler, cards):
    cards.tell("hang at import")
    began = time.monotonic()
    sampler = open_sampler()
    assert time.monotonic() - began < 2.0, "far less than the probe's ten seconds"
    view = sampler.latest()
    assert view.memory.used_bytes == 10
    assert view.cpu.logical_cores == 4
    assert state_of(sampler, "fake") is PluginState.STARTING


def test_everything_arrives(open_sampler, eventually):
    sampler = open_sampler()
    eventually(lambda: state_of(sampler, "fake") is PluginState.ACTIVE)
    view = sampler.latest()
    assert [each.reading.power_watts for each in view.accelerators] == [12.5, 12.5]
    eventually(lambda: sampler.latest().cpu.utilization_ratio == 0.5)
    assert sampler.is_alive(within_seconds=5.0)


def test_the_second_sample_does_not_wait_for_a_long_interval(open_sampler, eventually):
    sampler = open_sampler(settings(interval_seconds=3600.0))
    eventually(lambda: sampler.latest().cpu.utilization_ratio == 0.5)


def test_a_late_answer_is_shown_before_the_next_round(open_sampler, cards, eventually):
    cards.tell("hang at import")
    found = (*(each for each in FOUND if each.name != "memory"), HANGING)
    # Later than the second round, and while another plugin is still out.
    sampler = open_sampler(settings(interval_seconds=3600.0), found=found, probe_seconds=2.0)
    eventually(lambda: state_of(sampler, "fake") is PluginState.STALLED)


def test_a_hanging_card_costs_nobody_else_a_value(open_sampler, cards, eventually):
    sampler = open_sampler(settings(interval_seconds=0.2))
    eventually(lambda: state_of(sampler, "fake") is PluginState.ACTIVE)
    cards.tell("hang")
    eventually(lambda: state_of(sampler, "fake") is PluginState.STALLED)
    eventually(lambda: sampler.latest().accelerators[0].reading.power_watts is None)
    view = sampler.latest()
    assert view.memory.used_bytes == 10
    assert len(view.accelerators) == 2
    reason = view.accelerators[0].reading.unknown["power_watts"]
    assert reason.endswith("plugin stalled (no answer within 0.5 s)")


def test_a_hanging_collector_costs_nobody_else_a_value(open_sampler, eventually):
    found = (*(each for each in FOUND if each.name != "memory"), HANGING)
    sampler = open_sampler(found=found, collect_seconds=0.3)
    eventually(lambda: state_of(sampler, "memory") is PluginState.STALLED)
    view = sampler.latest()
    assert view.memory is None
    assert view.unknown["memory"] == "plugin stalled (no answer within 0.3 s)"
    assert view.cpu.logical_cores == 4
    assert sampler.is_alive(within_seconds=5.0)


def test_values_expire_even_if_nobody_makes_a_view_any_more(open_sampler, moving_clock, eventually):
    sampler = open_sampler(settings(interval_seconds=20.0))
    eventually(lambda: sampler.latest().accelerators != ())
    sampler.stop(timeout_seconds=10.0)
    assert sampler.latest().memory is not None
    moving_clock.ahead_seconds += 61.0
    view = sampler.latest()
    assert (view.cpu, view.memory, view.disks) == (None, None, None)
    assert view.accelerators[0].reading.power_watts is None
    assert not sampler.is_alive(within_seconds=1e6)


def test_a_value_that_was_old_when_its_view_was_made_expires_before_the_view(
    open_sampler, cards, moving_clock, eventually
):
    sampler = open_sampler(settings(interval_seconds=20.0), read_seconds=600.0)
    eventually(lambda: len(sampler.latest().accelerators) == 2)
    cards.tell("hang")
    eventually((cards.folder / "tool").exists)
    moving_clock.ahead_seconds += 40.0
    before = sampler.latest().taken_monotonic_seconds
    sampler.reload(settings(interval_seconds=20.0))
    eventually(lambda: sampler.latest().taken_monotonic_seconds > before)
    assert sampler.latest().accelerators[0].reading.power_watts == 12.5
    moving_clock.ahead_seconds += 25.0
    view = sampler.latest()
    assert view.accelerators[0].reading.power_watts is None
    assert view.memory.used_bytes == 10


def test_a_loop_that_is_late_is_not_alive(open_sampler, moving_clock):
    sampler = open_sampler(settings(interval_seconds=3600.0))
    moving_clock.ahead_seconds += 10_000.0
    assert not sampler.is_alive(within_seconds=60.0)


def test_views_are_frozen(open_sampler):
    with pytest.raises(dataclasses.FrozenInstanceError):
        open_sampler().latest().memory = None


def test_a_reload_restarts_only_what_changed(open_sampler, cards, fake_collectors, eventually):
    sampler = open_sampler()
    eventually(lambda: state_of(sampler, "fake") is PluginState.ACTIVE)
    first = cards.noted("pid")
    sampler.reload(settings(disks=("/data", "/more")))
    eventually(lambda: len(sampler.latest().disks or ()) == 2)
    assert fake_collectors.closed == ["Disks"]
    assert cards.noted("pid") == first


def test_a_reload_switches_a_plugin_off_and_on(open_sampler, cards, eventually, wait_for_end):
    sampler = open_sampler()
    eventually(lambda: state_of(sampler, "fake") is PluginState.ACTIVE)
    off = {"fake": AcceleratorSettings(enabled=False)}
    sampler.reload(settings(accelerators=off))
    assert wait_for_end(int(cards.noted("pid")))
    eventually(lambda: state_of(sampler, "fake") is PluginState.DISABLED)
    assert sampler.latest().accelerators == ()
    sampler.reload(settings())
    eventually(lambda: state_of(sampler, "fake") is PluginState.ACTIVE)


def test_a_reload_gives_a_broken_plugin_another_chance(open_sampler, cards, eventually):
    cards.tell("import error")
    sampler = open_sampler()
    eventually(lambda: state_of(sampler, "fake") is PluginState.BROKEN)
    cards.tell()
    sampler.reload(settings())
    eventually(lambda: state_of(sampler, "fake") is PluginState.ACTIVE)


def test_a_reload_takes_up_the_interval_at_once(open_sampler):
    sampler = open_sampler(settings(interval_seconds=3600.0))
    before = sampler.latest().taken_monotonic_seconds
    sampler.reload(settings(interval_seconds=0.05))
    end = time.monotonic() + 10.0
    while sampler.latest().taken_monotonic_seconds - before < 0.2:
        assert time.monotonic() < end
        threading.Event().wait(0.01)


def test_stop_is_bounded_and_ends_every_thread(open_sampler, cards, eventually, wait_for_end):
    before = set(threading.enumerate())
    files = set(Path("/proc/self/fd").iterdir())
    sampler = open_sampler()
    eventually(lambda: state_of(sampler, "fake") is PluginState.ACTIVE)
    started = {each.name for each in set(threading.enumerate()) - before}
    assert started == {
        "sampler",
        "accelerators-fake",
        "collectors-cpu",
        "collectors-memory",
        "collectors-disks",
    }
    sampler.stop(timeout_seconds=10.0)
    sampler.stop(timeout_seconds=10.0)
    assert set(threading.enumerate()) <= before
    assert set(Path("/proc/self/fd").iterdir()) <= files
    assert wait_for_end(int(cards.noted("pid")))


def test_one_sample_needs_no_loop(fake_collectors, options, system_clock, cards, wait_for_end):
    sampler = Sampler(settings(), clock=system_clock, found=FOUND, options=options)
    view = sampler.sample_once(deadline_seconds=10.0)
    assert view.cpu.utilization_ratio == 0.5
    assert len(view.accelerators) == 2
    assert {each.state for each in view.plugins} == {PluginState.ACTIVE}
    assert wait_for_end(int(cards.noted("pid")))


def test_one_sample_ends_at_its_deadline(fake_collectors, options, system_clock, cards):
    cards.tell("hang at import")
    sampler = Sampler(settings(), clock=system_clock, found=FOUND, options=options)
    began = time.monotonic()
    view = sampler.sample_once(deadline_seconds=1.0)
    assert time.monotonic() - began < 5.0
    assert view.memory.used_bytes == 10
    assert next(each for each in view.plugins if each.name == "fake").state is PluginState.STARTING


def test_every_state_is_inspected_once(fake_collectors, options, cards):
    cards.tell("import error")
    statuses = inspect_plugins(settings(), found=FOUND, options=options)
    assert [(each.name, each.state) for each in statuses] == [
        ("cpu", PluginState.ACTIVE),
        ("disks", PluginState.ACTIVE),
        ("memory", PluginState.ACTIVE),
        ("fake", PluginState.BROKEN),
    ]
