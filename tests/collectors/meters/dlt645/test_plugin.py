"""A DL/T 645 meter against a simulated one."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from agent.errors import NotPresent, ReadingUnavailable
from collectors.meters.dlt645.plugin import Dlt645Config, Dlt645Meter
from tests.collectors.meters.dlt645.meter_simulator import (
    ENERGY,
    POWER,
    MeterSimulator,
    decimal,
    frame,
)
from tests.collectors.meters.peers import Peer

ADDRESS = "000000000161"
KWH = 3_600_000


@contextmanager
def meter(simulator: MeterSimulator, *, address=ADDRESS, **options):
    with Peer(simulator.behave) as peer:
        made = Dlt645Meter(
            Dlt645Config(host="127.0.0.1", port=peer.port, address=address, **options)
        )
        try:
            yield made
        finally:
            made.close()


def test_energy_and_power_are_read():
    with meter(MeterSimulator()) as made:
        reading = made.read()

    assert reading.energy_joules == 12345678 * 36_000
    assert reading.power_watts == 2345.6
    assert reading.reset_marker == "meter 000000000161, 00010000 x 1"
    assert not reading.unknown


def test_ratios_multiply_energy_power_and_traits():
    with meter(MeterSimulator(), pt=100, ct=0.5) as made:
        reading = made.read()

    assert reading.energy_joules == 12345678 * 36_000 * 50
    assert reading.power_watts == 117_280.0
    assert made.traits().modulus == 50 * 10**6 * KWH
    assert made.traits().resolution == 50 * 36_000


def test_a_register_of_8_digits_rolls_over_at_a_million():
    traits = Dlt645Meter(Dlt645Config()).traits()

    assert traits.modulus == 10**6 * KWH
    assert traits.resolution == 36_000


def test_the_resolution_of_the_configuration_wins():
    assert Dlt645Meter(Dlt645Config(resolution_kwh=0.1)).traits().resolution == 360_000


@pytest.mark.parametrize("piece_bytes", [1, 2, 7, 19])
def test_an_answer_in_pieces_between_noise_is_read(piece_bytes):
    noisy = MeterSimulator(
        before=b"\xfe\xfe\x68\x01\x68\x16", after=b"\xff\x68", piece_bytes=piece_bytes
    )
    with meter(noisy, timeout_seconds=30) as made:
        assert made.read().energy_joules == 12345678 * 36_000
        assert made.read().energy_joules == 12345678 * 36_000


def test_answers_of_another_meter_and_to_another_question_are_passed_over():
    before = frame("000000000999", 0x91, bytes.fromhex("00000100") + decimal(1, 4))
    before += frame(ADDRESS, 0x91, bytes.fromhex("00000200") + decimal(2, 4))
    # Some gateways give back what was sent.
    before += frame(ADDRESS, 0x11, bytes.fromhex("00000100"))
    with meter(MeterSimulator(before=before)) as made:
        assert made.read().energy_joules == 12345678 * 36_000


def test_a_meter_without_power_tells_its_energy():
    with meter(MeterSimulator(data={ENERGY: decimal(26, 4)})) as made:
        reading = made.read()

    assert reading.energy_joules == 26 * 36_000
    assert reading.power_watts is None
    assert "no such data" in reading.unknown["power_watts"]


def test_power_is_not_asked_for_where_nobody_wants_it():
    simulator = MeterSimulator()
    with meter(simulator, read_power=False) as made:
        assert made.read().power_watts is None

    assert len(simulator.questions) == 1


def test_another_register_can_be_chosen():
    simulator = MeterSimulator(data={"00020000": decimal(5, 4)})
    with meter(simulator, energy_identifier="00020000") as made:
        assert made.read().energy_joules == 5 * 36_000


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({}, "refuses data 00010000: no such data"),
        ({ENERGY: b"\xff\xff\xff\xff"}, "no decimal number"),
        ({ENERGY: decimal(1, 3)}, "has 3 bytes"),
        ({ENERGY: decimal(1, 20)}, "has 20 bytes"),
    ],
)
def test_what_is_no_energy_is_said(data, said):
    with meter(MeterSimulator(data=data)) as made, pytest.raises(ReadingUnavailable, match=said):
        made.read()


def test_power_that_is_no_number_costs_the_energy_nothing():
    data = {ENERGY: decimal(26, 4), POWER: b"\xff\xff\xff"}
    with meter(MeterSimulator(data=data)) as made:
        reading = made.read()

    assert reading.energy_joules == 26 * 36_000
    assert "no decimal number" in reading.unknown["power_watts"]


def test_a_wrong_address_gets_no_answer():
    other = MeterSimulator(address="000000000162")
    with (
        meter(other, timeout_seconds=0.6) as made,
        pytest.raises(ReadingUnavailable, match="no answer from meter 000000000161"),
    ):
        made.read()


def test_a_wildcard_is_refused_unless_it_is_allowed():
    with pytest.raises(NotPresent, match="leaves open which meter"):
        Dlt645Meter(Dlt645Config(host="gateway", address="A" * 12)).probe()
    with meter(MeterSimulator(), address="AAAAAAAAA161", allow_wildcard=True) as made:
        assert made.read().reset_marker == "meter 000000000161, 00010000 x 1"


def test_an_exchanged_meter_shows_behind_a_wildcard():
    simulator = MeterSimulator()
    with meter(simulator, address="A" * 12, allow_wildcard=True) as made:
        before = made.read().reset_marker
        simulator.address = "000000000999"
        assert made.read().reset_marker != before


@pytest.mark.parametrize("address", ["", "161", "0000000001612", "00000000016A", "１" * 12, "aaaa"])
def test_what_is_no_address_is_refused(address):
    with pytest.raises(NotPresent, match="is no address"):
        Dlt645Meter(Dlt645Config(host="gateway", address=address)).probe()


def test_an_answer_in_parts_is_refused():
    data = bytes.fromhex("00000100") + decimal(1, 4)
    simulator = MeterSimulator(before=frame(ADDRESS, 0xB1, data))
    with meter(simulator) as made, pytest.raises(ReadingUnavailable, match="in parts"):
        made.read()


def test_an_answer_that_came_late_meets_no_later_question():
    def behave(connection, stopping):
        number = 0
        held = b""
        while connection.recv(4096):
            number += 1
            held += frame(ADDRESS, 0x91, bytes.fromhex("00000100") + decimal(number, 4))
            if number > 1:
                connection.sendall(held)

    with Peer(behave) as peer:
        made = Dlt645Meter(
            Dlt645Config(
                host="127.0.0.1",
                port=peer.port,
                address=ADDRESS,
                read_power=False,
                timeout_seconds=0.6,
            )
        )
        for _ in range(2):
            # Each connection is asked once, and closed once its answer is late.
            with pytest.raises(ReadingUnavailable, match="no answer"):
                made.read()
        assert peer.connected == 2
        made.close()
