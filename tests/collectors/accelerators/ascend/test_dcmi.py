"""The library path, on a stand-in for libdcmi.so."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agent.errors import NotPresent, ReadingUnavailable
from agent.model.accelerator import AcceleratorKind, AcceleratorProcess, Health
from collectors.accelerators.ascend import layouts
from collectors.accelerators.ascend.plugin import AscendConfig, AscendPlugin

RUNNER = Path(__file__).parent / "runner.py"
ROOT = Path(__file__).parents[4]
MIB = 1024 * 1024

pytestmark = pytest.mark.peer

VALUES = ("memory_used_bytes", "utilization_ratio", "temperature_celsius", "power_watts")


def both(plugin):
    cards, readings = plugin.list_accelerators(), plugin.read()
    assert [card.uuid for card in cards] == [reading.uuid for reading in readings]
    assert len({card.uuid for card in cards}) == len(cards)
    for card, reading in zip(cards, readings, strict=True):
        for name in (*VALUES, "energy_joules"):
            assert (getattr(reading, name) is None) == bool(reading.unknown.get(name)), name
        assert (reading.health is Health.UNKNOWN) == ("health" in reading.unknown)
        for name in ("product_name", "memory_total_bytes", "pci_address"):
            assert (getattr(card, name) is None) == bool(card.unknown.get(name)), name
    return cards, readings


@pytest.mark.parametrize(
    ("structure", "size"),
    [
        (layouts.ChipInfo, 132),
        (layouts.PcieInfo, 64),
        (layouts.HbmInfo, 32),
        (layouts.MemoryInfo, 112),
        (layouts.OldMemoryInfo, 16),
        (layouts.Elabel, 1280),
        (layouts.ProcessMemory, 16),
    ],
)
def test_structures_have_the_sizes_of_the_interface(structure, size):
    assert ctypes.sizeof(structure) == size


def test_two_chips_of_a_card_are_two_entries(play):
    plugin = play("duo")
    plugin.probe()

    cards, readings = both(plugin)

    assert [(each.card, each.chips_on_card, each.index) for each in cards] == [
        ("0", 2, 0),
        ("0", 2, 1),
        ("32768", 2, 2),
        ("32768", 2, 3),
    ]
    first = cards[0]
    assert first.uuid == "ascend-0000:01:00.0-0"
    assert (first.kind, first.source) == (AcceleratorKind.NPU, "dcmi")
    assert (first.product_name, first.board_name) == ("310P3", "Atlas 300I Duo")
    assert first.memory_total_bytes == 44280 * MIB
    assert readings[0].memory_used_bytes == 2000 * MIB
    assert readings[0].utilization_ratio == 0.37
    assert readings[0].temperature_celsius == 44.0
    assert [each.health for each in readings[:2]] == [Health.OK, Health.WARNING]


def test_the_power_of_a_card_stands_at_its_first_chip(play):
    _, readings = both(play("duo"))

    assert [each.power_watts for each in readings] == [45.2, None, 46.0, None]
    assert "whole card" in readings[1].unknown["power_watts"]


def test_two_dies_share_a_power_meter(play):
    _, readings = both(play("two-dies"))

    assert [each.power_watts for each in readings] == [170.0, None]


def test_many_cards_without_their_helpers(play):
    cards, readings = both(play("eight-910b"))

    assert [each.card for each in cards] == [str(number) for number in range(8)]
    assert {each.chips_on_card for each in cards} == {1}
    assert {each.board_name for each in cards} == {None}  # the label holds a code
    assert [each.power_watts for each in readings] == [pytest.approx(90 + n / 10) for n in range(8)]
    assert [each.memory_used_bytes for each in readings] == [(3000 + n) * MIB for n in range(8)]


def test_hbm_goes_before_ddr(play):
    [card], [reading] = both(play("910a"))

    assert card.memory_total_bytes == 32768 * MIB
    assert reading.memory_used_bytes == 30000 * MIB
    assert reading.health is Health.CRITICAL


def test_the_second_interface(play):
    plugin = play("950")
    plugin.probe()

    [card], [reading] = both(plugin)

    assert (card.index, card.card, card.chips_on_card) == (3, "3", 1)
    assert card.pci_address == "0000:91:00.0"
    assert reading.utilization_ratio == 0.66
    assert reading.power_watts == pytest.approx(298.1)
    assert reading.health is Health.CRITICAL


def test_a_chip_in_error_costs_only_itself(play):
    cards, readings = both(play("one-card-fails"))

    assert [card.card for card in cards] == ["0", "1", "2"]
    assert readings[0].power_watts == 80.0
    assert readings[1].health is Health.UNKNOWN
    assert "off the bus" in readings[1].unknown["temperature_celsius"]
    assert cards[1].pci_address == "0000:c2:00.0"
    assert cards[2].uuid == "ascend-npu2-0"


def test_a_card_that_falls_sick_keeps_its_name(play, tmp_path):
    plugin = play("eight-910b")
    before, _ = both(plugin)
    scenario = tmp_path / "scenario.txt"
    text = scenario.read_text()
    scenario.write_text(
        text.replace("[card 3]", "[card 3]\ndcmi_get_device_health = -8012").replace(
            "[card 4]", "[card 4]\ndcmi_get_device_id_in_card = -8012"
        )
    )

    after, readings = both(plugin)

    assert [card.uuid for card in after] == [card.uuid for card in before]
    assert readings[3].health is Health.UNKNOWN
    assert readings[5].health is Health.OK


def test_a_chip_without_pci_and_a_power_of_nothing(play):
    [card], [reading] = both(play("soc"))

    assert card.uuid == "ascend-npu0-0"
    assert reading.power_watts is None
    assert reading.memory_used_bytes == 1800 * MIB


def test_what_is_not_offered_has_a_reason_each(play):
    [card], [reading] = both(play("unsupported"))

    assert card.memory_total_bytes is None
    assert {name: getattr(reading, name) for name in VALUES} == dict.fromkeys(VALUES)
    assert reading.health is Health.UNKNOWN
    assert reading.unknown["temperature_celsius"] == "not offered by this chip (DCMI)"


def test_an_older_library_is_read_through_its_older_calls(play):
    cards, readings = both(play("duo", is_old=True))

    assert [card.product_name for card in cards] == ["310P3"] * 4
    assert cards[0].memory_total_bytes == 44280 * MIB
    assert readings[0].memory_used_bytes == 44280 * 4 // 100 * MIB  # it gives whole percents
    assert cards[0].pci_address is None
    hbm_cards, _ = both(play("910a", is_old=True))
    assert hbm_cards[0].memory_total_bytes == 32768 * MIB


def test_a_structure_that_grew_is_noticed_and_does_no_harm(play):
    text = "grown = dcmi_get_device_hbm_info\n[card 0]\n[chip]\nname = 910B1\npower = 1\n"
    text += "hbm = 1 65536\n"

    [card], [reading] = both(play(text))

    assert card.memory_total_bytes is None
    assert "longer than this program knows" in card.unknown["memory_total_bytes"]
    assert reading.power_watts == 0.1


@pytest.mark.parametrize(
    ("key", "values", "name"),
    [
        ("temperature", (0x7FFD, 0x7FFF, -1000), "temperature_celsius"),
        ("power", (-1, 0x7FFFFFFF), "power_watts"),
        ("ai_core", (101, 0xFFFFFFFF), "utilization_ratio"),
        ("health", (4, 0xFFFFFFFF), "health"),
        ("hbm", ("70000 65536", "0 0", "-1 65536"), "memory_used_bytes"),
    ],
)
def test_values_that_cannot_be_are_unknown(key, values, name, play):
    for value in values:
        _, [reading] = both(play(f"[card 0]\n[chip]\nname = 910B1\n{key} = {value}\n"))

        assert reading.unknown[name]


def test_cards_that_come_and_go_are_noticed(play, tmp_path):
    plugin = play("duo")
    assert len(both(plugin)[0]) == 4
    scenario = tmp_path / "scenario.txt"
    text = scenario.read_text()

    scenario.write_text(text[: text.index("[card 32768]")])
    assert len(both(plugin)[0]) == 2
    # Another card may come back in the same slot.
    scenario.write_text(text.replace("0 129 0 0", "0 130 0 0"))
    cards, _ = both(plugin)
    assert [card.pci_address for card in cards[2:]] == ["0000:82:00.0"] * 2


def test_no_driver_and_no_card_are_told_apart(play, tmp_path):
    with pytest.raises(NotPresent) as caught:
        play("no-driver").probe()
    assert "-8005" in caught.value.reason
    assert "HwHiAiUser" in caught.value.hint

    with pytest.raises(NotPresent, match="no card"):
        play("no-card").probe()

    # With the driver's nodes on the machine it is here, only not to be read.
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/davinci0").touch()
    plugin = play("no-driver")
    plugin.probe()
    with pytest.raises(ReadingUnavailable, match="-8005"):
        plugin.read()


def test_a_library_that_is_not_there(tmp_path, fake_tool):
    config = AscendConfig(library=str(tmp_path / "libdcmi.so"))
    plugin = AscendPlugin(config, tool=fake_tool(is_installed=False), root=tmp_path)

    with pytest.raises(NotPresent) as caught:
        plugin.probe()
    assert "libdcmi.so" in caught.value.reason
    assert "npu-smi is not on this machine" in caught.value.reason


def _run(dcmi_stub, tmp_path, text, *, timeout):
    path = tmp_path / "scenario.txt"
    path.write_text(text)
    return subprocess.run(
        [sys.executable, RUNNER, dcmi_stub.library],
        env={**os.environ, "PYTHONPATH": str(ROOT), "DCMI_STUB_SCENARIO": str(path)},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def test_a_call_that_hangs_can_be_ended_from_outside(dcmi_stub, tmp_path):
    text = dcmi_stub.scenario("duo").read_text()
    with pytest.raises(subprocess.TimeoutExpired) as caught:
        _run(dcmi_stub, tmp_path, "hang = dcmi_get_device_health\n" + text, timeout=2)
    assert b"hangs in dcmi_get_device_health" in caught.value.stderr


def test_a_call_that_crashes_takes_only_its_process(dcmi_stub, tmp_path):
    text = dcmi_stub.scenario("duo").read_text()
    done = _run(dcmi_stub, tmp_path, "crash = dcmi_get_device_health\n" + text, timeout=60)
    assert done.returncode == -signal.SIGSEGV


PROCESSES = """
[card 0]
[chip]
name = 910B3
hbm = 4096 65536
process = 4242 1073741824
process = 77 99999999999999
[chip]
name = 910B3
hbm = 100 65536
[card 1]
[chip]
name = 910B3
hbm = 100 65536
dcmi_get_device_resource_info = -8002
"""


def test_processes_are_told_for_each_chip(play):
    _, (busy, idle, silent) = both(play(PROCESSES))

    assert busy.processes == (
        # More than the chip has is not believed; that the process is there, is.
        AcceleratorProcess(pid=77),
        AcceleratorProcess(pid=4242, memory_used_bytes=1073741824),
    )
    assert idle.processes == ()
    assert silent.processes is None
    assert silent.unknown["processes"]
    assert silent.memory_used_bytes == 100 * MIB


def test_a_list_of_processes_that_may_be_cut_is_unknown(play):
    rows = "".join(f"process = {pid} 1\n" for pid in range(1, 33))

    _, (reading,) = both(play(f"[card 0]\n[chip]\nname = 910B3\nhbm = 1 65536\n{rows}"))

    assert reading.processes is None
    assert "all processes" in reading.unknown["processes"]


def test_the_second_interface_tells_processes_too(play):
    scenario = (
        "second_interface = 1\n[card 0]\n[chip]\nname = Ascend950PR\nprocess = 4242 1048576\n"
    )

    _, (reading,) = both(play(scenario))

    assert reading.processes == (AcceleratorProcess(pid=4242, memory_used_bytes=1048576),)
