"""Moore Threads cards: used and total memory stand in one cell, and there is no power."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from collectors.accelerators.mthreads import parse
from collectors.accelerators.mthreads.plugin import MThreadsConfig, MThreadsPlugin
from collectors.accelerators.quantities import Unknown
from collectors.accelerators.recording import Recording
from collectors.accelerators.vendor_tool import ToolAnswer

TABLES = Path(__file__).parent / "tables"
MIB = 1024**2


def replay(text: str) -> MThreadsPlugin:
    answers = {(): ToolAnswer(text=text, exit_status=0)}
    files = Recording(tools={"mthreads-gmi": answers}).to_files()
    return MThreadsPlugin.replay(MThreadsConfig(), files)


def test_values_stand_in_base_units() -> None:
    first, second = parse.table_cards((TABLES / "two-cards.txt").read_text())
    assert (first.index, first.pci_address) == (0, "0000:3b:00.0")
    assert first.product_name == "MTT T9000"
    assert first.memory_total_bytes == 80000 * MIB
    assert first.memory_used_bytes == 70000 * MIB
    assert first.utilization_ratio == pytest.approx(0.99)
    assert first.temperature_celsius == 71.0
    assert isinstance(first.power_watts, Unknown)
    assert isinstance(second.temperature_celsius, Unknown)
    assert second.memory_used_bytes == 0


@pytest.mark.parametrize("stem", ["mthreads-gmi-S5000-x8-5.1.0"])
def test_recordings_of_the_field_give_what_stands_in_them(
    stem: str,
    recording: Callable[[str], str],
    assert_expected: Callable[[str, str, Any], None],
) -> None:
    plugin = replay(recording(f"others/{stem}.txt"))
    cards = plugin.list_accelerators()
    assert_expected("mthreads", stem, zip(cards, plugin.read(), strict=True))
