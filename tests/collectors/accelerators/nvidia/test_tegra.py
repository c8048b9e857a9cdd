"""The GPU of a Jetson: NVML's part of it, and the kernel's."""

from __future__ import annotations

import dataclasses
import errno
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import NotPresent, ReadingUnavailable
from agent.model.accelerator import AcceleratorReading, Health
from collectors.accelerators.machine_files import LiveFiles
from collectors.accelerators.nvidia import tegra_convert
from collectors.accelerators.nvidia.calls import RecordedLibrary
from collectors.accelerators.nvidia.files import Unreadable
from collectors.accelerators.nvidia.plugin import NvidiaConfig, NvidiaPlugin
from collectors.accelerators.nvidia.tegra import Rail, TegraSensors

STATISTICS = Path(__file__).resolve().parents[1] / "expected/nvidia/tegra"

NO_LIBRARY = {"nvmlInit()": {"code": 12}}
NOT_OFFERED = {"code": 3}

BOARD = {
    "proc/device-tree/compatible": "nvidia,p3768-0000+p3767-0003\0nvidia,tegra234\0",
    "proc/device-tree/model": "NVIDIA Jetson Orin Nano Developer Kit\0",
    "proc/device-tree/serial-number": "1420000000007\0",
    "proc/meminfo": "MemTotal:        7803204 kB\nMemAvailable:    5021212 kB\n",
    "sys/devices/platform/gpu.0/load": "637\n",
    "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
    "sys/class/thermal/thermal_zone0/temp": "53968\n",
    "sys/class/thermal/thermal_zone1/type": "gpu-thermal\n",
    "sys/class/thermal/thermal_zone1/temp": "51343\n",
    "sys/class/thermal/cooling_device0/type": "pwm-fan\n",
    "sys/class/hwmon/hwmon0/name": "nvme\n",
    "sys/class/hwmon/hwmon1/name": "ina3221\n",
    "sys/class/hwmon/hwmon1/in1_label": "VDD_IN\n",
    "sys/class/hwmon/hwmon1/in1_input": "5080\n",
    "sys/class/hwmon/hwmon1/curr1_input": "2456\n",
    "sys/class/hwmon/hwmon1/in2_label": "VDD_CPU_GPU_CV\n",
    "sys/class/hwmon/hwmon1/in2_input": "5072\n",
    "sys/class/hwmon/hwmon1/curr2_input": "920\n",
}
MEMORY_BYTES = 7803204 * 1024


@pytest.fixture
def machine(tmp_path):
    """Return a function that makes a plugin on a machine with these files and this NVML."""

    def make(files, *, nvml=NO_LIBRARY, **config):
        for path, text in files.items():
            file = tmp_path / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return NvidiaPlugin(
            NvidiaConfig(**config), library=RecordedLibrary(nvml), files=LiveFiles(tmp_path)
        )

    return make


def without(files, *ends):
    return {path: text for path, text in files.items() if not path.endswith(ends)}


def orin(**more):
    """Return what NVML answers on JetPack 6: a card, its name, and nothing else."""
    answers = {
        "nvmlInit()": {"code": 0, "value": None},
        "nvmlDeviceGetCount()": {"code": 0, "value": 1},
        "nvmlDeviceGetHandleByIndex(0)": {"code": 0, "value": "card 0"},
        "nvmlDeviceGetUUID(card 0)": {
            "code": 0,
            "value": "GPU-66666666-6666-4666-8666-666666666666",
        },
        "nvmlDeviceGetName(card 0)": {"code": 0, "value": "Orin (nvgpu)"},
        "nvmlDeviceGetPciInfo(card 0)": NOT_OFFERED,
        "nvmlDeviceGetMigMode(card 0)": NOT_OFFERED,
        "nvmlDeviceGetMemoryInfo(card 0, 33554472)": NOT_OFFERED,
        "nvmlDeviceGetMemoryInfo(card 0)": NOT_OFFERED,
        "nvmlDeviceGetUtilizationRates(card 0)": NOT_OFFERED,
        "nvmlDeviceGetTemperatureV(card 0, 0)": NOT_OFFERED,
        "nvmlDeviceGetTemperature(card 0, 0)": NOT_OFFERED,
        "nvmlDeviceGetPowerUsage(card 0)": NOT_OFFERED,
        "nvmlDeviceGetTotalEnergyConsumption(card 0)": NOT_OFFERED,
        "nvmlDeviceGetTotalEccErrors(card 0, 1, 0)": NOT_OFFERED,
        "nvmlDeviceGetRemappedRows(card 0)": NOT_OFFERED,
        "nvmlDeviceGetFieldValues(card 0, [230])": NOT_OFFERED,
    }
    return {**answers, **more}


def test_without_nvml_the_kernel_alone_tells_what_the_gpu_is(machine):
    plugin = machine(BOARD)

    plugin.probe()
    [card] = plugin.list_accelerators()

    assert card.product_name == card.board_name == "NVIDIA Jetson Orin Nano Developer Kit"
    assert card.uuid == "tegra-1420000000007"
    assert card.memory_total_bytes == MEMORY_BYTES
    assert card.source == "tegra"
    assert card.unknown == {"pci_address": "the GPU is part of the processor and on no PCI bus"}


def test_without_nvml_the_kernel_tells_what_the_gpu_does(machine):
    [reading] = machine(BOARD).read()

    assert reading.utilization_ratio == 0.637
    assert reading.temperature_celsius == 51.343
    assert reading.health is Health.UNKNOWN
    # What is used of the machine's memory is not what the GPU uses of it.
    assert reading.memory_used_bytes is None
    assert reading.power_watts is None
    assert reading.unknown["power_watts"] == "the rail VDD_CPU_GPU_CV feeds more than the GPU"
    assert set(reading.unknown) == {
        "memory_used_bytes",
        "power_watts",
        "energy_joules",
        "health",
        "processes",
    }


def test_what_nvml_does_not_offer_comes_from_the_kernel(machine):
    plugin = machine(BOARD, nvml=orin())

    [card] = plugin.list_accelerators()
    [reading] = plugin.read()

    assert card.uuid == reading.uuid == "GPU-66666666-6666-4666-8666-666666666666"
    assert card.product_name == "Orin (nvgpu)"
    assert card.board_name == "NVIDIA Jetson Orin Nano Developer Kit"
    assert card.memory_total_bytes == MEMORY_BYTES
    assert card.source == "nvml+tegra"
    assert set(card.unknown) == {"pci_address"}
    assert (reading.utilization_ratio, reading.temperature_celsius) == (0.637, 51.343)
    assert "shares the machine's memory" in reading.unknown["memory_used_bytes"]


def test_what_nvml_offers_comes_from_there(machine):
    nvml = orin(
        **{
            "nvmlDeviceGetUtilizationRates(card 0)": {"code": 0, "value": {"gpu": 12}},
            "nvmlDeviceGetTemperatureV(card 0, 0)": {"code": 0, "value": 44},
            "nvmlDeviceGetPowerUsage(card 0)": {"code": 0, "value": 6500},
        }
    )

    [reading] = machine(BOARD, nvml=nvml).read()

    assert reading.utilization_ratio == 0.12
    assert reading.temperature_celsius == 44.0
    assert reading.power_watts == 6.5
    assert set(reading.unknown) == {
        "memory_used_bytes",
        "energy_joules",
        "health",
        "processes",
    }


def test_a_gpu_that_nvml_gives_no_uuid_is_named_by_the_machine(machine):
    plugin = machine(BOARD, nvml=orin(**{"nvmlDeviceGetUUID(card 0)": NOT_OFFERED}))

    assert [card.uuid for card in plugin.list_accelerators()] == ["tegra-1420000000007"]
    assert [reading.uuid for reading in plugin.read()] == ["tegra-1420000000007"]


def test_nvml_that_fails_as_a_whole_leaves_the_kernel_and_is_logged_once(machine, caplog):
    plugin = machine(BOARD, nvml={"nvmlInit()": {"code": 18}})

    plugin.probe()
    readings = [plugin.read()[0] for _ in range(3)]

    assert {reading.utilization_ratio for reading in readings} == {0.637}
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "different versions" in caplog.text


def test_a_card_of_its_own_in_such_a_machine_is_not_taken_for_the_built_in_gpu(machine):
    nvml = orin(
        **{
            "nvmlDeviceGetName(card 0)": {"code": 0, "value": "NVIDIA RTX A6000"},
            "nvmlDeviceGetMemoryInfo(card 0, 33554472)": {
                "code": 0,
                "value": {"total": 48 * 2**30, "used": 2**30},
            },
        }
    )

    plugin = machine(BOARD, nvml=nvml)

    [card], [reading] = plugin.list_accelerators(), plugin.read()
    assert (card.memory_total_bytes, card.board_name, card.source) == (48 * 2**30, None, "nvml")
    assert reading.utilization_ratio is None


def test_another_machine_with_such_a_card_gets_nothing_from_the_kernel(machine):
    files = without(BOARD, "compatible")

    [card] = machine(files, nvml=orin()).list_accelerators()

    assert card.memory_total_bytes is None
    assert card.source == "nvml"


def test_another_machine_without_nvml_has_no_card(machine):
    plugin = machine({**BOARD, "proc/device-tree/compatible": "raspberrypi,4-model-b\0"})

    with pytest.raises(NotPresent):
        plugin.probe()
    with pytest.raises(ReadingUnavailable):
        plugin.read()


@pytest.mark.parametrize(
    "path",
    ["sys/devices/gpu.0", "sys/class/devfreq/17000000.ga10b/device", "sys/devices/platform/gpu.0"],
)
def test_the_load_is_found_wherever_the_kernel_keeps_it(machine, path):
    files = {
        **without(BOARD, "/load"),
        f"{path}/load": "250",
        "sys/class/devfreq/17000000.ga10b/device/of_node/name": "ga10b\0",
        "sys/class/devfreq/15340000.vic/device/of_node/name": "vic\0",
        "sys/class/devfreq/15340000.vic/device/load": "999",
    }

    [reading] = machine(files).read()

    assert reading.utilization_ratio == 0.25


@pytest.mark.parametrize("label", ["GPU", "VDD_GPU", "VDD_SYS_GPU", "POM_5V_GPU"])
def test_a_rail_of_the_gpu_alone_is_its_power(machine, label):
    files = {**BOARD, "sys/class/hwmon/hwmon1/in2_label": f"{label}\n"}

    [reading] = machine(files).read()

    assert reading.power_watts == pytest.approx(5.072 * 0.920)


def test_a_rail_of_an_old_kernel_gives_its_power_itself(machine):
    files = {
        **without(BOARD, "_label"),
        "sys/bus/iio/devices/iio:device0/name": "ina3221x\n",
        "sys/bus/iio/devices/iio:device0/rail_name_0": "POM_5V_IN\n",
        "sys/bus/iio/devices/iio:device0/in_power0_input": "3200\n",
        "sys/bus/iio/devices/iio:device0/rail_name_1": "POM_5V_GPU\n",
        "sys/bus/iio/devices/iio:device0/in_power1_input": "845\n",
    }

    [reading] = machine(files).read()

    assert reading.power_watts == 0.845


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("sys/devices/platform/gpu.0/load", "utilization_ratio"),
        ("sys/class/thermal/thermal_zone1/temp", "temperature_celsius"),
        ("sys/class/hwmon/hwmon1/curr2_input", "power_watts"),
    ],
)
def test_a_file_that_goes_away_costs_only_its_value(machine, tmp_path, path, name):
    plugin = machine({**BOARD, "sys/class/hwmon/hwmon1/in2_label": "VDD_GPU\n"})
    [before] = plugin.read()

    (tmp_path / path).unlink()
    [after] = plugin.read()

    assert getattr(before, name) is not None
    assert after == dataclasses.replace(
        before, **{name: None}, unknown={**before.unknown, name: after.unknown[name]}
    )


@pytest.mark.parametrize("text", ["1001", "-1", "", "n/a", "12.5", "0x10", "9" * 30])
def test_a_load_that_cannot_be_is_unknown_and_says_what_was_read(machine, text):
    [reading] = machine({**BOARD, "sys/devices/platform/gpu.0/load": text}).read()

    assert reading.utilization_ratio is None
    assert "not plausible" in reading.unknown["utilization_ratio"]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOENT, "not offered"),
        (errno.EACCES, "may not read"),
        (errno.EAGAIN, "switched off"),
        (errno.EIO, "no figure"),
    ],
)
def test_why_a_sensor_is_silent_is_said(code, words):
    sensors = TegraSensors(load_per_mille="0", temperature_millicelsius=Unreadable(code), rails=())

    reading = tegra_convert.reading("tegra", sensors)

    # A measured zero is a value.
    assert reading.utilization_ratio == 0.0
    assert words in reading.unknown["temperature_celsius"]


def test_a_container_on_a_jetson_needs_the_runtime(machine):
    with pytest.raises(ReadingUnavailable) as refused:
        machine(BOARD).grant(["tegra-1420000000007"])
    assert "nvidia-ctk" in refused.value.hint

    docker = {"etc/docker/daemon.json": '{"runtimes": {"nvidia": {"path": "x", "args": []}}}'}
    granted = machine({**BOARD, **docker}).grant(["tegra-1420000000007"])
    assert granted.runtime == "nvidia"
    assert granted.environment["NVIDIA_VISIBLE_DEVICES"] == "all"
    assert granted.devices == ()


@pytest.mark.parametrize("nvml", [NO_LIBRARY, orin()])
def test_a_recording_of_a_jetson_plays_back_the_same(machine, nvml):
    plugin = machine(BOARD, nvml=nvml)

    recorded = plugin.record()
    replayed = NvidiaPlugin.replay(NvidiaConfig(), recorded)

    serial_number = json.loads(recorded["library.json"])["read(/proc/device-tree/serial-number)"]
    assert serial_number == {"code": 0, "value": "1420000000007"}
    replayed.probe()
    assert replayed.list_accelerators() == plugin.list_accelerators()
    assert replayed.read() == plugin.read()


texts = st.one_of(
    st.text(max_size=12),
    st.integers(-(10**12), 10**12).map(str),
    st.sampled_from([errno.ENOENT, errno.EACCES, errno.EAGAIN, errno.EIO]).map(Unreadable),
)
rails = st.builds(
    Rail,
    label=st.sampled_from(["VDD_GPU", "GPU", "VDD_GPU_SOC", "VDD_IN", ""]),
    milliwatts=texts,
    millivolts=texts,
    milliamperes=texts,
)


@given(
    sensors=st.builds(
        TegraSensors,
        load_per_mille=texts,
        temperature_millicelsius=texts,
        rails=st.lists(rails, max_size=4).map(tuple),
    )
)
def test_whatever_the_kernel_says_a_value_is_plausible_or_has_a_reason(sensors):
    reading = tegra_convert.reading("tegra", sensors)

    assert_plausible(reading)
    assert reading.unknown.keys() >= {"memory_used_bytes", "energy_joules", "health"}


def assert_plausible(reading: AcceleratorReading) -> None:
    for name, low, high in (
        ("utilization_ratio", 0, 1),
        ("temperature_celsius", -100, 250),
        ("power_watts", 0, 10_000),
    ):
        value = getattr(reading, name)
        assert (value is None) is bool(reading.unknown.get(name))
        assert value is None or low <= value <= high


@pytest.mark.parametrize(
    "stem",
    [
        "tegrastats-agx-orin-jp7",
        "tegrastats-orin-nano-cores-off",
        "tegrastats-orin-nano-jp6-idle",
        "tegrastats-orin-nano-root",
    ],
)
def test_the_kernel_s_files_give_what_tegrastats_showed(stem, recording, machine):
    line = recording(f"nvidia/{stem}.txt")
    rails = re.findall(r"(V[A-Z0-9_]+) ([0-9]+)mW", line)
    files = without(BOARD, "_label", "_input") | {
        "sys/devices/platform/gpu.0/load": f"{10 * int(re.search('GR3D_FREQ ([0-9]+)%', line)[1])}",
        "sys/class/thermal/thermal_zone1/temp": re.search("gpu@([0-9.]+)C", line)[1].replace(
            ".", ""
        ),
    }
    for channel, (label, milliwatts) in enumerate(rails, start=1):
        monitor = "sys/class/hwmon/hwmon1"
        files[f"{monitor}/in{channel}_label"] = label
        files[f"{monitor}/in{channel}_input"] = "1000"
        files[f"{monitor}/curr{channel}_input"] = milliwatts

    (reading,) = machine(files).read()

    expected = json.loads((STATISTICS / f"{stem}.json").read_text(encoding="utf-8"))
    assert reading.utilization_ratio == expected["utilization_ratio"]
    assert reading.temperature_celsius == expected["temperature_celsius"]
    assert reading.power_watts is None
    assert reading.unknown["power_watts"] == expected["power_watts"]
