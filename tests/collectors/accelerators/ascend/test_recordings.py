"""Recordings from the field give the values that were read in them by eye."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from agent.errors import ReadingUnavailable
from collectors.accelerators.ascend import listings
from collectors.accelerators.ascend.machine import Machine
from collectors.accelerators.ascend.plugin import AscendConfig, AscendPlugin
from collectors.accelerators.recording import Recording
from collectors.accelerators.vendor_tool import ToolAnswer

ON_BUS = Path(__file__).resolve().parents[1] / "expected/ascend/bus"

TABLES = (
    "info-300IDuo-x4-2chips-25.3.rc1",
    "info-310-1card-4chips-20.2.0",
    "info-310B4-ok-23.0.rc3",
    "info-310P3-x6-1chip-25.2.0",
    "info-910A-elided-23.0.5",
    "info-910A-x8-22.0.3.1",
    "info-910A-x8-hbm-full-23.0.rc2.3",
    "info-910A-x8-npusmi1.8.21",
    "info-910B1-x8-elided-23.0.rc2",
    "info-910B2C-x2-23.0.3",
    "info-910B2C-x2-process-23.0.2.1",
    "info-910B4-x1-container-26.0.rc1",
    "info-950-manual",
    "info-A3-Ascend910-x2-2chips-25.2.0",
)


def replay(text, *, exit_status=0):
    answers = {("info",): ToolAnswer(text=text, exit_status=exit_status)}
    files = Recording(tools={"npu-smi": answers}).to_files()
    return AscendPlugin.replay(AscendConfig(), files)


@pytest.mark.parametrize("stem", TABLES)
def test_a_table_from_the_field(stem, recording, assert_expected):
    plugin = replay(recording(f"ascend/{stem}.txt"))

    plugin.probe()

    assert_expected("ascend", stem, zip(plugin.list_accelerators(), plugin.read(), strict=True))


@pytest.mark.parametrize(
    ("stem", "words", "hint"),
    [
        ("error-dcmi-8005", "-8005", "HwHiAiUser"),
        ("error-dcmi-8020-device-used", "another container", "the other container"),
        ("error-invalid-card-id", "Invalid card id", "dropped off the bus"),
    ],
)
def test_a_complaint_from_the_field(stem, words, hint, recording):
    plugin = replay(recording(f"ascend/{stem}.txt"), exit_status=187)

    with pytest.raises(ReadingUnavailable) as caught:
        plugin.list_accelerators()

    assert words in caught.value.reason
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("stem", "places"),
    [
        ("mapping-310-1card-4chips-20.2.0", [(215, chip, chip) for chip in range(4)]),
        ("mapping-310-1card-4chips-mcu-21.0.4", [(6, chip, chip) for chip in range(4)]),
        (
            "mapping-310P-x4cards-2chips-mcu",
            [
                (card, chip, 2 * at + chip)
                for at, card in enumerate((1, 2, 4, 5))
                for chip in (0, 1)
            ],
        ),
        ("mapping-910A-x8-22.0.3.1", [(card, 0, card) for card in range(8)]),
        ("mapping-910A-x8-23.0.5", [(card, 0, card) for card in range(8)]),
        ("mapping-910A-x8-24.1.RC2", [(card, 0, card) for card in range(8)]),
        ("mapping-910B-x8-mcu", [(card, 0, card) for card in range(8)]),
        ("mapping-910B3-mcu", [(0, 0, 0), (1, 0, 1)]),
        ("mapping-950-manual", [(0, 0, 0)]),
    ],
)
def test_a_mapping_from_the_field(stem, places, recording):
    found = listings.places(recording(f"ascend/{stem}.txt"))

    assert [(each.card, each.chip, each.index) for each in found] == places


@pytest.mark.parametrize(
    "stem", ["list-310-4chips-edited", "list-310-atlas200-annotated-22.0.4", "list-950-manual"]
)
def test_a_list_from_the_field_names_no_board_that_is_sold(stem, recording):
    assert listings.products(recording(f"ascend/{stem}.txt")) == {}


@pytest.mark.parametrize("stem", ["lspci-910A-x8", "lspci-910A-x7-one-lost"])
def test_a_bus_from_the_field_is_seen_without_lspci(stem, recording, tmp_path):
    expected = json.loads((ON_BUS / f"{stem}.json").read_text(encoding="utf-8"))

    put_on_bus(tmp_path, recording(f"ascend/{stem}.txt"))

    assert sorted(Machine(tmp_path).pci_addresses()) == expected["on_bus"]


def test_a_card_that_the_tool_never_listed_is_told_by_the_bus(
    recording, fake_tool, tool_plugin, tmp_path, caplog
):
    caplog.set_level(logging.INFO)
    put_on_bus(tmp_path, recording("ascend/lspci-910A-x8.txt"))
    rows = [
        f"| {number}     910A              | OK            | 70.0        40          0 / 0     |\n"
        f"| 0                      | 0000:{bus}:00.0  | 0           0 / 0      100 / 32768 |\n"
        "+========================+===============+====================================+\n"
        for number, bus in enumerate(("3d", "3e", "60", "b1", "b2", "da", "db"))
    ]
    head = (
        "| NPU   Name             | Health        | Power(W) Temp(C) Hugepages-Usage(page) |\n"
        "| Chip                   | Bus-Id        | AICore(%)   Memory-Usage(MB)  HBM-Usage(MB) |\n"
        "+========================+===============+====================================+\n"
    )

    cards = tool_plugin(fake_tool({("info",): head + "".join(rows)})).list_accelerators()

    assert len(cards) == 7
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == [
        "ascend_chips=7 before=0 on_bus=8 on_bus_but_not_listed=0000:61:00.0"
    ]


def put_on_bus(root, lspci):
    """Put the functions that lspci shows where the kernel shows them."""
    for line in lspci.splitlines():
        address, kind = line.split(" ", 1)
        assert kind.startswith("Processing accelerators: Huawei Technologies Co., Ltd. Device ")
        device = root / "sys/bus/pci/devices" / f"0000:{address}"
        device.mkdir(parents=True)
        (device / "vendor").write_text("0x19e5\n")
        (device / "class").write_text("0x120000\n")
