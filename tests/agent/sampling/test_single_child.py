"""One plugin is asked in its child process, and whatever it does, the command gets words."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from agent.model.accelerator import ContainerGrant
from agent.model.view import PluginState
from agent.sampling import single_child
from agent.sampling.hosts import HostOptions
from agent.sampling.plugins import PluginPlan, accelerator_plans
from agent.sampling.single_child import PluginFailed, SingleChild


@pytest.fixture
def plan(acme):
    return accelerator_plans({}, found=acme.found)["acme"]


@pytest.fixture
def fake_plan():
    return PluginPlan(group="accelerators", name="fake", target="fake_cards:FakePlugin")


@pytest.fixture
def fake_options(cards, fake_wheel):
    return HostOptions(import_paths=(str(fake_wheel),), environment=cards.environment)


def failure(plan, options, ask, **arguments):
    """Return how asking a plugin failed."""
    with (
        pytest.raises(PluginFailed) as failed,
        SingleChild(plan, options=options, **arguments) as child,
    ):
        ask(child)
    return failed.value.state, failed.value.reason


def test_cards_a_recording_and_a_grant_come_out_of_one_child(plan, acme):
    with SingleChild(plan, options=acme.options) as child:
        assert [each.index for each in child.read().accelerators] == [0, 1]
        files = child.record()
        assert child.grant([]) == ContainerGrant()
        assert [each.vendor for each in child.read().accelerators] == ["acme", "acme"]
    assert json.loads(files["index.json"])["tools"][0]["program"] == "acme-smi"
    assert "A2 Pro" in files["acme-smi.txt"]


def test_a_recording_is_read_in_place_of_the_machine(plan, acme):
    with SingleChild(plan, options=acme.options) as child:
        live, files = child.read(), child.record()
    acme.print("another machine")
    nowhere = HostOptions(environment={"PATH": "/nonexistent"})
    with SingleChild(plan, options=nowhere, replayed=files) as child:
        assert child.read() == live


def test_a_recording_longer_than_a_message_goes_both_ways(plan, acme):
    table = (acme.folder / "printed").read_text()
    acme.print(table + "板\n" * 600_000)
    with SingleChild(plan, options=acme.options) as child:
        files = child.record()
    assert len(files["acme-smi.txt"]) > 1_200_000
    with SingleChild(plan, options=acme.options, replayed=files) as child:
        assert len(child.read().accelerators) == 2


def test_one_that_finds_nothing_can_still_be_asked_for_a_recording(plan, acme):
    acme.print("driver not loaded\n", exit_status=1)
    with SingleChild(plan, options=acme.options, stays=True) as child:
        assert "driver not loaded" in child.record()["acme-smi.txt"]
    nowhere = replace(acme.options, environment={"PATH": "/nonexistent"})
    with SingleChild(plan, options=nowhere, stays=True) as child:
        assert child.probed is not None
        assert child.probed.state is PluginState.ABSENT
        with pytest.raises(PluginFailed):
            child.record()


def test_one_that_is_absent_says_so_and_what_to_do(plan, acme):
    nowhere = HostOptions(environment={"PATH": "/nonexistent"})
    state, reason = failure(plan, nowhere, lambda child: child.read())
    assert state is PluginState.ABSENT
    assert reason.startswith("acme-smi is not on this machine; ")


@pytest.mark.parametrize(
    ("mode", "state", "reason"),
    [
        ("import error", PluginState.BROKEN, "libvendor.so.7"),
        ("absent", PluginState.ABSENT, "no fake card; put one in"),
        ("probe fails", PluginState.FAILING, "the driver is upset"),
        ("unavailable", PluginState.FAILING, "the driver is busy; wait"),
        ("gone", PluginState.ABSENT, "the last card was pulled out"),
        ("segfault", PluginState.FAILING, "ended by SIGSEGV"),
        ("exit", PluginState.FAILING, "license expired"),
        ("garbage", PluginState.FAILING, "what is not JSON"),
        ("endless line", PluginState.FAILING, "a line without end"),
    ],
)
def test_whatever_goes_wrong_is_told_in_words(fake_plan, fake_options, cards, mode, state, reason):
    cards.tell(mode)
    found = failure(fake_plan, fake_options, lambda child: child.read())
    assert found[0] is state
    assert reason in found[1]


def test_one_that_hangs_is_ended_with_its_tools(fake_plan, fake_options, cards, wait_for_end):
    cards.tell("hang")
    options = replace(fake_options, read_seconds=1.0)
    assert failure(fake_plan, options, lambda child: child.read()) == (
        PluginState.STALLED,
        "no answer within 1 s",
    )
    assert wait_for_end(int(cards.noted("pid")))
    assert wait_for_end(int(cards.noted("tool")))


@pytest.mark.parametrize(
    ("ask", "reason"),
    [
        (lambda child: child.record(), "this plugin cannot record"),
        (lambda child: child.grant(["card-0"]), "cannot hand its cards to a container"),
    ],
)
def test_what_a_plugin_does_not_offer_is_said(fake_plan, fake_options, ask, reason):
    state, told = failure(fake_plan, fake_options, ask)
    assert (state, reason in told) == (PluginState.FAILING, True)


def test_a_plugin_that_cannot_replay_says_so(fake_plan, fake_options):
    found = failure(fake_plan, fake_options, lambda child: child.read(), replayed={"a.txt": "x"})
    assert found == (PluginState.FAILING, "this plugin cannot read recordings")


def test_files_of_another_plugin_are_refused(plan, acme):
    state, reason = failure(plan, acme.options, lambda child: child.read(), replayed={"a": "x"})
    assert (state, reason) == (PluginState.FAILING, "this is no recording: index.json is missing")


def test_files_that_cannot_travel_start_no_child(plan, acme, monkeypatch):
    monkeypatch.setattr(single_child, "ChildProcess", None)
    state, reason = failure(plan, acme.options, lambda child: child.read(), replayed={"../up": "x"})
    assert state is PluginState.FAILING
    assert "may not have a file called" in reason


def test_a_child_that_has_ended_is_not_asked(plan, acme):
    with SingleChild(plan, options=acme.options) as child:
        pass
    with pytest.raises(PluginFailed, match="has ended"):
        child.read()
