"""Sophgo cards: chips below each other, a board's cells once, faults as F."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.errors import ReadingUnavailable
from agent.model.accelerator import ContainerGrant, Health
from collectors.accelerators.machine_files import LiveFiles
from collectors.accelerators.quantities import Unknown
from collectors.accelerators.recording import Recording
from collectors.accelerators.sophgo import parse
from collectors.accelerators.sophgo.plugin import SophgoConfig, SophgoPlugin
from collectors.accelerators.vendor_tool import RecordedTool, ToolAnswer

TABLES = Path(__file__).parent / "tables"
MIB = 1024**2
ONCE = ("--loop=false", "--file=/dev/stdout")


def replay(text: str) -> SophgoPlugin:
    answers = {ONCE: ToolAnswer(text=text, exit_status=0)}
    files = Recording(tools={"bm-smi": answers}).to_files()
    return SophgoPlugin.replay(SophgoConfig(), files)


def chips(name: str) -> list[Any]:
    return list(parse.table_cards((TABLES / f"{name}.txt").read_text()))


def test_values_stand_in_base_units() -> None:
    first = chips("pcie-two-cards")[0]
    assert (first.index, first.pci_address) == (0, "0000:3b:00.0")
    assert first.memory_total_bytes == 4096 * MIB
    assert first.memory_used_bytes == 1024 * MIB
    assert first.utilization_ratio == pytest.approx(0.37)
    assert first.health is Health.OK


def test_temperature_and_power_are_the_chip_s_and_not_the_board_s() -> None:
    first = chips("pcie-two-cards")[0]
    assert first.temperature_celsius == 48.0
    assert first.power_watts == 11.5


def test_the_chips_of_a_card_share_its_name() -> None:
    assert [(chip.product_name, chip.card) for chip in chips("pcie-two-cards")] == [
        ("SC7-TEST", "0"),
        ("SC7-TEST", "0"),
        ("SC5-TEST", "1"),
    ]


def test_a_chip_without_its_card_s_cells_does_not_take_another_s() -> None:
    text = (TABLES / "pcie-two-cards.txt").read_text()
    blank = text.replace("| 1   SC5-TEST  PCIE HQTESTTESTTEST02   |", "|" + " " * 39 + "|")
    last = parse.table_cards(blank)[-1]
    assert last.index == 2
    assert isinstance(last.product_name, Unknown)
    assert last.card is None


def test_a_chip_in_fault_is_listed_as_critical_and_without_values() -> None:
    last = chips("pcie-two-cards")[-1]
    assert last.health is Health.CRITICAL
    for value in (
        last.memory_total_bytes,
        last.memory_used_bytes,
        last.utilization_ratio,
        last.temperature_celsius,
        last.power_watts,
    ):
        assert isinstance(value, Unknown)


def test_the_screen_that_follows_the_plain_copy_changes_nothing() -> None:
    text = (TABLES / "pcie-two-cards.txt").read_text()
    screen = re.sub(" {3,}", "", text).replace("48C", "99C").replace("1024MB", "9MB")
    assert parse.table_cards(text + screen)[:3] == parse.table_cards(text)
    plugin = replay(text + screen)
    assert [card.index for card in plugin.list_accelerators()] == [0, 1, 2]
    assert plugin.read()[0].temperature_celsius == 48.0


def test_a_soc_has_its_heap_for_memory_and_no_address() -> None:
    (chip,) = chips("soc")
    assert chip.pci_address is None
    assert chip.memory_total_bytes == 128 * MIB
    assert chip.memory_used_bytes == 16 * MIB
    assert isinstance(chip.power_watts, Unknown)


def plugin_on(root: Path) -> SophgoPlugin:
    answer = ToolAnswer(text=(TABLES / "pcie-two-cards.txt").read_text(), exit_status=0)
    return SophgoPlugin(
        SophgoConfig(), tool=RecordedTool("bm-smi", {ONCE: answer}), files=LiveFiles(root)
    )


def test_a_container_gets_the_nodes_of_its_chips(tmp_path: Path) -> None:
    (tmp_path / "dev").mkdir()
    for node in ("bmdev-ctl", "bm-sophon0", "bm-sophon1", "bm-sophon2"):
        (tmp_path / "dev" / node).touch()
    (tmp_path / "opt/sophon").mkdir(parents=True)
    assert plugin_on(tmp_path).grant(["sophgo-0000:3c:00.0"]) == ContainerGrant(
        devices=("/dev/bmdev-ctl", "/dev/bm-sophon1"),
        mounts=(("/opt/sophon", "/opt/sophon"),),
    )


def test_a_grant_of_nothing_is_empty_and_of_what_is_not_there_an_error(tmp_path: Path) -> None:
    assert plugin_on(tmp_path).grant([]) == ContainerGrant()
    for uuid in ("sophgo-0000:3c:00.0", "sophgo-9"):
        with pytest.raises(ReadingUnavailable):
            plugin_on(tmp_path).grant([uuid])


def test_the_screen_is_asked_for_once_and_as_plain_text() -> None:
    asked: list[tuple[str, ...]] = []

    class Screen:
        program = "bm-smi"

        def find(self) -> None: ...

        def run(self, *words: str) -> ToolAnswer:
            asked.append(words)
            return ToolAnswer(text=(TABLES / "soc.txt").read_text(), exit_status=0)

    assert len(SophgoPlugin(SophgoConfig(), tool=Screen()).list_accelerators()) == 1
    assert asked == [ONCE]


@pytest.mark.parametrize("stem", ["bm-smi-MARS3-SOC-0.4.9"])
def test_recordings_of_the_field_give_what_stands_in_them(
    stem: str,
    recording: Callable[[str], str],
    assert_expected: Callable[[str, str, Any], None],
) -> None:
    plugin = replay(recording(f"sophgo/{stem}.txt"))
    cards = plugin.list_accelerators()
    assert_expected("sophgo", stem, zip(cards, plugin.read(), strict=True))
