"""The calls of cndev on a stand-in for Cambricon's library, of this release, an old and a later."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agent.model.accelerator import AcceleratorProcess, Health
from collectors.accelerators.cambricon import cndev, explain
from collectors.accelerators.cambricon.cndev import Cndev
from collectors.accelerators.cambricon.facts import Unknown
from collectors.accelerators.cambricon.library import LiveCalls, RecordedCalls, RecordingCalls

ROOT = Path(__file__).parents[4]
CHILD = """
import sys
from collectors.accelerators.cambricon.cndev import Cndev
from collectors.accelerators.cambricon.library import LiveCalls
cndev = Cndev(LiveCalls(sys.argv[1]))
assert cndev.open() is None
cndev.chips()
"""


def opened(library: str) -> Cndev:
    asked = Cndev(LiveCalls(library, environment={}))
    assert asked.open() is None
    return asked


@pytest.mark.peer
def test_a_chip_tells_everything(stub):
    first, second = opened(stub("two-chips")).chips()

    assert first.uuid == "01012001-1913-0000-0000-00000000a001"
    assert first.name == "MLU370-X8"
    assert first.pci_address == "0000:1a:00.0"
    assert first.serial == second.serial == "4bd00123"
    assert isinstance(first.board_serial, Unknown)
    assert first.load.memory_total_mebibytes == 23374
    assert first.load.memory_used_mebibytes == 1024
    assert first.load.utilization_percent == 37
    assert first.temperature_celsius == 54
    assert first.power_watts == 112
    assert first.verdict.health is Health.OK
    assert second.load.utilization_percent == 0


@pytest.mark.peer
def test_a_longer_structure_of_a_later_library_is_read(stub):
    now = opened(stub("two-chips")).chips()

    later = opened(stub("two-chips", kind="grown")).chips()

    assert later == now


@pytest.mark.peer
def test_a_shorter_structure_of_an_old_library_leaves_no_made_up_value(stub):
    first, _ = opened(stub("two-chips", kind="old")).chips()

    assert first.load.memory_total_mebibytes == 23374
    assert first.power_watts == 112
    assert first.name == "MLU370-X8"
    assert first.pci_address == "0000:1a:00.0"
    # This library has no sensor in the chip and writes nothing in its place.
    assert first.temperature_celsius == 48
    # It tells the health and neither of the states behind it.
    assert first.verdict.health is Health.OK


@pytest.mark.peer
def test_an_older_version_of_the_interface_is_asked_for_where_6_is_refused(stub):
    calls = LiveCalls(stub("two-chips", kind="old"), environment={})
    assert calls.load() is None
    calls.call("cndevInit", 0)

    assert calls.call("cndevGetDeviceCount").value == {"number": 2}


@pytest.mark.peer
def test_instances_of_mim_are_found_with_their_own_memory(stub):
    divided, whole = opened(stub("mim")).chips()

    assert [each.number for each in divided.instances] == [1, 3]
    assert divided.instances[0].load.memory_used_mebibytes == 512
    assert divided.instances[0].load.utilization_percent == 80
    assert divided.instances[0].nodes == (
        "/dev/cambricon_ipcm0",
        "/dev/cambricon-caps/cap_dev0_mi1",
    )
    # This one is not served by its own handle: its profile says 32gb and 32768.
    assert divided.instances[1].load.memory_total_mebibytes == 32768
    assert isinstance(divided.instances[1].load.memory_used_mebibytes, Unknown)
    assert whole.instances == ()


@pytest.mark.peer
def test_instances_in_an_unknown_layout_are_not_guessed(stub):
    divided, _ = opened(stub("mim", kind="grown")).chips()

    assert divided.instances == ()


@pytest.mark.peer
def test_more_instances_than_expected_are_asked_for_again(stub):
    instances = "".join(
        f"[instance]\nid = {number}\nuuid = 01012001-1915-0000-0000-0000000000{number:02d}\n"
        for number in range(1, 31)
    )
    (card,) = opened(stub(f"[card]\nname = MLU590\nmemory_total = 1\nmim = 1\n{instances}")).chips()

    assert len(card.instances) == 30


@pytest.mark.peer
def test_a_sick_card_costs_only_itself(stub):
    first, sick, third = opened(stub("sick")).chips()

    assert first.power_watts == 32
    assert sick.verdict.health is Health.CRITICAL
    assert isinstance(sick.load.memory_total_mebibytes, Unknown)
    assert third.verdict.health is Health.WARNING
    assert third.verdict.because == "the health check warns; temperature too high"


@pytest.mark.peer
def test_what_is_not_supported_is_unknown_and_says_so(stub):
    (card,) = opened(stub("unsupported")).chips()

    assert card.load.memory_total_mebibytes == 4096
    for answer in (card.power_watts, card.temperature_celsius, card.load.utilization_percent):
        assert answer == Unknown("not offered by this card (cndev)", explain.NOT_SUPPORTED)
    assert card.verdict.health is Health.UNKNOWN


@pytest.mark.peer
@pytest.mark.parametrize(("family", "name"), [(1, "MLU270"), (20, "MLU290"), (26, "MLU590")])
def test_a_card_without_a_name_has_that_of_its_family(stub, family, name):
    (card,) = opened(stub(f"[card]\nmemory_total = 1\nfamily = {family}\n")).chips()

    assert card.name == name


@pytest.mark.peer
@pytest.mark.parametrize(("code", "word"), [(1, "not loaded"), (2, "too old"), (13, "not allow")])
def test_a_library_that_refuses_to_start_says_why(stub, code, word):
    refused = Cndev(LiveCalls(stub(f"cndevInit = {code}\n"), environment={})).open()

    assert refused is not None
    assert refused.code == code
    assert word in refused.reason


@pytest.mark.peer
def test_an_absurd_number_of_cards_is_refused(stub):
    answer = opened(stub("cards = 4000000\n")).chips()

    assert isinstance(answer, Unknown)


@pytest.mark.peer
def test_a_recording_of_the_calls_plays_back_the_same_chips(stub):
    calls = RecordingCalls(LiveCalls(stub("mim"), environment={}))
    asked = Cndev(calls)
    assert asked.open() is None
    chips = asked.chips()

    again = Cndev(RecordedCalls(calls.answers))
    assert again.open() is None

    assert again.chips() == chips
    assert "cndevGetUUID(100)" in calls.answers


def test_a_missing_library_is_told_from_a_broken_one(tmp_path):
    missing = LiveCalls("libcndev-that-nobody-has.so", environment={}).load()
    broken_file = tmp_path / "libcndev.so"
    broken_file.write_text("not a library")
    broken = LiveCalls(str(broken_file), environment={}).load()

    assert missing is not None
    assert missing.code == explain.LIBRARY_NOT_FOUND
    assert broken is not None
    assert broken.code == explain.LIBRARY_UNUSABLE


@pytest.mark.peer
def test_the_library_is_found_below_neuware_home(stub, tmp_path):
    folder = tmp_path / "neuware" / "lib64"
    folder.mkdir(parents=True)
    Path(stub("two-chips")).rename(folder / "libcndev-there.so")

    calls = LiveCalls("libcndev-there.so", environment={"NEUWARE_HOME": str(tmp_path / "neuware")})

    assert calls.load() is None


@pytest.mark.peer
def test_a_hang_in_the_driver_stays_in_the_child(stub):
    library = stub("hang = cndevGetTemperatureInfo\n[card]\nname = MLU370-S4\nboard = 40\n")
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, library],
        stderr=subprocess.PIPE,
        text=True,
        env={"CNDEV_STUB_SCENARIO": str(Path(library).parent / "scenario.txt"), "PYTHONPATH": ROOT},
    )
    try:
        assert child.stderr is not None
        assert "never returns" in child.stderr.readline()
        assert child.poll() is None
    finally:
        child.kill()
        child.communicate()


@pytest.mark.peer
def test_a_crash_in_the_library_stays_in_the_child(stub):
    library = stub("crash = cndevGetUUID\n[card]\nname = MLU370-S4\n")
    done = subprocess.run(
        [sys.executable, "-c", CHILD, library],
        env={"CNDEV_STUB_SCENARIO": str(Path(library).parent / "scenario.txt"), "PYTHONPATH": ROOT},
        timeout=60,
        check=False,
    )

    assert done.returncode == -signal.SIGSEGV


@pytest.mark.parametrize(
    ("values", "health"),
    [
        ({"health": 1}, Health.OK),
        ({"health": 1, "device_state": 1, "driver_state": 4, "overall": 0}, Health.OK),
        ({"health": 0}, Health.CRITICAL),
        ({"health": 1, "device_state": 0}, Health.CRITICAL),
        ({"health": 1, "driver_state": 7}, Health.CRITICAL),
        ({"health": 1, "driver_state": 6}, Health.WARNING),
        ({"health": 1, "driver_state": 99}, Health.WARNING),
        ({"health": 1, "overall": 20}, Health.CRITICAL),
        ({"health": 7}, Health.UNKNOWN),
        ({"health": None}, Health.UNKNOWN),
        ({}, Health.UNKNOWN),
    ],
)
def test_only_a_card_that_is_called_healthy_is_ok(values, health):
    assert cndev.verdict(values).health is health


PROCESSES = """
[card]
uuid = 01012001-1913-0000-0000-00000000a001
name = MLU370-X8
memory_total = 23374
process = 4242 1048576
process = 77 2048

[card]
uuid = 01012001-1913-0000-0000-00000000a002
name = MLU370-X8
cndevGetProcessInfo = 2
"""


@pytest.mark.peer
def test_processes_are_told_in_bytes(stub):
    first, second = opened(stub(PROCESSES)).chips()

    assert first.users == (
        AcceleratorProcess(pid=4242, memory_used_bytes=2**30),
        AcceleratorProcess(pid=77, memory_used_bytes=2**21),
    )
    assert isinstance(second.users, Unknown)
    assert isinstance(second.load.memory_total_mebibytes, Unknown)


@pytest.mark.peer
def test_more_processes_than_expected_are_all_told(stub):
    rows = "".join(f"process = {pid} 1\n" for pid in range(1, 101))

    (chip,) = opened(stub(f"[card]\nname = MLU590\n{rows}")).chips()

    assert [each.pid for each in chip.users] == list(range(1, 101))


@pytest.mark.peer
def test_longer_rows_of_a_later_library_are_noticed(stub):
    first, _ = opened(stub(PROCESSES, kind="grown")).chips()

    assert isinstance(first.users, Unknown)


@pytest.mark.peer
def test_an_idle_chip_is_used_by_nobody(stub):
    first, _ = opened(stub("two-chips")).chips()

    assert first.users == ()
