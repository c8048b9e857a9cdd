"""Hygon cards: two tools, two forms, and never a card of AMD's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from agent.errors import NotPresent, PermanentError, ReadingUnavailable
from agent.model.accelerator import ContainerGrant
from collectors.accelerators.hygon import parse
from collectors.accelerators.hygon.plugin import HygonConfig, HygonPlugin
from collectors.accelerators.machine_files import LiveFiles
from collectors.accelerators.quantities import Unknown
from collectors.accelerators.vendor_tool import RecordedTool, ToolAnswer

TABLES = Path(__file__).parent / "tables"
MIB = 1024**2
AMD_JSON = (
    '{"card0": {"Card Vendor": "Advanced Micro Devices, Inc. [AMD/ATI]", "GPU use (%)": "1"}}'
)


def table(name: str) -> str:
    return (TABLES / f"{name}.txt").read_text()


class AnyWords(Mapping[tuple[str, ...], ToolAnswer]):
    """Answers whatever a tool is asked with one text."""

    def __init__(self, text: str) -> None:
        self._answer = ToolAnswer(text=text, exit_status=0)

    def __getitem__(self, words: tuple[str, ...]) -> ToolAnswer:
        return self._answer

    def __iter__(self) -> Any:
        return iter([()])

    def __len__(self) -> int:
        return 1


def machine(root: Path, *vendors: str) -> LiveFiles:
    for number, vendor in enumerate(vendors):
        folder = root / f"sys/bus/pci/devices/0000:{number:02x}:00.0"
        folder.mkdir(parents=True)
        (folder / "class").write_text("0x038000\n")
        (folder / "vendor").write_text(f"0x{vendor}\n")
    return LiveFiles(root)


def plugin(
    root: Path, *vendors: str, hy_smi: str | None = None, rocm_smi: str | None = None
) -> HygonPlugin:
    return HygonPlugin(
        HygonConfig(),
        tool=RecordedTool("hy-smi", {} if hy_smi is None else AnyWords(hy_smi)),
        older_tool=RecordedTool("rocm-smi", {} if rocm_smi is None else AnyWords(rocm_smi)),
        files=machine(root, *vendors),
    )


def test_json_gives_values_in_base_units() -> None:
    first, second = parse.json_cards(table("json"))
    assert (first.index, first.uuid) == (0, "GPU-00000000000012ab")
    assert first.pci_address == "0000:0b:00.0"
    assert first.product_name == "DCU K900_X"
    assert first.memory_total_bytes == 32768 * MIB
    assert first.memory_used_bytes == 1024 * MIB
    assert first.utilization_ratio == pytest.approx(0.375)
    assert first.temperature_celsius == 51.0
    assert first.power_watts == 123.0
    assert second.temperature_celsius == 60.0, "the junction's, where the edge has none"


def test_masked_and_impossible_values_are_unknown() -> None:
    _, second = parse.json_cards(table("json"))
    for value in (
        second.product_name,
        second.memory_used_bytes,
        second.utilization_ratio,
        second.power_watts,
    ):
        assert isinstance(value, Unknown)
    assert second.uuid is None


@pytest.mark.parametrize(
    ("name", "watts", "celsius", "ratio"),
    [
        ("hy-smi-hcu", 312.5, 61.0, 0.935),
        ("rocm-smi-dcu", 61.0, 37.0, 0.71),
        ("rocm-smi-gpu", 33.0, 47.0, 0.12),
    ],
)
def test_the_short_table_gives_what_it_has(
    name: str, watts: float, celsius: float, ratio: float
) -> None:
    first = parse.table_cards(table(name))[0]
    assert (first.power_watts, first.temperature_celsius) == (watts, celsius)
    assert first.utilization_ratio == pytest.approx(ratio)


def test_a_percentage_of_memory_is_no_amount() -> None:
    for card in parse.table_cards(table("hy-smi-hcu")):
        assert isinstance(card.memory_total_bytes, Unknown)
        assert isinstance(card.memory_used_bytes, Unknown)


def test_hy_smi_needs_no_more_to_be_hygon_s(tmp_path: Path) -> None:
    asked = plugin(tmp_path, hy_smi=table("hy-smi-hcu"), rocm_smi=AMD_JSON)
    asked.probe()
    assert {card.source for card in asked.list_accelerators()} == {"hy-smi"}


@pytest.mark.parametrize("name", ["json", "rocm-smi-dcu"])
def test_rocm_smi_that_says_so_is_hygon_s(tmp_path: Path, name: str) -> None:
    asked = plugin(tmp_path, rocm_smi=table(name))
    asked.probe()
    assert len(asked.list_accelerators()) == 2


def test_rocm_smi_on_a_machine_with_hygon_cards_is_hygon_s(tmp_path: Path) -> None:
    asked = plugin(tmp_path, "1d94", rocm_smi=table("rocm-smi-gpu"))
    asked.probe()
    assert len(asked.list_accelerators()) == 2


@pytest.mark.parametrize(
    ("vendors", "text"),
    [
        ((), "rocm-smi-gpu"),
        (("1002",), "rocm-smi-gpu"),
        (("1002",), "rocm-smi-dcu"),
        (("1002", "1d94"), "rocm-smi-gpu"),
        (("10de",), "rocm-smi-gpu"),
    ],
)
def test_rocm_smi_that_may_be_amd_s_is_left_alone(
    tmp_path: Path, vendors: tuple[str, ...], text: str
) -> None:
    with pytest.raises(NotPresent):
        plugin(tmp_path, *vendors, rocm_smi=table(text)).probe()


def test_amd_cards_are_never_hygon_s(tmp_path: Path) -> None:
    with pytest.raises(NotPresent):
        plugin(tmp_path, rocm_smi=AMD_JSON).probe()
    assert parse.any_cards(AMD_JSON) == []


def test_the_operator_s_word_is_enough(tmp_path: Path) -> None:
    asked = HygonPlugin(
        HygonConfig(tool="rocm-smi"),
        tool=RecordedTool("rocm-smi", AnyWords(table("rocm-smi-gpu"))),
        files=LiveFiles(tmp_path),
    )
    asked.probe()
    assert len(asked.list_accelerators()) == 2


def test_a_recording_brings_its_evidence_along(tmp_path: Path) -> None:
    asked = plugin(tmp_path, "1d94", rocm_smi=table("rocm-smi-gpu"))
    replayed = HygonPlugin.replay(HygonConfig(), asked.record())
    replayed.probe()
    assert replayed.list_accelerators() == asked.list_accelerators()


def test_a_recording_without_either_tool_is_refused() -> None:
    with pytest.raises(PermanentError):
        HygonPlugin.replay(HygonConfig(), {"index.json": '{"version": 1, "tools": []}'})


def test_a_container_gets_the_nodes_of_its_cards(tmp_path: Path) -> None:
    asked = plugin(tmp_path, hy_smi=table("json"))
    (tmp_path / "sys/bus/pci/devices/0000:0b:00.0/drm/renderD130").mkdir(parents=True)
    (tmp_path / "dev/dri").mkdir(parents=True)
    for node in ("kfd", "mkfd", "dri/renderD130", "dri/renderD131"):
        (tmp_path / "dev" / node).touch()
    (tmp_path / "opt/hyhal").mkdir(parents=True)
    assert asked.grant(["GPU-00000000000012ab"]) == ContainerGrant(
        devices=("/dev/kfd", "/dev/mkfd", "/dev/dri/renderD130"),
        mounts=(("/opt/hyhal", "/opt/hyhal"),),
    )
    assert asked.grant([]) == ContainerGrant()


@pytest.mark.parametrize("uuid", ["hygon-1", "GPU-00000000000012ab", "GPU-no"])
def test_a_card_whose_nodes_are_not_known_is_not_granted(tmp_path: Path, uuid: str) -> None:
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/kfd").touch()
    with pytest.raises(ReadingUnavailable):
        plugin(tmp_path, hy_smi=table("json")).grant([uuid])


@pytest.mark.parametrize(
    ("stem", "tool"),
    [
        ("hy-smi-BW1000-x2-dtk26.04", "hy_smi"),
        ("rocm-smi-DCU-x4-dtk23.10", "rocm_smi"),
        ("rocm-smi-DCU-x4-rocm4.0", "rocm_smi"),
        ("rocm-smi-json-x1-24.04.3", "rocm_smi"),
    ],
)
def test_recordings_of_the_field_give_what_stands_in_them(
    tmp_path: Path,
    stem: str,
    tool: str,
    recording: Callable[[str], str],
    assert_expected: Callable[[str, str, Any], None],
) -> None:
    asked = plugin(tmp_path, "1d94", **{tool: recording(f"hygon/{stem}.txt")})
    asked.probe()
    cards = asked.list_accelerators()
    assert_expected("hygon", stem, zip(cards, asked.read(), strict=True))


def test_another_tool_s_report_of_the_field_gives_no_card(recording: Callable[[str], str]) -> None:
    assert parse.any_cards(recording("hygon/rocminfo-24.04.3.txt")) == []
