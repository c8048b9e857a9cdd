"""Iluvatar cards: each chip's values, and power where the board measures it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from collectors.accelerators.iluvatar import parse
from collectors.accelerators.iluvatar.plugin import IluvatarConfig, IluvatarPlugin
from collectors.accelerators.quantities import Unknown
from collectors.accelerators.recording import Recording
from collectors.accelerators.vendor_tool import ToolAnswer

TABLES = Path(__file__).parent / "tables"
MIB = 1024**2


def replay(text: str) -> IluvatarPlugin:
    answers = {(): ToolAnswer(text=text, exit_status=0)}
    files = Recording(tools={"ixsmi": answers}).to_files()
    return IluvatarPlugin.replay(IluvatarConfig(), files)


def test_values_stand_in_base_units() -> None:
    first, second = parse.table_cards((TABLES / "two-chips.txt").read_text())
    assert (first.index, first.pci_address) == (0, "0000:3b:00.0")
    assert first.product_name == "Iluvatar BI-T900"
    assert first.memory_total_bytes == 30000 * MIB
    assert first.memory_used_bytes == 16000 * MIB
    assert first.utilization_ratio == pytest.approx(0.96)
    assert first.temperature_celsius == 71.0
    assert second.power_watts == 288.0


def test_a_chip_whose_board_measures_elsewhere_has_no_power() -> None:
    first, _ = parse.table_cards((TABLES / "two-chips.txt").read_text())
    assert isinstance(first.power_watts, Unknown)


@pytest.mark.parametrize("stem", ["ixsmi-BI-V150-x2-4.3.8"])
def test_recordings_of_the_field_give_what_stands_in_them(
    stem: str,
    recording: Callable[[str], str],
    assert_expected: Callable[[str, str, Any], None],
) -> None:
    plugin = replay(recording(f"others/{stem}.txt"))
    cards = plugin.list_accelerators()
    assert_expected("iluvatar", stem, zip(cards, plugin.read(), strict=True))
