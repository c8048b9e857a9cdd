"""Enflame cards: everything from -q, and what the short table has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.model.accelerator import Health
from collectors.accelerators.enflame import parse
from collectors.accelerators.enflame.plugin import EnflameConfig, EnflamePlugin
from collectors.accelerators.quantities import Unknown
from collectors.accelerators.recording import Recording
from collectors.accelerators.vendor_tool import ToolAnswer

TABLES = Path(__file__).parent / "tables"
MIB = 1024**2


def replay(text: str, *words: str) -> EnflamePlugin:
    answers = {words: ToolAnswer(text=text, exit_status=0)}
    files = Recording(tools={"efsmi": answers}).to_files()
    return EnflamePlugin.replay(EnflameConfig(), files)


def test_the_query_gives_values_in_base_units() -> None:
    first, _ = parse.query_cards((TABLES / "q-1.2.txt").read_text())
    assert (first.index, first.uuid, first.pci_address) == (0, "TU0A00000001", "0000:3b:00.0")
    assert first.product_name == "S90"
    assert first.memory_total_bytes == 40000 * MIB
    assert first.memory_used_bytes == 20000 * MIB
    assert first.utilization_ratio == pytest.approx(0.875)
    assert first.temperature_celsius == 63.0
    assert first.power_watts == 211.0
    assert first.health is Health.OK


def test_newer_names_of_the_query_are_known() -> None:
    _, second = parse.query_cards((TABLES / "q-1.2.txt").read_text())
    assert second.pci_address == "0001:5e:00.0"
    assert second.memory_used_bytes == 0, "used, and not what the driver keeps for itself"
    assert second.temperature_celsius == 35.0
    assert isinstance(second.power_watts, Unknown)
    assert second.health is Health.CRITICAL


@pytest.mark.parametrize(
    ("table", "watts", "celsius"), [("1.2", 211.0, 63.0), ("1.4", 118.0, 58.0)]
)
def test_the_short_table_gives_what_it_has(table: str, watts: float, celsius: float) -> None:
    first = parse.table_cards((TABLES / f"table-{table}.txt").read_text())[0]
    assert first.pci_address == "0000:3b:00.0"
    assert first.memory_total_bytes == 40000 * MIB
    assert (first.power_watts, first.temperature_celsius) == (watts, celsius)


def test_a_share_of_nobody_knows_what_is_no_value() -> None:
    first = parse.table_cards((TABLES / "table-1.2.txt").read_text())[0]
    assert isinstance(first.memory_used_bytes, Unknown)
    assert isinstance(first.utilization_ratio, Unknown)


def test_the_short_table_is_asked_for_where_the_query_gives_nothing() -> None:
    plugin = replay((TABLES / "table-1.2.txt").read_text())
    assert [card.index for card in plugin.list_accelerators()] == [0, 1]


def test_the_query_is_preferred() -> None:
    query = ToolAnswer(text=(TABLES / "q-1.2.txt").read_text(), exit_status=0)
    short = ToolAnswer(text=(TABLES / "table-1.2.txt").read_text(), exit_status=0)
    files = Recording(tools={"efsmi": {("-q",): query, (): short}}).to_files()
    cards = EnflamePlugin.replay(EnflameConfig(), files).list_accelerators()
    assert [card.uuid for card in cards] == ["TU0A00000001", "TU0A00000002"]


@pytest.mark.parametrize(
    ("stem", "words"), [("efsmi-q-S60-1.2.4.12", ("-q",)), ("efsmi-S60-x2-V1.2.0.301", ())]
)
def test_recordings_of_the_field_give_what_stands_in_them(
    stem: str,
    words: tuple[str, ...],
    recording: Callable[[str], str],
    assert_expected: Callable[[str, str, Any], None],
) -> None:
    plugin = replay(recording(f"enflame/{stem}.txt"), *words)
    cards = plugin.list_accelerators()
    assert_expected("enflame", stem, zip(cards, plugin.read(), strict=True))
