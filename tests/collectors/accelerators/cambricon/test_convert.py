"""Raw facts become base units, names and reasons."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model.accelerator import Health
from collectors.accelerators.cambricon import convert
from collectors.accelerators.cambricon.facts import Chip, Instance, Load, Unknown, Verdict

NONE = Unknown("not told")


def chip(index: int = 0, **changes: object) -> Chip:
    whole = Chip(
        index=index,
        uuid=f"01012001-1913-0000-0000-0000000000{index:02d}",
        name="MLU290-M5",
        pci_address=f"0000:{16 + index:02x}:00.0",
        serial=f"abc{index}",
        board_serial=NONE,
        load=Load(memory_total_mebibytes=32768, memory_used_mebibytes=512, utilization_percent=25),
        temperature_celsius=50,
        power_watts=120,
        verdict=Verdict(health=Health.OK, because="healthy"),
    )
    return replace(whole, **changes)


def powers(chips: list[Chip]) -> list[float | None]:
    return [each.reading.power_watts for each in convert.entries(chips, source="cndev")]


def test_units_are_bytes_and_ratios():
    (entry,) = convert.entries([chip()], source="cndev")

    assert entry.accelerator.memory_total_bytes == 32768 * 2**20
    assert entry.reading.memory_used_bytes == 512 * 2**20
    assert entry.reading.utilization_ratio == 0.25
    assert entry.reading.health is Health.OK
    assert entry.accelerator.unknown == {}
    assert entry.reading.unknown["energy_joules"] == "not offered by cndev"
    assert set(entry.reading.unknown) == {"energy_joules", "processes"}
    assert entry.reading.unknown["processes"] == "not asked"


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"temperature_celsius": -1}, "temperature_celsius"),
        ({"temperature_celsius": 0}, "temperature_celsius"),
        ({"power_watts": -1}, "power_watts"),
        ({"power_watts": 0}, "power_watts"),
        ({"load": Load(memory_total_mebibytes=1, memory_used_mebibytes=-1, utilization_percent=1)},
         "memory_used_bytes"),
        ({"load": Load(memory_total_mebibytes=9, memory_used_mebibytes=10, utilization_percent=1)},
         "memory_used_bytes"),
        ({"load": Load(memory_total_mebibytes=1, memory_used_mebibytes=1, utilization_percent=101)},
         "utilization_ratio"),
    ],
)  # fmt: skip
def test_what_no_card_can_measure_is_unknown(changes, name):
    (entry,) = convert.entries([chip(**changes)], source="cndev")

    assert getattr(entry.reading, name) is None
    assert "not plausible" in entry.reading.unknown[name]


def test_a_memory_of_nothing_is_unknown():
    load = Load(memory_total_mebibytes=0, memory_used_mebibytes=0, utilization_percent=0)

    (entry,) = convert.entries([chip(load=load)], source="cndev")

    assert entry.accelerator.memory_total_bytes is None
    assert entry.reading.utilization_ratio == 0.0


def test_both_chips_of_a_card_are_grouped_and_its_power_counts_once():
    chips = [chip(index, name="MLU370-X8", serial=f"card{index // 2}") for index in range(4)]

    found = convert.entries(chips, source="cndev")

    assert [each.accelerator.card for each in found] == [
        "0000:10:00.0",
        "0000:10:00.0",
        "0000:12:00.0",
        "0000:12:00.0",
    ]
    assert {each.accelerator.chips_on_card for each in found} == {2}
    assert [each.reading.power_watts for each in found] == [120, None, 120, None]
    assert found[1].reading.unknown["power_watts"].endswith("shown at chip 0")
    # The temperature is each chip's own.
    assert {each.reading.temperature_celsius for each in found} == {50}


def test_the_power_of_a_card_is_shown_at_the_chip_that_tells_it():
    chips = [
        chip(0, name="MLU370-X8", serial="one", power_watts=NONE),
        chip(1, name="MLU370-X8", serial="one"),
    ]

    assert powers(chips) == [None, 120]


def test_without_serial_numbers_chips_that_follow_each_other_share_a_card():
    chips = [chip(index, name="MLU370-X8", serial=NONE) for index in range(4)]

    assert powers(chips) == [120, None, 120, None]


def test_power_is_unknown_where_the_cards_cannot_be_told():
    chips = [chip(index, name="MLU370-X8", serial=NONE) for index in range(3)]

    found = convert.entries(chips, source="cnmon")

    assert {each.reading.power_watts for each in found} == {None}
    assert {each.accelerator.card for each in found} == {None}


def test_modules_with_a_number_each_have_a_power_each():
    assert powers([chip(0), chip(1)]) == [120, 120]


def test_instances_stand_in_place_of_their_chip_and_share_no_power():
    load = Load(memory_total_mebibytes=16384, memory_used_mebibytes=1, utilization_percent=80)
    parts = tuple(
        Instance(
            number=number,
            uuid=f"01012001-1915-0000-0000-0000000000{number:02d}",
            profile="2m.16gb",
            load=load,
            nodes=(f"/dev/cambricon-caps/cap_dev0_mi{number}",),
        )
        for number in (1, 3)
    )

    found = convert.entries([chip(instances=parts), chip(1)], source="cndev")

    assert [each.accelerator.index for each in found] == [1, 3, 1]
    assert found[0].accelerator.parent_uuid == "MLU-01012001-1913-0000-0000-000000000000"
    assert found[0].accelerator.product_name == "MLU290-M5 2m.16gb"
    assert found[0].accelerator.memory_total_bytes == 16384 * 2**20
    assert found[0].reading.utilization_ratio == 0.8
    assert found[0].reading.power_watts is None
    assert "whole chip" in found[0].reading.unknown["temperature_celsius"]
    assert found[0].reading.health is Health.OK
    assert found[2].reading.power_watts == 120


def test_a_uuid_that_two_chips_claim_names_neither():
    chips = [chip(0), chip(1, uuid=chip(0).uuid)]

    names = [each.accelerator.uuid for each in convert.entries(chips, source="cndev")]

    assert names == ["cambricon-0000:10:00.0", "cambricon-0000:11:00.0"]


@pytest.mark.parametrize("text", ["", "0", "00000000-0000-0000-0000-000000000000", "\x00", "a b"])
def test_a_text_that_is_no_uuid_names_nothing(text):
    assert convert.given_uuid(text) is None


def test_a_chip_without_uuid_and_address_is_named_by_the_drivers_number():
    (entry,) = convert.entries([chip(3, uuid=NONE, pci_address=NONE)], source="cnmon")

    assert entry.accelerator.uuid == "cambricon-card3"


NUMBERS = st.one_of(st.integers(-(2**40), 2**40), st.floats(allow_nan=False), st.just(NONE))
TEXTS = st.one_of(st.sampled_from(["", "MLU370-X8", "a", "0000:10:00.0"]), st.just(NONE))


@st.composite
def any_chip(draw: st.DrawFn, index: int) -> Chip:
    return Chip(
        index=index,
        uuid=draw(TEXTS),
        name=draw(TEXTS),
        pci_address=draw(TEXTS),
        serial=draw(TEXTS),
        board_serial=draw(TEXTS),
        load=Load(
            memory_total_mebibytes=draw(NUMBERS),
            memory_used_mebibytes=draw(NUMBERS),
            utilization_percent=draw(NUMBERS),
        ),
        temperature_celsius=draw(NUMBERS),
        power_watts=draw(NUMBERS),
        verdict=Verdict(health=draw(st.sampled_from(Health)), because="drawn"),
    )


@given(st.integers(0, 4).flatmap(lambda count: st.tuples(*(any_chip(n) for n in range(count)))))
def test_whatever_the_driver_answers_names_are_unique_and_unknowns_have_reasons(chips):
    found = convert.entries(chips, source="cndev")

    assert len({each.accelerator.uuid for each in found}) == len(chips)
    for entry in found:
        reading = entry.reading
        for name in ("memory_used_bytes", "utilization_ratio", "temperature_celsius",
                     "power_watts", "energy_joules"):  # fmt: skip
            assert (getattr(reading, name) is None) == (name in reading.unknown)
        assert (reading.health is Health.UNKNOWN) == ("health" in reading.unknown)
        assert reading.utilization_ratio is None or 0 <= reading.utilization_ratio <= 1
        used, total = reading.memory_used_bytes, entry.accelerator.memory_total_bytes
        assert used is None or total is None or 0 <= used <= total
