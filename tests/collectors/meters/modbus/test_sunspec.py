"""Meters that are found by walking a SunSpec map."""

from __future__ import annotations

import pytest

from agent.errors import ReadingUnavailable
from tests.collectors.meters.modbus.test_plugin import float_words, meter, words
from tests.collectors.meters.peers import ModbusPeer

MARKER = [0x5375, 0x6E53]
END = [0xFFFF, 0]


def text(content: str, count: int) -> list[int]:
    data = content.encode().ljust(2 * count, b"\0")
    return [int.from_bytes(data[index : index + 2], "big") for index in range(0, 2 * count, 2)]


def common(serial: str = "SN-1") -> list[int]:
    return [1, 66, *text("ACME", 16), *text("M1", 16), *text("", 16), *text(serial, 16), 1, 0]


def integer_meter(
    number=203, *, imported=5000, exported=70, energy_scale=1, watts=-1234, power_scale=0
) -> list[int]:
    model = [0] * 107
    model[0:2] = [number, 105]
    model[18] = watts & 0xFFFF
    model[22] = power_scale & 0xFFFF
    model[38:40] = words(exported, 2)
    model[46:48] = words(imported, 2)
    model[54] = energy_scale & 0xFFFF
    return model


def float_meter(number=213, *, imported=1.5e6, watts=2500.5) -> list[int]:
    model = [0] * 126
    model[0:2] = [number, 124]
    model[28:30] = float_words(watts)
    model[60:62] = float_words(3.0)
    model[68:70] = float_words(imported)
    return model


def sunspec_map(*models: list[int], start=40000) -> dict[int, list[int]]:
    return {start: [*MARKER, *(word for model in models for word in model), *END]}


def read(peer, **options):
    made = meter(peer, "sunspec", **options)
    try:
        return made.read(), made.traits()
    finally:
        made.close()


@pytest.mark.parametrize("start", [40000, 50000, 0])
def test_the_map_is_found_wherever_it_may_begin(start):
    with ModbusPeer(sunspec_map(common(), integer_meter(), start=start)) as peer:
        reading, _ = read(peer)

    assert reading.energy_joules == 5000 * 10 * 3600


@pytest.mark.parametrize("number", [201, 202, 203, 204])
def test_integers_are_scaled_exactly_and_the_scale_makes_the_traits(number):
    inverter = [103, 50, *[7] * 50]
    model = integer_meter(number, imported=123457, energy_scale=-1, power_scale=1)
    with ModbusPeer(sunspec_map(common(), inverter, model)) as peer:
        reading, traits = read(peer)

    assert reading.energy_joules == 123457 * 360
    assert reading.power_watts == -12340.0
    assert traits.modulus == 2**32 * 360
    assert traits.resolution == 360


@pytest.mark.parametrize("number", [211, 212, 213, 214])
def test_floats_are_read_with_the_step_that_they_have(number):
    with ModbusPeer(sunspec_map(common(), float_meter(number))) as peer:
        reading, traits = read(peer)

    assert reading.energy_joules == 1_500_000 * 3600
    assert reading.power_watts == 2500.5
    assert traits.modulus is None
    # Between 2^20 and 2^21 a float's step is 1/8.
    assert traits.resolution == 450


def test_what_is_given_back_counts_up_and_its_power_is_positive():
    with ModbusPeer(sunspec_map(common(), integer_meter())) as peer:
        reading, _ = read(peer, energy="export")

    assert reading.energy_joules == 70 * 10 * 3600
    assert reading.power_watts == 1234.0


def test_the_serial_number_is_part_of_the_marker_and_is_read_each_time():
    with ModbusPeer(sunspec_map(common("SN-1"), integer_meter())) as peer:
        made = meter(peer, "sunspec")
        before = made.read().reset_marker
        peer.set(40002 + 50, text("SN-2", 16))
        after = made.read().reset_marker
        made.close()

    assert "SN-1" in before
    assert "SN-2" in after


def test_a_counter_of_0_is_not_there():
    with ModbusPeer(sunspec_map(common(), integer_meter(imported=0))) as peer:
        reading, _ = read(peer)

    assert reading.energy_joules is None
    assert "SunSpec's sign" in reading.unknown["energy_joules"]
    assert reading.power_watts == -1234.0


def test_signs_for_no_value_are_no_values():
    model = integer_meter(watts=-0x8000, energy_scale=-0x8000)
    with (
        ModbusPeer(sunspec_map(common(), model)) as peer,
        pytest.raises(ReadingUnavailable, match="scale factor of 0x8000"),
    ):
        read(peer)


def test_a_map_that_moved_is_walked_again():
    with ModbusPeer({**sunspec_map(common(), integer_meter(), integer_meter(204))}) as peer:
        made = meter(peer, "sunspec")
        made.read()
        # The first meter becomes another model of the same length.
        peer.set(40002 + 68, [103])
        with pytest.raises(ReadingUnavailable, match="held SunSpec model 203 and now 103"):
            made.read()
        assert "model 204 at 40177" in made.read().reset_marker
        made.close()


@pytest.mark.parametrize(
    ("registers", "said"),
    [
        ({40000: [1, 2]}, "no SunSpec map"),
        (sunspec_map(common(), [103, 2, 0, 0]), "no meter in it; its models are 1, 103"),
        (sunspec_map(common(), [203, 10, *[0] * 10]), "too short"),
        ({40000: [*MARKER, *[9, 0] * 70]}, "no meter in it"),
    ],
)
def test_a_map_without_a_meter_is_no_meter(registers, said):
    with ModbusPeer(registers) as peer, pytest.raises(ReadingUnavailable, match=said):
        read(peer)


def test_a_new_connection_walks_the_map_again():
    with ModbusPeer(sunspec_map(common(), [103, 105, *[1] * 105], integer_meter())) as peer:
        made = meter(peer, "sunspec")
        assert "model 203 at 40177" in made.read().reset_marker
        peer.set(40002 + 68, integer_meter(204))
        assert "model 203 at 40177" in made.read().reset_marker
        made.close()
        assert "model 204 at 40070" in made.read().reset_marker
        made.close()
