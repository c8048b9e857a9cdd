"""The real NVIDIA plugin and NVIDIA's own binding, in a real child, over the stand-in library."""

from __future__ import annotations

import threading

import pytest

from agent.model.view import PluginState
from agent.sampling import plugins
from agent.sampling.accelerator_host import AcceleratorHost
from agent.sampling.plugins import PluginPlan

pytestmark = pytest.mark.peer


@pytest.fixture
def play(nvml_stub, clock):
    """Return a function that opens a host on a scenario, and one that asks it."""
    opened = []
    (nvidia,) = (each for each in plugins.discover() if each.name == "nvidia")

    def start(name):
        done = threading.Event()
        host = AcceleratorHost(
            PluginPlan(group="accelerators", name="nvidia", target=nvidia.target),
            clock=clock,
            on_done=done.set,
            environment=nvml_stub.environment(nvml_stub.scenario(name)),
            read_seconds=1.0,
            probe_seconds=10.0,
        )
        opened.append(host)
        host.start()

        def ask():
            done.clear()
            host.request()
            assert done.wait(30.0)
            return host.snapshot()

        return ask

    yield start
    for host in opened:
        host.stop(timeout_seconds=10.0)


def test_two_cards_arrive(play):
    snapshot = play("two-cards")()
    assert snapshot.status.state is PluginState.ACTIVE
    readings = [snapshot.cards.readings[each.uuid] for each in snapshot.cards.accelerators]
    assert [each.utilization_ratio for each in readings] == [0.42, 0.0]


def test_a_driver_that_hangs_later_is_stalled_and_its_cards_stay(play):
    ask = play("hang-later")
    states = [ask().status.state]
    while states[-1] is PluginState.ACTIVE and len(states) < 10:
        states.append(ask().status.state)
    assert states[0] is PluginState.ACTIVE
    assert states[-1] is PluginState.STALLED
    assert ask().cards.accelerators


def test_a_driver_that_crashes_later_fails_and_comes_back(play, clock):
    ask = play("crash-later")
    snapshots = [ask()]
    while snapshots[-1].status.state is PluginState.ACTIVE and len(snapshots) < 10:
        snapshots.append(ask())
    assert snapshots[0].status.state is PluginState.ACTIVE
    assert snapshots[-1].status.state is PluginState.FAILING
    assert "was ended by SIG" in snapshots[-1].status.detail
    clock.seconds += 121
    assert ask().status.state is PluginState.ACTIVE


def test_no_driver_is_absent_and_says_what_to_do(play):
    status = play("no-driver")().status
    assert status.state is PluginState.ABSENT
    assert ";" in status.detail
