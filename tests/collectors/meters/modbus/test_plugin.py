"""A Modbus meter against pymodbus' own server, and against peers that misbehave."""

from __future__ import annotations

import struct
import subprocess
import threading
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import NotPresent, ReadingUnavailable
from collectors.meters.modbus.plugin import ModbusConfig, ModbusMeter
from tests.collectors.meters import peers
from tests.collectors.meters.peers import ModbusPeer, Peer

KWH = 3_600_000


def words(number: int, count: int) -> list[int]:
    return [number >> 16 * index & 0xFFFF for index in reversed(range(count))]


def float_words(number: float) -> list[int]:
    return list(struct.unpack(">HH", struct.pack(">f", number)))


def meter(peer, profile: str, **options) -> ModbusMeter:
    return ModbusMeter(ModbusConfig(host="127.0.0.1", port=peer.port, profile=profile, **options))


@pytest.fixture
def read(request):
    """Return a function that reads once and closes."""

    def once(peer, profile, **options):
        made = meter(peer, profile, **options)
        request.addfinalizer(made.close)
        return made.read()

    return once


ADL3000E = {0x000A: words(123456, 2), 0x0014: words(789, 2)}
PM5000 = {
    129: words(4711, 2),
    3059: float_words(12.5),
    3203: words(1_234_567_890_123, 4),
    3207: words(55, 4),
}


@pytest.mark.parametrize("framing", ["tcp", "rtu"])
def test_secondary_side_counts_are_multiplied_with_both_ratios(read, framing):
    with ModbusPeer(ADL3000E, framing=framing) as peer:
        reading = read(peer, "acrel-adl3000e", framing=framing, pt=100, ct=40)

    assert reading.energy_joules == 123456 * 100 * 40 * KWH // 100
    assert reading.power_watts is None
    assert "no register of power" in reading.unknown["power_watts"]
    assert reading.reset_marker == "serial -, register 10 u32 x 40 kWh"


def test_energy_given_back_is_another_register_with_another_marker(read):
    with ModbusPeer(ADL3000E) as peer:
        taken = read(peer, "acrel-adl3000e")
        given_back = read(peer, "acrel-adl3000e", energy="export")

    assert given_back.energy_joules == 789 * KWH // 100
    assert given_back.reset_marker != taken.reset_marker


def test_another_ratio_is_another_marker(read):
    with ModbusPeer(ADL3000E) as peer:
        markers = {read(peer, "acrel-adl3000e", ct=ct).reset_marker for ct in (1, 40, 80)}

    assert markers == {f"serial -, register 10 u32 x {each} kWh" for each in ("0.01", "0.4", "0.8")}


def test_a_ratio_that_the_values_do_not_need_is_refused(read):
    with ModbusPeer(PM5000) as peer, pytest.raises(ReadingUnavailable, match="need no ct"):
        read(peer, "schneider-pm5000", ct=40)


def test_schneider_counts_watt_hours_in_64_bits_and_kilowatts_as_float(read):
    with ModbusPeer(PM5000) as peer:
        reading = read(peer, "schneider-pm5000")

    assert reading.energy_joules == 1_234_567_890_123 * 3600
    assert reading.power_watts == 12_500.0
    assert "serial 4711" in reading.reset_marker


def test_no_watt_hour_is_lost_in_a_large_register(read):
    with ModbusPeer({**PM5000, 3203: words(2**51 + 1, 4)}) as peer:
        assert read(peer, "schneider-pm5000").energy_joules == (2**51 + 1) * 3600


def test_an_exchanged_meter_has_another_marker(read):
    with ModbusPeer(PM5000) as peer:
        made = meter(peer, "schneider-pm5000")
        before = made.read().reset_marker
        peer.set(129, words(4712, 2))
        after = made.read().reset_marker
        made.close()

    assert before != after


def test_a_meter_without_a_serial_number_is_read_all_the_same(read):
    with ModbusPeer({key: value for key, value in PM5000.items() if key != 129}) as peer:
        reading = read(peer, "schneider-pm5000")

    assert reading.energy_joules == 1_234_567_890_123 * 3600
    assert "serial -" in reading.reset_marker


def test_power_that_is_not_a_number_costs_the_energy_nothing(read):
    with ModbusPeer(PM5000) as peer:
        peer.set(3059, [0x7FC0, 0])
        reading = read(peer, "schneider-pm5000")

    assert reading.energy_joules is not None
    assert reading.power_watts is None
    assert "register 3059" in reading.unknown["power_watts"]


def test_a_sentinel_in_the_energy_leaves_the_power(read):
    with ModbusPeer(PM5000) as peer:
        peer.set(3203, words(1 << 63, 4))
        reading = read(peer, "schneider-pm5000")

    assert reading.energy_joules is None
    assert "0x8000000000000000" in reading.unknown["energy_joules"]
    assert reading.power_watts == 12_500.0


def test_a_negative_counter_is_not_believed(read):
    with ModbusPeer({**PM5000, 3059: float_words(float("inf"))}) as peer:
        peer.set(3203, words((1 << 64) - 5, 4))
        with pytest.raises(ReadingUnavailable, match=r"register 3203 .* no counter of energy"):
            read(peer, "schneider-pm5000")


def test_a_register_that_is_not_there_is_named_with_what_to_check(read):
    with ModbusPeer({0: [1]}) as peer, pytest.raises(ReadingUnavailable) as caught:
        read(peer, "acrel-adl3000e")

    assert "register 10 " in caught.value.reason
    assert "exception 2" in caught.value.reason
    assert "profile" in caught.value.hint


def test_traits_follow_from_the_width_the_scale_and_the_ratio():
    made = ModbusMeter(ModbusConfig(host="meter", profile="acrel-adl3000e", ct=40))

    assert made.traits().modulus == 2**32 * 40 * KWH // 100
    assert made.traits().resolution == 40 * KWH // 100


def test_the_resolution_of_the_configuration_wins():
    made = ModbusMeter(ModbusConfig(host="meter", profile="acrel-adl3000e", resolution_kwh=0.1))

    assert made.traits().resolution == KWH // 10


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"profile": "acrel-adl3000e"}, "host is missing"),
        ({"host": "meter"}, "profile is missing"),
        ({"host": "meter", "profile": "unheard-of"}, "no profile 'unheard-of'"),
        ({"host": "meter", "profile": "/nowhere/mine.yaml"}, "cannot be read"),
        ({"host": "meter", "profile": "sunspec", "framing": "rtu", "unit": 0}, "unit is 1 to 247"),
    ],
)
def test_what_is_missing_is_said_before_any_meter_is_asked(options, said):
    made = ModbusMeter(ModbusConfig(**options))

    with pytest.raises(NotPresent, match=said):
        made.probe()
    with pytest.raises(ReadingUnavailable, match=said):
        made.read()


def test_probe_asks_no_meter():
    ModbusMeter(ModbusConfig(host="192.0.2.1", profile="sunspec")).probe()


def test_a_connection_is_kept_and_opened_anew_after_a_fault():
    answers = {"good": True}

    def behave(connection, stopping):
        while question := connection.recv(4096):
            if not answers["good"]:
                connection.close()
                return
            connection.sendall(question[:4] + bytes([0, 7, question[6], 3, 4, 0, 0, 0, 100]))

    with Peer(behave) as peer:
        made = meter(peer, "acrel-adl3000e")
        assert made.read().energy_joules == KWH
        assert made.read().energy_joules == KWH
        assert peer.connected == 1
        answers["good"] = False
        with pytest.raises(ReadingUnavailable, match="closed the connection"):
            made.read()
        answers["good"] = True
        assert made.read().energy_joules == KWH
        assert peer.connected == 2
        made.close()
        made.close()


def test_an_answer_that_came_late_meets_no_later_question():
    """The first answer, to a question given up, is sent together with the second question's."""
    held = []

    def behave(connection, stopping):
        while question := connection.recv(4096):
            answer = question[:4] + bytes([0, 7, question[6], 3, 4, 0, 0, 0, len(held) + 1])
            held.append(answer)
            if len(held) > 1:
                connection.sendall(b"".join(held))

    with Peer(behave) as peer:
        made = meter(peer, "acrel-adl3000e", timeout_seconds=0.6)
        with pytest.raises(ReadingUnavailable, match="no answer"):
            made.read()
        made._config = ModbusConfig(host="127.0.0.1", port=peer.port, profile="acrel-adl3000e")
        assert made.read().energy_joules == 2 * KWH // 100
        made.close()


def test_close_from_another_thread_ends_a_read_that_waits():
    asked = threading.Event()

    def behave(connection, stopping):
        connection.recv(4096)
        asked.set()
        stopping.wait(60)

    outcome = []

    with Peer(behave) as peer:
        made = meter(peer, "acrel-adl3000e", timeout_seconds=60)

        def read():
            try:
                made.read()
            except ReadingUnavailable as error:
                outcome.append(error)

        reading = threading.Thread(target=read)
        reading.start()
        assert asked.wait(30)
        made.close()
        reading.join(30)
        assert not reading.is_alive()
    assert outcome


@pytest.mark.parametrize("behave", [peers.dripping, peers.flooding, peers.silent])
@pytest.mark.parametrize("profile", ["acrel-adl3000e", "sunspec", "schneider-pm5000"])
def test_a_read_through_a_gateway_that_never_stops_ends(read, behave, profile):
    with Peer(behave) as peer, pytest.raises(ReadingUnavailable):
        read(peer, profile, framing="rtu", timeout_seconds=0.2)


def test_the_deadline_is_that_of_the_whole_read_and_not_of_each_question():
    questions = []

    def behave(connection, stopping):
        while question := connection.recv(4096):
            questions.append(question)
            is_start = question[8:10] == (40000).to_bytes(2, "big")
            stopping.wait(0.1)
            # A map of models without end, each told well within the time for one question.
            told = b"SunS" if is_start else bytes([0, 9, 0, 0])
            connection.sendall(question[:4] + bytes([0, 7, question[6], 3, 4]) + told)

    with Peer(behave) as peer:
        made = meter(peer, "sunspec", timeout_seconds=2)
        with pytest.raises(ReadingUnavailable, match=r"no answer|used all the time up"):
            made.read()
        made.close()

    assert len(questions) < 60, "the walk came to its own end"


PROFILE = """
title: a meter of a property test
registers:
  energy_import: {{address: 100, function: {function}, type: {type}, words: {order},
                   scale: "{scale}", unit: {unit}, ratios: [pt, ct]}}
"""
TYPES = {
    "u16": (1, False),
    "i16": (1, True),
    "u32": (2, False),
    "i32": (2, True),
    "u64": (4, False),
    "i64": (4, True),
    "acc32": (2, False),
}
UNITS = {"Wh": 3600, "kWh": KWH, "MWh": 1000 * KWH, "J": 1}


@pytest.fixture(scope="module")
def any_peer():
    with ModbusPeer({100: [0] * 4}, inputs={100: [0] * 4}) as peer:
        yield peer


@settings(max_examples=60)
@given(
    data=st.data(),
    kind=st.sampled_from([*TYPES, "f32"]),
    order=st.sampled_from(["high_first", "low_first"]),
    function=st.sampled_from([3, 4]),
    scale=st.sampled_from(["1", "0.01", "0.001", "10", "0.1"]),
    unit=st.sampled_from(list(UNITS)),
    ct=st.sampled_from([1, 0.1, 40, 33.3]),
)
def test_every_type_comes_back_exactly(
    any_peer, tmp_path_factory, data, kind, order, function, scale, unit, ct
):
    path = tmp_path_factory.mktemp("profile") / "mine.yaml"
    path.write_text(
        PROFILE.format(type=kind, order=order, function=function, scale=scale, unit=unit)
    )
    if kind == "f32":
        number = data.draw(st.floats(min_value=0, max_value=2.0**40, width=32))
        sent = float_words(number)
    else:
        count, signed = TYPES[kind]
        width = 16 * count - signed
        number = data.draw(
            st.integers(min_value=int(kind == "acc32"), max_value=2 ** min(width, 50) - 1)
        )
        sent = words(number, count)
    any_peer.set(
        100, sent if order == "high_first" else sent[::-1], function=16 if function == 3 else 4
    )
    exact = Fraction(number) * Fraction(scale) * UNITS[unit] * Fraction(str(ct))
    made = meter(any_peer, str(path), ct=ct)
    try:
        if exact >= 2**63:
            with pytest.raises(ReadingUnavailable):
                made.read()
            return
        reading = made.read()
    finally:
        made.close()

    assert reading.energy_joules == exact.numerator // exact.denominator
    if kind != "f32":
        step = Fraction(scale) * UNITS[unit] * Fraction(str(ct))
        assert made.traits().modulus == -(-(step * 2**width) // 1)
        assert made.traits().resolution == max(1, -(-step // 1))
    else:
        assert made.traits().modulus is None
        following = Fraction(struct.unpack(">f", struct.pack(">I", _pattern(number) + 1))[0])
        step = (following - Fraction(number)) * Fraction(scale) * UNITS[unit] * Fraction(str(ct))
        assert made.traits().resolution == max(1, -(-step // 1))


def _pattern(number: float) -> int:
    return struct.unpack(">I", struct.pack(">f", number))[0]


@pytest.mark.peer
@pytest.mark.parametrize(
    ("kind", "option", "registers", "printed"),
    [
        ("u32", ["-t", "4:int", "-B"], words(123_456_789, 2), "123456789"),
        ("i32", ["-t", "4:int", "-B"], words((1 << 32) - 77, 2), "-77"),
        ("f32", ["-t", "4:float", "-B"], float_words(1234.5), "1234.5"),
    ],
)
def test_mbpoll_sees_the_same_numbers_in_the_same_order_of_words(
    require_program, tmp_path, kind, option, registers, printed
):
    program = require_program("mbpoll")
    path = tmp_path / "mine.yaml"
    path.write_text(f"title: t\nregisters: {{power: {{address: 100, type: {kind}, unit: W}}}}\n")
    with ModbusPeer({100: registers}) as peer:
        command = [program, "-0", "-1", "-a", "1", "-r", "100", *option]
        shown = subprocess.run(
            [*command, "-p", str(peer.port), "127.0.0.1"],
            check=True,
            timeout=30,
            capture_output=True,
            text=True,
        ).stdout
        made = meter(peer, str(path))
        reading = made.read()
        made.close()

    assert f"[100]: \t{printed}" in shown
    assert reading.power_watts == float(printed)
