"""Every recording from the field against what stands in it, checked by eye."""

from __future__ import annotations

import pytest

STEMS = (
    "xpu-smi-P800-x3-5.19.0.0",
    "xpu-smi-P800-x8-515.58",
    "xpu-smi-q-P800-PCIe-5.0.21.26",
    "xpu_smi-K200-x4-4.0",
    "xpu_smi-K200-x4-idle-4.33",
    "xpu_smi-K200-x4-used-4.0-short-columns",
    "xpu_smi-R200-K100-mix-4.0",
    "xpu_smi-R200-sriov-elided-4.0",
    "xpu_smi-m-K200-x4-4.33",
)


@pytest.mark.parametrize("stem", STEMS)
def test_a_recording_gives_what_stands_in_it(stem, recording, plugin_of, assert_expected):
    plugin = plugin_of(recording(f"kunlun/{stem}.txt"), program=stem.partition("-")[0])

    assert_expected("kunlun", stem, zip(plugin.list_accelerators(), plugin.read(), strict=True))


def test_table_and_machine_readable_form_of_one_moment_agree(recording, plugin_of):
    table = plugin_of(recording("kunlun/xpu_smi-K200-x4-idle-4.33.txt"))
    rows = plugin_of(recording("kunlun/xpu_smi-m-K200-x4-4.33.txt"))

    identities = [
        [
            (card.uuid, card.pci_address, card.card, card.product_name)
            for card in plugin.list_accelerators()
        ]
        for plugin in (table, rows)
    ]
    assert identities[0] == identities[1]
    for by_table, by_rows in zip(table.read(), rows.read(), strict=True):
        assert by_table.memory_used_bytes == by_rows.memory_used_bytes
        assert by_table.temperature_celsius == by_rows.temperature_celsius
        if by_table.power_watts is not None:
            assert by_table.power_watts == int(by_rows.power_watts)
