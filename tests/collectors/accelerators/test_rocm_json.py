"""The JSON of rocm-smi and its kin is found among other words, and never half believed."""

from __future__ import annotations

import json

import pytest

from collectors.accelerators import rocm_json
from collectors.accelerators.quantities import Unknown


def facts(**texts: object) -> rocm_json.CardFacts:
    (card,) = rocm_json.cards(json.dumps({"card0": texts}))
    return rocm_json.facts(card)


def test_words_around_the_json_are_passed_over() -> None:
    text = 'WARNING: {odd}\n\n  {"card3": {"GPU use (%)": "7"}, "system": {"a": "b"}}\nbye {'
    (card,) = rocm_json.cards(text)
    assert card.index == 3
    assert rocm_json.facts(card).utilization_ratio == pytest.approx(0.07)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"card0": 5}', '{"cardX": {}}', '{"card0": {"a": "b"}', "[" * 9999],
)
def test_what_is_no_whole_json_of_cards_gives_none(text: str) -> None:
    assert rocm_json.cards(text) == []


def test_cards_stand_in_the_order_of_their_numbers() -> None:
    text = json.dumps({f"card{number}": {"a": "b"} for number in (10, 2, 1)})
    assert [card.index for card in rocm_json.cards(text)] == [1, 2, 10]


def test_a_key_that_stands_there_twice_is_not_believed() -> None:
    (card,) = rocm_json.cards('{"card0": {"GPU use (%)": "7", "GPU use (%)": "8"}}')
    assert isinstance(rocm_json.facts(card).utilization_ratio, Unknown)


def test_numbers_may_stand_without_quotes() -> None:
    assert facts(**{"GPU use (%)": 7}).utilization_ratio == pytest.approx(0.07)
    assert isinstance(facts(**{"GPU use (%)": True}).utilization_ratio, Unknown)


def test_memory_is_read_in_the_unit_of_its_key() -> None:
    card = facts(**{"VRAM Total Memory (B)": "5", "VRAM Total Used Memory (B)": "4"})
    assert (card.memory_total_bytes, card.memory_used_bytes) == (5, 4)
    card = facts(**{"vram Total Memory (MiB)": "5", "vram Total Used Memory (KiB)": "4"})
    assert (card.memory_total_bytes, card.memory_used_bytes) == (5 * 1024**2, 4096)
    card = facts(**{"vram Total Memory (MB)": "5"})
    assert isinstance(card.memory_total_bytes, Unknown)


def test_the_limit_of_power_is_not_the_power() -> None:
    assert isinstance(facts(**{"Max Graphics Package Power (W)": "290.0"}).power_watts, Unknown)


def test_a_model_number_is_no_name_and_two_products_are_no_board() -> None:
    assert isinstance(facts(**{"Card model": "0xc1e"}).product_name, Unknown)
    both = facts(**{"Card Series": "Chip [Radeon A / B]"})
    assert both.product_name == "Chip [Radeon A / B]"
    assert both.board_name is None


@pytest.mark.parametrize("unique_id", ["N/A", "0", "0x0", "0xffffffffffffffff", "", "zz", "1" * 17])
def test_a_unique_id_that_is_none_names_no_card(unique_id: str) -> None:
    assert facts(**{"Unique ID": unique_id}).uuid is None
