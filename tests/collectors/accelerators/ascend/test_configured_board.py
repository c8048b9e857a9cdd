"""The operator may say what a card was sold as, where the driver does not."""

from __future__ import annotations

import pytest

from collectors.accelerators.ascend.plugin import AscendConfig, AscendPlugin


@pytest.fixture
def boards(table, fake_tool, tmp_path):
    """Return a function that lists the boards of one of the project's tables."""

    def read(name, **config):
        plugin = AscendPlugin(
            AscendConfig(source="tool", **config),
            tool=fake_tool({("info",): table(name)}),
            root=tmp_path,
        )
        return [card.board_name for card in plugin.list_accelerators()]

    return read


def test_a_card_with_one_chip_is_what_the_operator_says(boards):
    assert set(boards("soc")) == {None}
    assert set(boards("soc", board="Atlas 300I Pro")) == {"Atlas 300I Pro"}


def test_a_card_with_several_chips_is_not(boards):
    assert set(boards("duo", board="Atlas 300I Pro")) == {None}


def test_what_the_driver_says_counts_more(table, fake_tool, tmp_path):
    answers = {
        ("info",): table("soc"),
        ("info", "-l"): "",
        ("info", "-t", "product", "-i", "0"): table("product-0"),
    }
    plugin = AscendPlugin(
        AscendConfig(source="tool", board="Atlas 300V"), tool=fake_tool(answers), root=tmp_path
    )

    [card] = plugin.list_accelerators()

    assert card.board_name == "Atlas 300I Duo"
