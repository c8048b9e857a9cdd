"""Tables from the field give the values that somebody checked by eye."""

from __future__ import annotations

import pytest

from collectors.accelerators.cambricon.plugin import CambriconConfig, CambriconPlugin

RECORDINGS = (
    "cnmon-MLU370-X4-x2-v5.10.10",
    "cnmon-MLU370-X8-x2-v5.10.13",
    "cnmon-masked-x8-v5.10.31",
)


@pytest.mark.parametrize("stem", RECORDINGS)
def test_a_recording_gives_the_expected_values(stem, recording, assert_expected, printed):
    plugin = CambriconPlugin(
        CambriconConfig(source="tool"), tool=printed(recording(f"cambricon/{stem}.txt"))
    )

    cards = plugin.list_accelerators()

    assert_expected("cambricon", stem, zip(cards, plugin.read(), strict=True))
