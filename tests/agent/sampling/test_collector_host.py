"""A collector in a thread of the daemon, and everything that it can do wrong."""

from __future__ import annotations

import threading

import pytest

from agent.errors import NotPresent, ReadingUnavailable
from agent.model.readings import MemoryReading
from agent.model.view import PluginState
from agent.sampling.collector_host import CollectorHost
from agent.sampling.plugins import PluginPlan


@pytest.fixture
def ask(fake_collectors, clock):
    """Return a function that opens a collector, or asks the open one again."""
    done = threading.Event()
    hosts = []

    def answer(name=None, *, values=()):
        if name is not None:
            plan = PluginPlan(
                group="collectors",
                name=name.lower(),
                target=f"fake_collectors:{name}",
                values=values,
            )
            hosts.append(CollectorHost(plan, clock=clock, on_done=done.set))
            hosts[-1].start()
        done.clear()
        hosts[-1].request()
        assert done.wait(10.0)
        return hosts[-1].snapshot()

    yield answer
    fake_collectors.released.set()
    for host in hosts:
        host.stop(timeout_seconds=5.0)
    assert all(not host.is_busy() for host in hosts)


def test_a_reading_arrives(ask, clock):
    snapshot = ask("Memory")
    assert snapshot.status.state is PluginState.ACTIVE
    assert snapshot.readings == (MemoryReading(total_bytes=100, used_bytes=10),)
    assert snapshot.measured_monotonic_seconds == clock.seconds


def test_its_own_setting_reaches_the_collector(ask):
    snapshot = ask("Disks", values=(("disks", ("/data",)),))
    assert [each.mount_path for each in snapshot.readings] == ["/data"]


def test_a_setting_that_the_collector_does_not_know_is_not_forced_on_it(ask):
    assert ask("Memory", values=(("disks", "auto"),)).status.state is PluginState.ACTIVE


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        (ReadingUnavailable("the kernel is silent", hint="wait"), "the kernel is silent; wait"),
        (ZeroDivisionError("a mistake"), "ZeroDivisionError: a mistake"),
    ],
)
def test_a_failure_keeps_the_last_value_to_age(ask, clock, fake_collectors, error, detail):
    first = ask("Troubled")
    clock.seconds += 15
    fake_collectors.trouble.append(error)
    snapshot = ask()
    assert (snapshot.status.state, snapshot.status.detail) == (PluginState.FAILING, detail)
    assert snapshot.readings == first.readings
    assert snapshot.measured_monotonic_seconds == clock.seconds - 15
    fake_collectors.trouble.clear()
    assert ask().status.state is PluginState.ACTIVE


def test_absence_is_looked_at_again_after_a_minute(ask, clock, fake_collectors):
    fake_collectors.trouble.append(NotPresent("no such thing", hint="buy one"))
    status = ask("Troubled").status
    assert (status.state, status.detail) == (PluginState.ABSENT, "no such thing; buy one")
    fake_collectors.trouble.clear()
    assert ask().status.state is PluginState.ABSENT
    clock.seconds += 61
    assert ask().status.state is PluginState.ACTIVE


@pytest.mark.parametrize(("name", "word"), [("Unbuildable", "no"), ("Missing", "Missing")])
def test_what_cannot_be_loaded_is_broken(ask, name, word):
    status = ask(name).status
    assert status.state is PluginState.BROKEN
    assert word in status.detail


def test_what_is_no_reading_is_refused(ask):
    snapshot = ask("Lying")
    assert snapshot.status.state is PluginState.FAILING
    assert snapshot.readings is None


def test_a_collector_that_does_not_return_is_stalled_and_asked_no_second_time(
    fake_collectors, clock, eventually
):
    plan = PluginPlan(group="collectors", name="memory", target="fake_collectors:Hanging")
    host = CollectorHost(plan, clock=clock, collect_seconds=5.0)
    host.start()
    host.request()
    assert host.snapshot().status.state is PluginState.STARTING
    clock.seconds += 6
    host.request()
    status = host.snapshot().status
    assert (status.state, status.detail) == (PluginState.STALLED, "no answer within 5 s")
    fake_collectors.released.set()
    eventually(lambda: not host.is_busy())
    assert host.snapshot().status.state is PluginState.ACTIVE
    host.stop(timeout_seconds=5.0)
    assert fake_collectors.closed == ["Hanging"]


def test_stop_leaves_a_stuck_thread_behind(fake_collectors, clock):
    plan = PluginPlan(group="collectors", name="memory", target="fake_collectors:Hanging")
    host = CollectorHost(plan, clock=clock)
    host.start()
    host.request()
    host.stop(timeout_seconds=0.05)
    assert host.is_busy()
