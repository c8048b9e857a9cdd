"""AMD cards: the driver's files first, the tool where there are none, and never Hygon's cards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.errors import NotPresent, PermanentError, ReadingUnavailable
from agent.model.accelerator import ContainerGrant
from collectors.accelerators.amd import parse
from collectors.accelerators.amd.plugin import AmdConfig, AmdPlugin
from collectors.accelerators.machine_files import LiveFiles
from collectors.accelerators.quantities import Unknown
from collectors.accelerators.vendor_tool import RecordedTool, ToolAnswer

TABLES = Path(__file__).parent / "tables"
JSON = ("-a", "--json")
HYGON_JSON = '{"card0": {"Card Vendor": "Chengdu Haiguang IC Design", "DCU use (%)": "1"}}'
FILES = {
    "device": "0x7999",
    "class": "0x038000",
    "vendor": "0x1002",
    "product_name": "AMD Instinct MI999X",
    "unique_id": "abc0000000000001",
    "mem_info_vram_total": "200000000000",
    "mem_info_vram_used": "150000000000",
    "gpu_busy_percent": "37",
    "power/runtime_status": "active",
    "hwmon/hwmon7/temp1_label": "edge",
    "hwmon/hwmon7/temp1_input": "51500",
    "hwmon/hwmon7/temp2_label": "junction",
    "hwmon/hwmon7/temp2_input": "63000",
    "hwmon/hwmon7/power1_average": "212500000",
}


def tool(text: str | None) -> RecordedTool:
    answers = {} if text is None else {JSON: ToolAnswer(text=text, exit_status=0)}
    return RecordedTool("rocm-smi", answers)


def put_card(root: Path, address: str = "0000:3b:00.0", **changes: str | None) -> Path:
    """Put a card into /sys; a file that is changed to None is not there."""
    folder = root / "sys/bus/pci/devices" / address
    names = {key.replace("__", "/"): value for key, value in changes.items()}
    for name, text in {**FILES, **names}.items():
        if text is not None:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(f"{text}\n")
    driver = root / "sys/bus/pci/drivers/amdgpu"
    driver.mkdir(parents=True, exist_ok=True)
    (driver / address).symlink_to(folder)
    (driver / "bind").touch()
    return folder


def plugin(root: Path, *, text: str | None = None, source: Any = "auto") -> AmdPlugin:
    return AmdPlugin(AmdConfig(source=source), tool=tool(text), files=LiveFiles(root))


def only(made: AmdPlugin) -> tuple[Any, Any]:
    (accelerator,), (reading,) = made.list_accelerators(), made.read()
    return accelerator, reading


def test_the_driver_s_files_give_values_in_base_units(tmp_path: Path) -> None:
    put_card(tmp_path)
    made = plugin(tmp_path)
    made.probe()
    accelerator, reading = only(made)
    assert accelerator.uuid == "GPU-abc0000000000001"
    assert accelerator.source == "amdgpu"
    assert accelerator.product_name == "AMD Instinct MI999X"
    assert accelerator.pci_address == "0000:3b:00.0"
    assert accelerator.memory_total_bytes == 200_000_000_000
    assert reading.memory_used_bytes == 150_000_000_000
    assert reading.utilization_ratio == pytest.approx(0.37)
    assert reading.temperature_celsius == 51.5
    assert reading.power_watts == 212.5
    assert set(reading.unknown) == {"energy_joules", "health", "processes"}


def test_files_that_are_not_there_cost_no_other_value(tmp_path: Path) -> None:
    put_card(
        tmp_path,
        product_name=None,
        unique_id=None,
        gpu_busy_percent=None,
        hwmon__hwmon7__temp1_label=None,
        hwmon__hwmon7__temp1_input=None,
        hwmon__hwmon7__power1_average=None,
        hwmon__hwmon7__power1_input="99000000",
    )
    accelerator, reading = only(plugin(tmp_path))
    assert accelerator.uuid == "amd-0000:3b:00.0"
    assert accelerator.product_name is None
    assert "7999" in accelerator.unknown["product_name"]
    assert reading.utilization_ratio is None
    assert reading.temperature_celsius == 63.0
    assert reading.power_watts == 99.0


@pytest.mark.parametrize("text", ["", "N/A", "-1", "0x10", "9" * 30, "busy"])
def test_a_file_with_odd_text_is_unknown(tmp_path: Path, text: str) -> None:
    put_card(tmp_path, mem_info_vram_total=text, gpu_busy_percent=text)
    accelerator, reading = only(plugin(tmp_path))
    assert accelerator.memory_total_bytes is None
    assert accelerator.unknown["memory_total_bytes"]
    assert reading.utilization_ratio is None


def test_a_card_without_a_name_of_its_own_is_known_by_its_device_id(tmp_path: Path) -> None:
    put_card(tmp_path, product_name="unknown", device="0x74a1")
    accelerator, _ = only(plugin(tmp_path))
    assert accelerator.product_name == "AMD Instinct MI300X"


def test_a_card_that_sleeps_is_not_woken(tmp_path: Path) -> None:
    folder = put_card(tmp_path, power__runtime_status="suspended")
    accelerator, reading = only(plugin(tmp_path))
    assert accelerator.memory_total_bytes == 200_000_000_000
    assert reading.memory_used_bytes is None
    assert reading.temperature_celsius is None
    assert reading.power_watts is None
    assert "switched the card off" in reading.unknown["power_watts"]
    (folder / "power/runtime_status").write_text("active\n")
    assert only(plugin(tmp_path))[1].power_watts == 212.5


def test_the_driver_s_files_are_preferred_to_the_tool(tmp_path: Path) -> None:
    put_card(tmp_path)
    both = plugin(tmp_path, text=(TABLES / "json.txt").read_text())
    assert {card.source for card in both.list_accelerators()} == {"amdgpu"}
    asked = plugin(tmp_path, text=(TABLES / "json.txt").read_text(), source="tool")
    assert {card.source for card in asked.list_accelerators()} == {"rocm-smi"}


def test_the_tool_is_asked_where_the_driver_shows_no_card(tmp_path: Path) -> None:
    made = plugin(tmp_path, text=(TABLES / "json.txt").read_text())
    made.probe()
    assert [card.uuid for card in made.list_accelerators()] == [
        "GPU-abc0000000000001",
        "amd-0000:5e:00.0",
    ]


def test_the_driver_s_files_alone_are_read_if_so_configured(tmp_path: Path) -> None:
    made = plugin(tmp_path, text=(TABLES / "json.txt").read_text(), source="sysfs")
    with pytest.raises(NotPresent):
        made.probe()
    with pytest.raises(ReadingUnavailable):
        made.list_accelerators()


def test_a_card_that_is_taken_out_is_noticed(tmp_path: Path) -> None:
    put_card(tmp_path)
    put_card(tmp_path, "0000:5e:00.0", unique_id="abc0000000000002")
    made = plugin(tmp_path)
    assert len(made.list_accelerators()) == 2
    (tmp_path / "sys/bus/pci/drivers/amdgpu/0000:3b:00.0").unlink()
    (card,) = made.list_accelerators()
    assert card.uuid == "GPU-abc0000000000002"


@pytest.mark.parametrize("text", [None, HYGON_JSON, "usage: rocm-smi", '{"card0": {"a": "b"}}'])
def test_a_machine_of_another_maker_has_no_amd_card(tmp_path: Path, text: str | None) -> None:
    with pytest.raises(NotPresent):
        plugin(tmp_path, text=text).probe()


def test_rocm_smi_on_a_machine_with_hygon_cards_is_hygon_s(tmp_path: Path) -> None:
    folder = tmp_path / "sys/bus/pci/devices/0000:0b:00.0"
    folder.mkdir(parents=True)
    (folder / "class").write_text("0x038000\n")
    (folder / "vendor").write_text("0x1d94\n")
    with pytest.raises(NotPresent):
        plugin(tmp_path, text=(TABLES / "json.txt").read_text()).probe()


def test_hygon_cards_are_never_amd_s() -> None:
    assert parse.json_cards(HYGON_JSON) == []
    assert parse.json_cards('{"card0": {"DCU use (%)": "1"}}') == []


def test_json_gives_values_in_base_units() -> None:
    first, second = parse.json_cards((TABLES / "json.txt").read_text())
    assert first.product_name == "Test GL [Instinct MI999X]"
    assert first.board_name == "Instinct MI999X"
    assert first.power_watts == 612.0
    assert first.temperature_celsius == 71.0
    assert first.utilization_ratio == pytest.approx(0.98)
    assert first.memory_total_bytes == 200_000_000_000
    for value in (
        second.product_name,
        second.memory_total_bytes,
        second.memory_used_bytes,
        second.utilization_ratio,
    ):
        assert isinstance(value, Unknown)


def test_a_recording_of_the_driver_s_files_gives_the_same(tmp_path: Path) -> None:
    put_card(tmp_path)
    put_card(tmp_path, "0000:5e:00.0", unique_id=None)
    made = plugin(tmp_path)
    replayed = AmdPlugin.replay(AmdConfig(), made.record())
    replayed.probe()
    assert replayed.list_accelerators() == made.list_accelerators()
    assert replayed.read() == made.read()


def test_a_recording_of_something_else_is_refused() -> None:
    with pytest.raises(PermanentError):
        AmdPlugin.replay(AmdConfig(), {"index.json": '{"version": 1, "tools": []}'})


def test_a_container_gets_the_nodes_of_its_cards(tmp_path: Path) -> None:
    folder = put_card(tmp_path)
    (folder / "drm/renderD129").mkdir(parents=True)
    (tmp_path / "dev/dri").mkdir(parents=True)
    for node in ("kfd", "dri/renderD128", "dri/renderD129"):
        (tmp_path / "dev" / node).touch()
    made = plugin(tmp_path)
    assert made.grant(["GPU-abc0000000000001"]) == ContainerGrant(
        devices=("/dev/kfd", "/dev/dri/renderD129")
    )
    assert made.grant([]) == ContainerGrant()


@pytest.mark.parametrize("uuid", ["GPU-abc0000000000001", "GPU-no"])
def test_a_card_whose_nodes_are_not_there_is_not_granted(tmp_path: Path, uuid: str) -> None:
    put_card(tmp_path)
    with pytest.raises(ReadingUnavailable):
        plugin(tmp_path).grant([uuid])
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/kfd").touch()
    with pytest.raises(ReadingUnavailable):
        plugin(tmp_path).grant([uuid])


@pytest.mark.parametrize(
    "stem", ["mi100_rocm571", "mi100_rocm602", "rx6700xt_rocm612", "rx7800-6.2.4", "vega-10-XT"]
)
def test_recordings_of_the_field_give_what_stands_in_them(
    tmp_path: Path,
    stem: str,
    recording: Callable[[str], str],
    assert_expected: Callable[[str, str, Any], None],
) -> None:
    made = plugin(tmp_path, text=recording(f"others/amd-rocm-smi-json-{stem}.txt"))
    made.probe()
    cards = made.list_accelerators()
    assert_expected("amd", f"amd-rocm-smi-json-{stem}", zip(cards, made.read(), strict=True))
