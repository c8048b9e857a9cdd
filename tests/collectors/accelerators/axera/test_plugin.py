"""Axera cards: the NPU's share and CMM are the accelerator's; all cards share their nodes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.errors import ReadingUnavailable
from agent.model.accelerator import ContainerGrant
from collectors.accelerators.axera import parse
from collectors.accelerators.axera.plugin import AxeraConfig, AxeraPlugin
from collectors.accelerators.machine_files import LiveFiles
from collectors.accelerators.quantities import Unknown
from collectors.accelerators.recording import Recording
from collectors.accelerators.vendor_tool import RecordedTool, ToolAnswer

TABLES = Path(__file__).parent / "tables"
MIB = 1024**2


def replay(text: str) -> AxeraPlugin:
    answers = {(): ToolAnswer(text=text, exit_status=0)}
    files = Recording(tools={"axcl-smi": answers}).to_files()
    return AxeraPlugin.replay(AxeraConfig(), files)


def test_values_stand_in_base_units() -> None:
    first, second = parse.table_cards((TABLES / "two-cards.txt").read_text())
    assert (first.index, first.pci_address) == (0, "0000:3b:00.0")
    assert first.product_name == "AX650T"
    assert first.temperature_celsius == 66.0
    assert isinstance(first.power_watts, Unknown)
    assert second.power_watts == 6.0


def test_half_a_pair_is_half_known() -> None:
    text = (TABLES / "two-cards.txt").read_text()
    first, _ = parse.table_cards(text.replace("1500 MiB /", "      -- /"))
    assert isinstance(first.memory_used_bytes, Unknown)
    assert first.memory_total_bytes == 3000 * MIB
    assert first.temperature_celsius == 66.0


def test_memory_is_cmm_and_utilization_is_the_npu() -> None:
    first, _ = parse.table_cards((TABLES / "two-cards.txt").read_text())
    assert first.memory_total_bytes == 3000 * MIB
    assert first.memory_used_bytes == 1500 * MIB
    assert first.utilization_ratio == pytest.approx(0.87)


@pytest.mark.parametrize("stem", ["axcl-smi-help", "axcl-smi-info-cmm", "axcl-smi-version"])
def test_other_reports_of_the_field_give_no_card(
    stem: str, recording: Callable[[str], str]
) -> None:
    assert parse.table_cards(recording(f"others/{stem}.txt")) == []


def plugin_on(root: Path) -> AxeraPlugin:
    answer = ToolAnswer(text=(TABLES / "two-cards.txt").read_text(), exit_status=0)
    tool = RecordedTool("axcl-smi", {(): answer})
    return AxeraPlugin(AxeraConfig(), tool=tool, files=LiveFiles(root))


def test_a_container_gets_the_nodes_and_libraries_that_are_there(tmp_path: Path) -> None:
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/axcl_host").touch()
    (tmp_path / "dev/ax_mmb_dev").touch()
    (tmp_path / "usr/lib/axcl").mkdir(parents=True)
    assert plugin_on(tmp_path).grant(["axera-0001:5e:00.0"]) == ContainerGrant(
        devices=("/dev/axcl_host", "/dev/ax_mmb_dev"),
        mounts=(("/usr/lib/axcl", "/usr/lib/axcl"),),
    )


def test_a_grant_of_nothing_is_empty_and_of_what_is_not_there_an_error(tmp_path: Path) -> None:
    assert plugin_on(tmp_path).grant([]) == ContainerGrant()
    for uuid in ("axera-0001:5e:00.0", "axera-9"):
        with pytest.raises(ReadingUnavailable):
            plugin_on(tmp_path).grant([uuid])


@pytest.mark.parametrize("stem", ["axcl-smi-AX650N-2.18.0"])
def test_recordings_of_the_field_give_what_stands_in_them(
    stem: str,
    recording: Callable[[str], str],
    assert_expected: Callable[[str, str, Any], None],
) -> None:
    plugin = replay(recording(f"others/{stem}.txt"))
    cards = plugin.list_accelerators()
    assert_expected("axera", stem, zip(cards, plugin.read(), strict=True))
