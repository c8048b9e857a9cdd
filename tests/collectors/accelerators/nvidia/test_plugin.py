"""The plugin through NVIDIA's real binding, on a stand-in for NVIDIA's library."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.peer

T4 = "GPU-11111111-1111-4111-8111-111111111111"
H100 = "GPU-22222222-2222-4222-8222-222222222222"
DIVIDED = "GPU-33333333-3333-4333-8333-333333333333"
VALUES = (
    "memory_used_bytes",
    "utilization_ratio",
    "temperature_celsius",
    "power_watts",
    "energy_joules",
)


@pytest.fixture
def play(nvml_stub, run_plugin, tmp_path):
    """Return a function that performs steps on a named scenario or on a text."""

    def run(scenario, *steps, old_driver=False, **options):
        path = tmp_path / "scenario.txt"
        path.write_text(scenario if "\n" in scenario else nvml_stub.scenario(scenario).read_text())
        return run_plugin(
            *steps,
            environment=nvml_stub.environment(path, old_driver=old_driver),
            **{"root": str(tmp_path / "root"), **options},
        )

    return run


@pytest.fixture
def change(tmp_path):
    """Return a function that makes the step which rewrites the scenario that is played."""

    def step(text, *, name):
        path = tmp_path / name
        path.write_text(text)
        return {"copy": [str(path), str(tmp_path / "scenario.txt")]}

    return step


def results(answers):
    return [answer["result"] for answer in answers]


def test_two_cards_are_listed_in_the_order_of_the_tool(play):
    _, cards, _ = results(play("two-cards", "probe", "list", "close"))

    assert cards == [
        {
            "uuid": T4,
            "vendor": "nvidia",
            "kind": "GPU",
            "index": 0,
            "product_name": "Tesla T4",
            "memory_total_bytes": 16106127360,
            "pci_address": "0000:3b:00.0",
            "parent_uuid": None,
            "board_name": None,
            "card": None,
            "chips_on_card": None,
            "source": "nvml",
            "unknown": {},
        },
        {
            "uuid": H100,
            "vendor": "nvidia",
            "kind": "GPU",
            "index": 1,
            "product_name": "NVIDIA H100 80GB HBM3",
            "memory_total_bytes": 85520809984,
            "pci_address": "0001:af:00.0",
            "parent_uuid": None,
            "board_name": None,
            "card": None,
            "chips_on_card": None,
            "source": "nvml",
            "unknown": {},
        },
    ]


def test_values_come_in_base_units(play):
    [[busy, idle]] = results(play("two-cards", "read"))

    assert busy == {
        "uuid": T4,
        "memory_used_bytes": 5368709120,
        "utilization_ratio": 0.42,
        "temperature_celsius": 61.0,
        "power_watts": 53.25,
        "energy_joules": 987654,
        "health": "ok",
        "processes": [],
        "unknown": {},
    }
    # A measured zero is a value.
    assert idle["memory_used_bytes"] == 0
    assert idle["utilization_ratio"] == 0.0
    assert idle["energy_joules"] == 123456789012


def test_processes_are_those_of_compute_and_of_graphics(play):
    [[users, first, second, silent]] = results(play("processes", "read"))

    assert [list(each.values()) for each in users["processes"]] == [
        [4242, 1073741824, 0.37],
        # What is not available, or more than the card has, is unknown; the process stays.
        [4300, None, None],
        [4400, None, None],
        [4500, 5242880, None],
    ]
    assert [list(each.values()) for each in first["processes"]] == [[5100, 2407530496, None]]
    assert [list(each.values()) for each in second["processes"]] == [[5200, 8388608, None]]
    assert silent["processes"] is None
    assert "does not allow" in silent["unknown"]["processes"]
    assert silent["memory_used_bytes"] == 0
    assert silent["health"] == "ok"


def test_an_older_form_of_the_call_gives_the_same_processes(play):
    [readings] = results(play("processes", "read", old_driver=True))

    assert [each["pid"] for each in readings[0]["processes"]] == [4242, 4300, 4400, 4500]


def test_a_driver_with_longer_rows_is_asked_in_the_older_form(play, nvml_stub):
    scenario = nvml_stub.scenario("processes").read_text().replace("590.48.01", "535.54.03")
    scenario = scenario.replace(
        "process = 4242", "nvmlDeviceGetComputeRunningProcesses_v2 = 3\nprocess = 4242"
    )

    [readings] = results(play(scenario, "read"))

    assert readings[0]["processes"] is None
    assert readings[0]["unknown"]["processes"]


def test_an_old_driver_is_read_through_the_older_calls(play):
    cards, readings = results(play("two-cards", "list", "read", old_driver=True))

    assert [card["memory_total_bytes"] for card in cards] == [16106127360, 85520809984]
    # The first version of the memory call counts the driver's own share as used.
    assert readings[0]["memory_used_bytes"] == 5368709120 + 440401920
    assert readings[0]["temperature_celsius"] == 61.0
    assert readings[0]["health"] == "ok"


def test_mig_slices_stand_in_the_place_of_their_card(play):
    cards, readings = results(play("mig", "list", "read"))

    assert [(card["index"], card["uuid"], card["parent_uuid"]) for card in cards] == [
        (0, "MIG-33333333-0000-4333-8333-333333333333", DIVIDED),
        (3, "MIG-33333333-0003-4333-8333-333333333333", DIVIDED),
        (1, "GPU-44444444-4444-4444-8444-444444444444", None),
    ]
    assert [card["memory_total_bytes"] for card in cards[:2]] == [42412802048, 10468982784]
    assert {card["pci_address"] for card in cards[:2]} == {"0000:09:00.0"}
    assert [reading["uuid"] for reading in readings] == [card["uuid"] for card in cards]
    assert [reading["memory_used_bytes"] for reading in readings] == [11629756416, 9437184, 1048576]
    assert [reading["health"] for reading in readings] == ["ok"] * 3


def test_what_is_measured_for_the_whole_card_is_not_counted_once_a_slice(play):
    [readings] = results(play("mig", "read"))

    for reading in readings[:2]:
        for name in ("power_watts", "energy_joules", "temperature_celsius"):
            assert reading[name] is None
            assert reading["unknown"][name] == f"measured for the whole card {DIVIDED}"
    assert readings[2]["power_watts"] == 60.0


def test_a_card_with_mig_on_and_no_slice_is_listed_itself(play):
    cards, readings = results(play("mig-without-slices", "list", "read"))

    assert [card["uuid"] for card in cards] == [DIVIDED]
    assert readings[0]["power_watts"] == 70.0


def test_a_slice_that_cannot_be_identified_costs_only_itself(play, nvml_stub):
    text = nvml_stub.scenario("mig").read_text()
    text = text.replace("index = 3", "index = 3\nnvmlDeviceGetUUID = 999")

    cards, readings = results(play(text, "list", "read"))

    assert [card["uuid"] for card in cards][1] == f"{DIVIDED}#3"
    assert cards[1]["parent_uuid"] == DIVIDED
    assert "unknown error" in readings[1]["unknown"]["memory_used_bytes"]
    assert readings[0]["memory_used_bytes"] == 11629756416
    assert len(readings) == 3


def test_a_card_that_offers_nothing_is_listed_with_a_reason_for_each_value(play):
    [card], [reading] = results(play("unsupported", "list", "read"))

    assert card["product_name"] == "Orin (nvgpu)"
    assert card["unknown"]["memory_total_bytes"] == "not offered by this card (NVML)"
    assert {name: reading[name] for name in VALUES} == dict.fromkeys(VALUES)
    assert reading["unknown"]["power_watts"] == "not offered by this card (NVML)"
    assert reading["health"] == "unknown"


def test_not_available_is_unknown_and_never_a_large_number(play):
    [card], [reading] = results(play("not-available", "list", "read"))

    assert card["product_name"] is None
    assert card["memory_total_bytes"] is None
    assert card["pci_address"] is None
    assert {name: reading[name] for name in VALUES} == dict.fromkeys(VALUES)
    assert reading["health"] == "unknown"


@pytest.mark.parametrize(
    ("function", "name"),
    [
        ("nvmlDeviceGetMemoryInfo_v2", "memory_used_bytes"),
        ("nvmlDeviceGetUtilizationRates", "utilization_ratio"),
        ("nvmlDeviceGetTemperatureV", "temperature_celsius"),
        ("nvmlDeviceGetPowerUsage", "power_watts"),
        ("nvmlDeviceGetTotalEnergyConsumption", "energy_joules"),
    ],
)
@pytest.mark.parametrize("code", [4, 12345])
def test_a_call_that_fails_costs_only_its_value(play, nvml_stub, function, name, code):
    text = f"{function} = {code}\n" + nvml_stub.scenario("two-cards").read_text()

    [readings] = results(play(text, "read"))

    for reading in readings:
        assert [each for each in VALUES if reading[each] is None] == [name]
        assert reading["health"] == "ok"


@pytest.mark.parametrize("old_driver", [False, True])
def test_a_call_that_is_refused_falls_back_to_the_older_one(play, nvml_stub, old_driver):
    text = "nvmlDeviceGetMemoryInfo_v2 = 25\nnvmlDeviceGetTemperatureV = 3\n"
    text += nvml_stub.scenario("two-cards").read_text()

    [readings] = results(play(text, "read", old_driver=old_driver))

    assert readings[0]["memory_used_bytes"] == 5368709120 + 440401920
    assert readings[0]["temperature_celsius"] == 61.0


def test_a_card_lost_before_the_start_is_listed_by_its_place(play):
    _, cards, readings = results(play("lost", "probe", "list", "read"))

    assert [card["uuid"] for card in cards] == ["nvidia#0", H100]
    assert cards[0]["unknown"]["product_name"] == "the card is lost: it fell off the bus"
    assert [reading["health"] for reading in readings] == ["critical", "ok"]
    assert {name: readings[0][name] for name in VALUES} == dict.fromkeys(VALUES)
    assert readings[1]["power_watts"] == 71.9


def test_a_card_lost_in_the_middle_of_a_pass_costs_only_itself(play, capfd):
    before, *passes = results(play("lost-later", "list", *["read"] * 3, "list"))

    *readings, after = passes
    assert readings[0][0]["health"] == "ok"
    for first, second in readings[1:]:
        assert first["uuid"] == T4
        assert first["health"] == "critical"
        assert first["unknown"]["power_watts"] == "the card is lost: it fell off the bus"
        assert second["power_watts"] == 71.9
    # Its identity is the last that was known.
    assert after == before
    assert capfd.readouterr().err.count("health=critical") == 1


@pytest.mark.parametrize("calls", range(6, 38, 3))
def test_whenever_a_card_is_lost_it_keeps_its_name_and_the_other_its_values(play, nvml_stub, calls):
    text = nvml_stub.scenario("lost").read_text()
    text = text.replace("lost_after_calls = 0", f"lost_after_calls = {calls}")

    before, *passes, after = results(play(text, "list", "read", "read", "read", "list"))

    for lost, other in passes:
        assert lost["uuid"] == T4
        assert other["power_watts"] == 71.9
        assert lost["health"] == "critical" or None not in lost.values()
    assert passes[-1][0]["health"] == "critical"
    assert after == before


def test_the_slices_of_a_lost_card_keep_their_places(play, change, nvml_stub):
    text = nvml_stub.scenario("mig").read_text()
    lost = change(text.replace("mig = 1", "mig = 1\nlost_after_calls = 0"), name="lost")

    before, _, after, readings = results(play("mig", "list", lost, "list", "read"))

    assert after == before
    assert [reading["health"] for reading in readings] == ["critical", "critical", "ok"]


def test_cards_may_come_and_go(play, change, nvml_stub):
    text = nvml_stub.scenario("two-cards").read_text()
    head, _, second = text.split("[card]")
    only_second = change(f"{head}[card]{second}", name="second")
    both = change(text, name="both")

    passes = results(play("two-cards", "read", only_second, "read", "list", both, "read"))

    assert [reading["uuid"] for reading in passes[0]] == [T4, H100]
    assert [reading["uuid"] for reading in passes[2]] == [H100]
    assert passes[3][0]["index"] == 0
    assert [reading["uuid"] for reading in passes[5]] == [T4, H100]


def test_a_lost_card_is_not_taken_for_the_one_that_moved_up(play, change, nvml_stub):
    head, _, second = nvml_stub.scenario("two-cards").read_text().split("[card]")
    lost = second.replace("uuid = GPU-2", "lost_after_calls = 0\nuuid = GPU-7")
    moved = change(f"{head}[card]{second}[card]{lost}", name="moved")

    _, _, cards = results(play("two-cards", "list", moved, "list"))

    assert [card["uuid"] for card in cards] == [H100, "nvidia#1"]


def test_the_library_is_opened_anew_when_the_driver_binds_a_card(play, change, tmp_path, nvml_stub):
    bound = tmp_path / "root/proc/driver/nvidia/gpus"
    bound.mkdir(parents=True)
    mismatch = change(nvml_stub.scenario("version-mismatch").read_text(), name="mismatch")
    arrived = {"make": str(bound / "0000:3b:00.0")}

    answers = play("two-cards", "read", mismatch, "read", arrived, "read")

    # Only opening meets the failure that the new scenario puts there.
    assert "result" in answers[2]
    assert answers[4]["error"] == "ReadingUnavailable"


@pytest.mark.parametrize(
    ("key", "health"),
    [
        ("ecc_uncorrected = 2", "warning"),
        ("rows_pending = 1", "warning"),
        ("rows_failed = 1", "critical"),
        ("recovery_action = 1", "critical"),
        ("recovery_action = 2", "critical"),
        ("recovery_action = 4", "warning"),
        ("nvmlDeviceGetPowerUsage = 16", "critical"),
        ("nvmlDeviceGetTotalEccErrors = 15", "critical"),
    ],
)
def test_health_follows_what_the_card_reports(play, nvml_stub, key, health):
    name = key.split(" ")[0]
    lines = nvml_stub.scenario("two-cards").read_text().splitlines()
    lines = [line for line in lines if not line.startswith(name)]

    [readings] = results(play("\n".join([*lines, key, ""]), "read"))

    assert [reading["health"] for reading in readings] == ["ok", health]


@pytest.mark.parametrize(
    ("scenario", "reason"),
    [
        ("no-driver", "the NVIDIA driver is not loaded"),
        ("no-card", "the NVIDIA driver finds no card"),
    ],
)
def test_nothing_to_read_is_absent_with_a_reason_and_a_hint(play, scenario, reason):
    [answer] = play(scenario, "probe")

    assert answer["error"] == "NotPresent"
    assert answer["reason"] == reason
    assert answer["hint"]


def test_no_library_is_absent(run_plugin, tmp_path):
    probe, read = run_plugin("probe", "read", library=str(tmp_path / "libnvidia-ml.so.1"))

    assert probe["error"] == "NotPresent"
    assert str(tmp_path) in probe["reason"]
    assert "install the NVIDIA driver" in probe["hint"]
    assert read["error"] == "ReadingUnavailable"


def test_an_upgraded_driver_is_there_and_cannot_be_read(play):
    probe, read, listed = play("version-mismatch", "probe", "read", "list")

    assert "error" not in probe
    for answer in (read, listed):
        assert answer["error"] == "ReadingUnavailable"
        assert "different versions" in answer["reason"]
        assert "reboot" in answer["hint"]


def test_a_driver_that_comes_back_is_read_again(play, change, nvml_stub):
    gone = change("nvmlDeviceGetCount_v2 = 9\nnvmlInitWithFlags = 18\n", name="gone")
    back = change(nvml_stub.scenario("two-cards").read_text(), name="back")

    answers = play("two-cards", "read", gone, "read", "read", back, "read")

    assert [answer.get("error") for answer in answers[2:4]] == ["ReadingUnavailable"] * 2
    assert "modprobe" in answers[2]["hint"]
    # The library was closed, and is opened anew in each pass.
    assert "different versions" in answers[3]["reason"]
    assert len(answers[5]["result"]) == 2


def test_another_library_may_be_named(nvml_stub, run_plugin, tmp_path):
    library = tmp_path / "libanother-ml.so"
    library.write_bytes((nvml_stub.folder / "libnvidia-ml.so.1").read_bytes())
    environment = nvml_stub.environment(nvml_stub.scenario("two-cards"))
    del environment["LD_LIBRARY_PATH"]

    probe, read = run_plugin("probe", "read", environment=environment, library=str(library))

    assert "error" not in probe
    assert len(read["result"]) == 2


def test_closing_twice_is_harmless_and_reading_opens_again(play):
    answers = play("two-cards", "close", "read", "close", "close", "read")

    assert [answer.get("error") for answer in answers] == [None] * 5
    assert len(answers[4]["result"]) == 2


def test_a_stuck_card_and_a_crash_are_played_as_such(nvml_stub):
    """Whoever isolates the plugin is tested with these scenarios, so that they must bite."""
    runner = Path(__file__).parent / "runner.py"
    command = [sys.executable, str(runner), json.dumps({"steps": ["read"] * 9})]
    root = str(Path(__file__).parents[4])

    def start(name):
        environment = nvml_stub.environment(nvml_stub.scenario(name))
        return subprocess.Popen(
            command,
            env={**environment, "PYTHONPATH": root},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    with start("crash-later") as crashing:
        assert crashing.wait(30) == -signal.SIGSEGV
    for name in ("hang", "hang-later", "hang-at-start"):
        with start(name) as hanging:
            assert "hangs in nvml" in hanging.stderr.readline()
            assert hanging.poll() is None
            hanging.kill()
