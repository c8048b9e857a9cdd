"""A plugin in a real child process, and everything that it can do wrong."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import ClassVar

import pytest

from agent.model.accelerator import AcceleratorProcess, Health
from agent.model.view import PluginState
from agent.sampling import accelerator_host
from agent.sampling.child_process import DeadlineMissed


def test_a_card_arrives_with_its_values(open_host, clock):
    snapshot = open_host().ask()
    assert snapshot.status.state is PluginState.ACTIVE
    assert snapshot.status.detail is None
    assert [each.uuid for each in snapshot.cards.accelerators] == ["card-0", "card-1"]
    reading = snapshot.cards.readings["card-1"]
    assert (reading.memory_used_bytes, reading.power_watts) == (10, 12.5)
    assert reading.health is Health.OK
    assert reading.processes == (AcceleratorProcess(pid=4321, memory_used_bytes=8),)
    assert reading.unknown == {"energy_joules": "not offered"}
    assert snapshot.measured_monotonic_seconds == clock.seconds


def test_the_vendor_is_the_plugin_whatever_it_says(open_host):
    assert {each.vendor for each in open_host().ask().cards.accelerators} == {"fake"}


def test_cards_come_and_go_with_the_vendor_s_list(open_host, cards):
    host = open_host()
    host.ask()
    cards.tell(cards=3)
    assert len(host.ask().cards.accelerators) == 3
    cards.tell(cards=0)
    snapshot = host.ask()
    assert snapshot.cards.accelerators == ()
    assert snapshot.status.state is PluginState.ACTIVE


def test_one_child_serves_all_passes(open_host, cards):
    host = open_host()
    host.ask()
    first = cards.noted("pid")
    host.ask()
    assert cards.noted("pid") == first


def test_a_card_that_is_listed_and_not_read_is_unknown(open_host, cards):
    cards.tell("unplugged in between")
    reading = open_host().ask().cards.readings["card-0"]
    assert reading.memory_used_bytes is None
    assert reading.unknown["memory_used_bytes"] == "the plugin gave no reading of it"


def test_a_hanging_read_costs_the_child_and_its_tool_their_lives(open_host, cards, wait_for_end):
    host = open_host(read_seconds=0.3)
    assert host.ask().status.state is PluginState.ACTIVE
    cards.tell("hang")
    snapshot = host.ask()
    assert snapshot.status.state is PluginState.STALLED
    assert snapshot.status.detail.startswith("no answer within 0.3 s")
    assert wait_for_end(int(cards.noted("pid")))
    assert wait_for_end(int(cards.noted("tool")))
    assert len(snapshot.cards.accelerators) == 2, "the cards stay, and age"


def test_a_stalled_plugin_is_started_again_only_after_a_while(open_host, cards, clock):
    host = open_host(read_seconds=0.3)
    host.ask()
    stalled = cards.noted("pid")
    cards.tell("hang")
    host.ask()
    cards.tell()
    assert host.ask().status.state is PluginState.STALLED, "no second child yet"
    assert cards.noted("pid") == stalled
    clock.seconds += 121
    assert host.ask().status.state is PluginState.ACTIVE
    assert cards.noted("pid") != stalled


def test_a_probe_that_hangs_is_stalled(open_host, cards):
    cards.tell("hang at import")
    status = open_host(probe_seconds=0.5).ask().status
    assert (status.state, status.detail) == (PluginState.STALLED, "no answer within 0.5 s")


def test_a_crash_is_told_by_its_signal(open_host, cards):
    cards.tell("segfault")
    status = open_host().ask().status
    assert status.state is PluginState.FAILING
    assert status.detail.startswith("the plugin's process was ended by SIGSEGV")


def test_an_exit_is_told_with_the_vendor_s_last_words(open_host, cards):
    cards.tell("exit")
    status = open_host().ask().status
    assert status.state is PluginState.FAILING
    assert status.detail == (
        "the plugin's process ended with exit status 7: vendor: fatal: license expired"
    )


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("garbage", "not JSON"),
        ("list", "not a JSON object"),
        ("endless line", "a line without end"),
        ("wrong type", "broke its contract"),
        ("error", "ValueError: a mistake in the plugin"),
        ("unavailable", "the driver is busy; wait"),
        ("close the channel", "closed its output"),
    ],
)
def test_a_misbehaving_plugin_fails_and_comes_back(open_host, cards, clock, mode, words):
    cards.tell(mode)
    host = open_host()
    status = host.ask().status
    assert status.state is PluginState.FAILING
    assert words in status.detail
    cards.tell()
    clock.seconds += 121
    assert host.ask().status.state is PluginState.ACTIVE


def test_what_a_library_prints_does_not_disturb(open_host, cards):
    cards.tell("chatty")
    host = open_host()
    assert host.ask().status.state is PluginState.ACTIVE
    assert host.ask().status.state is PluginState.ACTIVE


def test_not_a_number_is_unknown(open_host, cards):
    cards.tell("nan")
    reading = open_host().ask().cards.readings["card-0"]
    assert reading.utilization_ratio is None
    assert reading.unknown["utilization_ratio"] == "the plugin gave nan, which cannot be"
    assert reading.power_watts == 12.5


def test_an_import_error_breaks_the_plugin_for_good(open_host, cards, clock):
    cards.tell("import error")
    host = open_host()
    status = host.ask().status
    assert status.state is PluginState.BROKEN
    assert "ImportError: libvendor.so.7" in status.detail
    assert "fake_cards.py:" in status.detail
    cards.tell()
    clock.seconds += 1e6
    assert host.ask().status.state is PluginState.BROKEN


def test_a_plugin_that_exits_at_import_is_broken(open_host, cards):
    cards.tell("exit at import")
    assert open_host().ask().status.state is PluginState.BROKEN


def test_a_missing_attribute_is_broken(open_host):
    status = open_host(target="fake_cards:Nothing").ask().status
    assert status.state is PluginState.BROKEN
    assert "Nothing" in status.detail


def test_its_own_section_reaches_the_plugin(open_host):
    cards = open_host(values={"tool": "other-smi"}).ask().cards
    assert cards.accelerators[0].product_name == "other-smi"


def test_a_bad_section_is_told_with_file_line_and_key(open_host):
    status = open_host(values={"tool": "x", "sourze": "tool"}).ask().status
    assert status.state is PluginState.BROKEN
    assert "config.yaml:8" in status.detail
    assert "accelerators.fake" in status.detail
    assert "source" in status.detail


def test_absent_is_looked_for_rarely_and_holds_no_process(open_host, cards, clock, wait_for_end):
    cards.tell("absent")
    host = open_host()
    status = host.ask().status
    assert (status.state, status.detail) == (PluginState.ABSENT, "no fake card; put one in")
    assert wait_for_end(int(cards.noted("pid")))
    cards.tell()
    clock.seconds += 1400
    assert host.ask().status.state is PluginState.ABSENT
    clock.seconds += 401
    assert host.ask().status.state is PluginState.ACTIVE


def test_the_search_for_an_absent_plugin_slows_down_to_six_hours(open_host, cards, clock):
    cards.tell("absent")
    host = open_host()
    for _ in range(8):
        host.ask()
        clock.seconds += 6 * 3600 + 1
    last = cards.noted("pid")
    host.ask()
    assert cards.noted("pid") != last
    last = cards.noted("pid")
    clock.seconds += 17_200
    host.ask()
    assert cards.noted("pid") == last


def test_an_absent_plugin_is_looked_for_as_soon_as_the_hardware_changes(open_host, cards, clock):
    marks = [1]
    cards.tell("absent")
    host = open_host(hardware=lambda: marks[0])
    assert host.ask().status.state is PluginState.ABSENT
    cards.tell()
    clock.seconds += 1
    assert host.ask().status.state is PluginState.ABSENT
    marks[0] = 2
    assert host.ask().status.state is PluginState.ACTIVE


def test_changed_hardware_does_not_shorten_the_backoff_of_a_failure(open_host, cards, clock):
    marks = [1]
    cards.tell("unavailable")
    host = open_host(hardware=lambda: marks[0])
    assert host.ask().status.state is PluginState.FAILING
    cards.tell()
    marks[0] = 2
    assert host.ask().status.state is PluginState.FAILING


def test_a_card_that_leaves_with_its_driver_is_absent(open_host, cards):
    host = open_host()
    host.ask()
    cards.tell("gone")
    snapshot = host.ask()
    assert snapshot.status.state is PluginState.ABSENT
    assert snapshot.cards is None


def test_an_operator_who_insists_sees_absence_as_a_fault(open_host, cards):
    cards.tell("absent")
    status = open_host(enabled=True).ask().status
    assert status.state is PluginState.FAILING
    assert status.detail == "enabled is true, but no fake card; put one in"


def test_a_plugin_that_stays_unavailable_gets_a_new_process(open_host, cards, clock):
    host = open_host()
    host.ask()
    first = cards.noted("pid")
    cards.tell("unavailable")
    for _ in range(2):
        host.ask()
        clock.seconds += 121
    assert cards.noted("pid") == first
    host.ask()
    clock.seconds += 121
    host.ask()
    assert cards.noted("pid") != first


def test_a_change_of_state_is_logged_once(open_host, cards, clock, caplog):
    caplog.set_level(logging.INFO, logger="agent.sampling")
    cards.tell("unavailable")
    host = open_host()
    for _ in range(4):
        host.ask()
        clock.seconds += 121
    assert [record.getMessage() for record in caplog.records] == [
        "plugin=accelerators/fake state=failing before=starting detail=the driver is busy; wait"
    ]


def test_stop_lets_the_plugin_close_and_ends_its_process(open_host, cards, wait_for_end):
    host = open_host()
    host.ask()
    host.host.stop(timeout_seconds=10.0)
    host.host.stop(timeout_seconds=10.0)
    assert wait_for_end(int(cards.noted("pid")))
    assert cards.noted("closed") == cards.noted("pid")


def test_stop_does_not_wait_for_a_hanging_read(open_host, cards, wait_for_end):
    host = open_host(read_seconds=60.0)
    host.ask()
    cards.tell("hang")
    host.done.clear()
    host.host.request()
    _wait_for_file(cards.folder / "tool")
    began = time.monotonic()
    host.host.stop(timeout_seconds=10.0)
    assert time.monotonic() - began < 5.0
    assert wait_for_end(int(cards.noted("pid")))
    assert wait_for_end(int(cards.noted("tool")))


def test_the_child_gets_no_secret_and_nothing_of_the_service_manager(open_host, cards, monkeypatch):
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/notify")
    monkeypatch.setenv("CITY_PASSWORD", "opensesame")
    monkeypatch.setenv("VENDOR_HOME", "/opt/vendor")
    cards.tell("environment")
    open_host().ask()
    environment = cards.noted("environment").splitlines()
    assert "VENDOR_HOME=/opt/vendor" in environment
    assert "LC_ALL=C" in environment
    assert not [line for line in environment if "opensesame" in line or "NOTIFY" in line]


def test_a_stop_of_the_whole_service_does_not_end_the_child_early(open_host, cards):
    host = open_host()
    host.ask()
    os.kill(int(cards.noted("pid")), signal.SIGTERM)
    assert host.ask().status.state is PluginState.ACTIVE


class ChildInTheKernel:
    """Is a child that no signal reaches, until it is let go."""

    started: ClassVar[list[ChildInTheKernel]] = []
    pid = 4711

    def __init__(self, arguments, *, environment, interrupt_fd):
        self.started.append(self)
        self.let_go = False

    def exchange(self, message, *, timeout_seconds):
        raise DeadlineMissed

    def complaint(self):
        return None

    def end(self, *, polite_seconds=0.0):
        return False

    def is_gone(self):
        return self.let_go


def test_a_child_that_cannot_be_killed_is_left_and_has_no_successor(open_host, clock, monkeypatch):
    monkeypatch.setattr(ChildInTheKernel, "started", [])
    monkeypatch.setattr(accelerator_host, "ChildProcess", ChildInTheKernel)
    host = open_host()
    status = host.ask().status
    assert status.state is PluginState.STALLED
    assert status.detail.endswith("; its process 4711 hangs in the kernel and cannot be killed")
    clock.seconds += 1e6
    host.ask()
    assert len(ChildInTheKernel.started) == 1
    ChildInTheKernel.started[0].let_go = True
    host.ask()
    assert len(ChildInTheKernel.started) == 2


_PARENT = """
import sys, threading
from agent.model.clock import SystemClock
from agent.sampling.accelerator_host import AcceleratorHost
from agent.sampling.plugins import PluginPlan
host = AcceleratorHost(
    PluginPlan(group="accelerators", name="fake", target="fake_cards:FakePlugin"),
    clock=SystemClock(), import_paths=[sys.argv[1]], read_seconds=600.0)
host.start()
host.request()
threading.Event().wait()
"""


@pytest.mark.parametrize(
    ("mode", "takes_tools_along"),
    [("hang", True), pytest.param("hang in the interpreter", False, marks=pytest.mark.slow)],
)
def test_the_death_of_the_daemon_ends_the_child(
    cards, fake_wheel, wait_for_end, monkeypatch, mode, takes_tools_along
):
    cards.tell(mode)
    for name, value in cards.environment.items():
        monkeypatch.setenv(name, value)
    with subprocess.Popen([sys.executable, "-c", _PARENT, str(fake_wheel)]) as parent:
        _wait_for_file(cards.folder / "tool")
        parent.send_signal(signal.SIGKILL)
    assert wait_for_end(int(cards.noted("pid")))
    if takes_tools_along:
        assert wait_for_end(int(cards.noted("tool")))
    else:
        subprocess.run(["kill", cards.noted("tool")], check=True)


def test_a_request_returns_at_once_while_the_plugin_hangs(open_host, cards):
    cards.tell("hang")
    host = open_host(read_seconds=5.0)
    began = time.monotonic()
    host.host.request()
    host.host.request()
    host.host.snapshot()
    assert time.monotonic() - began < 1.0
    assert host.host.is_busy()


def _wait_for_file(path: Path) -> None:
    end = time.monotonic() + 30.0
    while not path.exists():
        assert time.monotonic() < end
        threading.Event().wait(0.01)
