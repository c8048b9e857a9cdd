"""libxpuml through ctypes, on a stand-in with the ABI of the real one."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agent.errors import ReadingUnavailable
from agent.model.accelerator import AcceleratorProcess, Health
from collectors.accelerators.kunlun import xpuml
from collectors.accelerators.kunlun.driver import RecordedDriver
from collectors.accelerators.kunlun.plugin import KunlunConfig, KunlunPlugin

pytestmark = pytest.mark.peer

ROOT = Path(__file__).parents[4]
MIB = 1 << 20


@pytest.fixture
def play(scenario, xpuml_stubs):
    """Return a function that makes a plugin on a stand-in that plays a scenario."""

    def make(name, *, stub="current"):
        scenario(name)
        config = KunlunConfig(library=str(xpuml_stubs[stub]), source="library")
        return KunlunPlugin(config, tools=[], driver=RecordedDriver({}))

    return make


def values(plugin, *names):
    accelerators, readings = plugin.list_accelerators(), plugin.read()
    return [
        tuple(getattr(a if hasattr(a, name) else r, name) for name in names)
        for a, r in zip(accelerators, readings, strict=True)
    ]


@pytest.mark.parametrize(
    "structure",
    [xpuml.Memory, xpuml.Utilization, xpuml.PciInfo, xpuml.Attributes, xpuml.ProcessInfo],
)
def test_a_structure_has_the_size_of_the_interface(structure):
    assert ctypes.sizeof(structure) == xpuml.STRUCTURE_BYTES == 128


def test_fields_stand_where_the_interface_has_them():
    assert (xpuml.Memory.total.offset, xpuml.Memory.used.offset) == (8, 24)
    assert xpuml.Memory.l3_used.offset == 56
    assert (xpuml.PciInfo.device_id.offset, xpuml.PciInfo.bus_id.offset) == (16, 24)
    assert xpuml.Attributes.memory_mebibytes.offset == 40
    assert xpuml.Attributes.serial.offset == 56
    assert (xpuml.ProcessInfo.used.offset, xpuml.ProcessInfo.node_pid.offset) == (8, 24)


def test_two_cards_of_k200_are_four_chips(play):
    found = values(
        play("k200-x4"),
        "index",
        "uuid",
        "product_name",
        "pci_address",
        "memory_total_bytes",
        "memory_used_bytes",
        "utilization_ratio",
        "temperature_celsius",
        "power_watts",
        "health",
        "source",
        "chips_on_card",
    )

    same = ("K200", "0000:1a:00.0", 8064 * MIB)
    other = ("K200", "0000:b1:00.0", 8064 * MIB)
    ok, end = Health.OK, ("xpuml", 2)
    assert found == [
        (0, "0300220107000451-0", *same, 576 * MIB, 0.37, 58.0, 61.234, ok, *end),
        (1, "0300220107000451-1", *same, 12 * MIB, 0.04, 55.0, None, ok, *end),
        (2, "0300220107000777-0", *other, 0, 0.0, 41.0, 44.01, ok, *end),
        (3, "0300220107000777-1", *other, 0, 0.0, 40.0, None, Health.CRITICAL, *end),
    ]


def test_library_and_tool_give_the_same_cards_the_same_names(play, plugin_of, table):
    by_library = play("k200-x4")
    by_table = plugin_of(table("devices-k200-x4"))
    by_rows = plugin_of({("-m",): table("rows-k200-x4")})

    names = ("uuid", "pci_address", "card", "chips_on_card", "product_name", "index")
    assert values(by_library, *names) == values(by_table, *names) == values(by_rows, *names)


def test_many_cards_keep_their_order(play):
    found = values(play("eight-cards"), "index", "power_watts", "utilization_ratio")

    assert found == [(i, 80.0 + i, i / 10) for i in range(8)]


def test_a_lost_card_costs_only_itself(play):
    found = values(play("one-lost"), "uuid", "temperature_celsius", "health")

    assert found == [
        ("0300220107000451-0", 58.0, Health.OK),
        ("kunlun#1", None, Health.CRITICAL),
    ]


def test_a_card_that_is_lost_later_keeps_its_name(play, scenario, tmp_path, monkeypatch):
    plugin = play("k200-x4")
    before = plugin.list_accelerators()
    lines = scenario("k200-x4").read_text().split("[card]")
    lines[3] = f"\nxpumlDeviceGetHandleByIndex = 15{lines[3]}"
    path = tmp_path / "lost.txt"
    path.write_text("[card]".join(lines))
    monkeypatch.setenv("XPUML_STUB_SCENARIO", str(path))

    after = plugin.list_accelerators()
    assert [each.uuid for each in after] == [each.uuid for each in before]
    assert after[2].memory_total_bytes == before[2].memory_total_bytes
    reading = plugin.read()[2]
    assert (reading.health, reading.temperature_celsius) == (Health.CRITICAL, None)


def test_a_lost_card_gets_no_name_of_a_card_that_has_moved_up(play, tmp_path, monkeypatch):
    plugin = play("eight-cards")
    before = plugin.list_accelerators()
    head, first, second, third, *_ = (
        Path(os.environ["XPUML_STUB_SCENARIO"]).read_text().split("[card]")
    )
    path = tmp_path / "moved.txt"
    lost = f"\nxpumlDeviceGetHandleByIndex = 15{third}"
    path.write_text(f"{head}[card]{second}[card]{lost}")
    monkeypatch.setenv("XPUML_STUB_SCENARIO", str(path))

    assert first != second
    assert [card.uuid for card in plugin.list_accelerators()] == [before[1].uuid, "kunlun#1"]


def test_a_call_that_fails_costs_one_value(play):
    plugin = play("one-call-fails")

    [first, second] = values(plugin, "temperature_celsius", "memory_used_bytes", "health")
    assert first == (None, 576 * MIB, Health.OK)
    assert second == (41.0, 0, Health.OK)


def test_calls_that_are_not_supported_leave_values_unknown_with_a_reason(play):
    plugin = play("unsupported")
    [card], [reading] = plugin.list_accelerators(), plugin.read()

    assert (card.uuid, card.product_name) == ("03K07A1124B00003-0", "RG800")
    assert card.unknown == {
        "memory_total_bytes": "the card calls its memory not available (libxpuml)"
    }
    assert reading.health is Health.UNKNOWN
    assert reading.unknown["power_watts"] == "not offered by this card (libxpuml)"
    assert set(reading.unknown) == {
        "memory_used_bytes",
        "utilization_ratio",
        "temperature_celsius",
        "power_watts",
        "energy_joules",
        "health",
        "processes",
    }


def test_a_library_with_shorter_structures_leaves_unknown_what_it_does_not_fill(play):
    names = ("uuid", "product_name", "memory_total_bytes", "utilization_ratio", "power_watts")
    old = play("k200-x4", stub="old")

    assert values(old, *names) == values(play("k200-x4"), *names)
    reading = old.read()[0]
    assert reading.memory_used_bytes is None
    assert "not available" in reading.unknown["memory_used_bytes"]


def test_a_library_with_longer_structures_writes_over_nothing_and_gives_no_number(play):
    plugin = play("k200-x4", stub="grown")
    [card, *_], [reading, *_] = plugin.list_accelerators(), plugin.read()

    assert (card.memory_total_bytes, reading.memory_used_bytes) == (None, None)
    assert "longer structure" in card.unknown["memory_total_bytes"]
    assert reading.temperature_celsius == 58.0


def test_a_divided_card_is_listed_as_its_functions(play):
    found = values(play("sriov"), "product_name", "parent_uuid", "uuid", "power_watts")

    parent = "03K01Z9911A00042-0"
    assert found == [
        ("R200-VF", parent, "kunlun-0000:02:01.0-0", None),
        ("R200-VF", parent, "kunlun-0000:02:01.1-0", None),
    ]


def test_a_newer_library_is_read_where_it_is_asked_for(play):
    found = values(play("kl3"), "product_name", "power_watts", "memory_total_bytes")

    assert found == [("P800 OAM", 84.0, 98304 * MIB)]


def test_the_library_is_closed_after_each_pass(play, xpuml_stubs):
    plugin = play("k200-x4")
    for _ in range(3):
        plugin.list_accelerators()
        plugin.read()

    assert ctypes.CDLL(str(xpuml_stubs["current"])).stub_open_count() == 0


def test_a_driver_that_is_not_loaded_is_said_so(play):
    with pytest.raises(ReadingUnavailable, match="driver is not loaded") as caught:
        play("no-driver").read()
    assert "modprobe kunlun" in caught.value.hint


def run(scenario_path, *, library, timeout):
    return subprocess.run(
        [sys.executable, Path(__file__).with_name("runner.py"), library],
        env={**os.environ, "PYTHONPATH": str(ROOT), "XPUML_STUB_SCENARIO": str(scenario_path)},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def test_a_library_that_crashes_takes_only_its_own_process(scenario, xpuml_stubs):
    done = run(scenario("crash"), library=xpuml_stubs["current"], timeout=30)

    assert done.returncode == -signal.SIGSEGV


def test_a_call_that_never_returns_can_be_killed(scenario, xpuml_stubs):
    process = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("runner.py"), xpuml_stubs["current"]],
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "XPUML_STUB_SCENARIO": str(scenario("hang")),
        },
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert "xpumlDeviceGetMemoryInfo never returns" in process.stderr.readline()
        assert process.poll() is None
        process.kill()
    assert process.returncode == -signal.SIGKILL


def test_processes_go_by_the_numbers_of_the_node(play):
    used, idle, silent = play("processes").read()

    assert used.processes == (
        AcceleratorProcess(pid=4242, memory_used_bytes=2 << 30),
        AcceleratorProcess(pid=4300, memory_used_bytes=MIB),
    )
    assert idle.processes == ()
    assert silent.processes is None
    assert silent.unknown["processes"]
    assert silent.memory_used_bytes == 0


def test_rows_of_another_length_are_noticed(play):
    used, idle, _ = play("processes", stub="grown").read()

    assert used.processes is None
    assert used.unknown["processes"]
    assert idle.processes == ()


def test_an_older_library_knows_no_namespaces(play):
    used, _, _ = play("processes", stub="old").read()

    assert [each.pid for each in used.processes] == [7, 4300]
