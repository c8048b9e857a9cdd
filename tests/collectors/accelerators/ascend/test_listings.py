"""The finer answers of npu-smi."""

from __future__ import annotations

import pytest

from collectors.accelerators.ascend import listings


def test_helpers_on_a_card_are_no_chips(table):
    places = listings.places(table("mapping-910b"))

    assert [(each.card, each.chip, each.index, each.node_number) for each in places] == [
        (0, 0, 0, 0),
        (1, 0, 1, 1),
        (2, 0, 2, 2),
    ]


def test_a_helper_with_a_number_is_no_chip_either(table):
    text = table("mapping-910b").replace("-                              Mcu", "9      Mcu")

    assert listings.places(text) == listings.places(table("mapping-910b"))


def test_physical_numbers_are_those_of_the_nodes(table):
    places = listings.places(table("mapping-phy"))

    assert [(each.card, each.chip, each.index, each.node_number) for each in places] == [
        (0, 0, 0, 8),
        (0, 1, 1, 9),
        (1, 0, 2, 10),
        (1, 1, 3, 11),
    ]


def test_a_column_that_nobody_knows_gives_nothing_rather_than_shifted_numbers(table):
    text = table("mapping-910b").replace("Chip ID   ", "Socket ID")

    assert listings.places(text) == ()


@pytest.mark.parametrize("name", ["mapping-910b", "mapping-phy"])
def test_every_beginning_of_a_mapping_is_never_wrong(name, table):
    text = table(name)
    whole = set(listings.places(text))

    for end in range(len(text)):
        assert set(listings.places(text[:end])) <= whole


def test_products_are_names_and_no_codes(table):
    assert listings.products(table("list-duo")) == {32768: "Atlas 300I Duo"}
    assert listings.products(table("product-0")) == {0: "Atlas 300I Duo"}
    assert listings.products("Product Type : Atlas 300V Pro\n", card=7) == {7: "Atlas 300V Pro"}
    assert listings.products("NPU ID : 1\nProduct Name : NA\n") == {}


@pytest.mark.parametrize("name", ["list-duo", "product-0"])
def test_every_beginning_of_a_list_is_never_wrong(name, table):
    text = table(name)
    whole = listings.products(text).items()

    for end in range(len(text)):
        assert listings.products(text[:end]).items() <= whole
