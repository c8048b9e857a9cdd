"""MetaX cards, under both names of their tool."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from collectors.accelerators.metax import parse
from collectors.accelerators.metax.plugin import MetaxConfig, MetaxPlugin
from collectors.accelerators.quantities import Unknown
from collectors.accelerators.recording import Recording
from collectors.accelerators.vendor_tool import ToolAnswer

TABLES = Path(__file__).parent / "tables"
MIB = 1024**2


def replay(text: str, *, program: str = "mx-smi") -> MetaxPlugin:
    answers = {(): ToolAnswer(text=text, exit_status=0)}
    files = Recording(tools={program: answers}).to_files()
    return MetaxPlugin.replay(MetaxConfig(), files)


def test_values_stand_in_base_units() -> None:
    first, second = parse.table_cards((TABLES / "two-boards.txt").read_text())
    assert (first.index, first.card, first.pci_address) == (0, "0", "0000:3b:00.0")
    assert first.product_name == "MetaX T900"
    assert first.memory_total_bytes == 60000 * MIB
    assert first.memory_used_bytes == 30000 * MIB
    assert first.utilization_ratio == pytest.approx(0.61)
    assert first.temperature_celsius == 59.0
    assert first.power_watts == 144.0
    assert isinstance(second.power_watts, Unknown)


def test_an_older_layout_without_boards_and_limits_is_read() -> None:
    (card,) = parse.table_cards((TABLES / "older.txt").read_text())
    assert (card.product_name, card.card) == ("MXT900", None)
    assert (card.temperature_celsius, card.power_watts) == (34.0, 57.0)
    assert card.memory_used_bytes == 914 * MIB
    assert card.utilization_ratio == pytest.approx(0.61)


def test_to_be_available_is_not_to_be_well() -> None:
    first, _ = parse.table_cards((TABLES / "two-boards.txt").read_text())
    assert isinstance(first.health, Unknown)
    assert "Available" in first.health.reason


def test_another_report_of_the_tool_is_no_table() -> None:
    assert parse.table_cards("GPU#0  MXT900  0000:08:00.0\n    ECC Errors\n") == []


def test_a_cut_report_of_the_field_gives_no_card(recording: Callable[[str], str]) -> None:
    assert parse.table_cards(recording("others/mx-smi-count-ecc-2.2.9.txt")) == []


@pytest.mark.parametrize(
    ("stem", "program"),
    [("mx-smi-C500-x1-2.3.1", "mx-smi"), ("ht-smi-Mars-X201-2.3.1", "ht-smi")],
)
def test_recordings_of_the_field_give_what_stands_in_them(
    stem: str,
    program: str,
    recording: Callable[[str], str],
    assert_expected: Callable[[str, str, Any], None],
) -> None:
    plugin = replay(recording(f"others/{stem}.txt"), program=program)
    cards = plugin.list_accelerators()
    assert_expected("metax", stem, zip(cards, plugin.read(), strict=True))
