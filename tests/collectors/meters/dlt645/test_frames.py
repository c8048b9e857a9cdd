"""Frames on the line: the standard's own examples, cut, garbled and between noise."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.meters.dlt645 import frames, values
from tests.collectors.meters.dlt645.meter_simulator import decimal, frame

QUESTION = bytes.fromhex("68 61 01 00 00 00 00 68 11 04 33 33 34 33 14 16")
# 0.26 kWh of meter 161.
ANSWER = bytes.fromhex("68 61 01 00 00 00 00 68 91 08 33 33 34 33 59 33 33 33")
ANSWER += bytes([sum(ANSWER) % 256]) + b"\x16"

ADDRESSES = st.text("0123456789", min_size=12, max_size=12)
NOISE_WITHOUT_START = st.binary(max_size=40).map(lambda noise: noise.replace(b"\x68", b"\xfe"))


def taken(buffer: bytes) -> frames.Frame | None:
    return frames.take_frame(buffer)[0]


def test_a_question_is_the_published_one_after_a_wake_up():
    assert frames.question("000000000161", identifier="00010000") == b"\xfe" * 4 + QUESTION


def test_an_answer_is_read_as_published():
    found = taken(b"\xfe" * 4 + ANSWER)

    assert found is not None
    assert found.address == "000000000161"
    assert frames.split_answer(found) == ("00010000", bytes.fromhex("26000000"))
    assert values.energy_counts(frames.split_answer(found)[1]) == 26


@given(address=ADDRESSES, control=st.integers(0, 255), data=st.binary(max_size=200))
def test_what_is_encoded_is_decoded(address, control, data):
    found, rest = frames.take_frame(frames.encode(address, control=control, data=data))

    assert found == frames.Frame(address=address, control=control, data=data)
    assert rest == b""


@given(noise=st.binary(max_size=60), cut=st.integers(0, 40))
def test_a_frame_is_found_after_noise_wherever_it_is_cut(noise, cut):
    found = None
    buffer = b""
    for piece in (noise, ANSWER[:cut], ANSWER[cut:]):
        buffer += piece
        while True:
            frame_found, buffer = frames.take_frame(buffer)
            if frame_found is None:
                break
            found = frame_found

    # Noise can hold a frame of its own only by chance; the answer is found in any case.
    assert found is not None
    assert found.address == "000000000161"


@given(cut=st.integers(0, len(ANSWER) - 1), noise=NOISE_WITHOUT_START)
def test_a_frame_that_is_cut_is_none(cut, noise):
    assert taken(noise + ANSWER[:cut]) is None


@pytest.mark.parametrize("place", range(len(ANSWER)))
def test_a_garbled_byte_never_makes_another_frame(place):
    for flip in range(1, 256):
        garbled = bytearray(ANSWER)
        garbled[place] ^= flip
        assert taken(bytes(garbled)) is None


@given(st.binary(max_size=600))
def test_what_is_kept_of_noise_is_what_may_become_a_frame(noise):
    found, rest = frames.take_frame(noise)

    assert found is None or len(rest) < len(noise)
    assert found is not None or rest == b"" or rest[0] == 0x68


@given(counts=st.integers(0, 10**8 - 1))
def test_eight_digits_are_read_exactly(counts):
    assert values.energy_counts(decimal(counts, 4)) == counts


@given(data=st.binary(min_size=4, max_size=4))
def test_what_is_no_decimal_is_no_energy(data):
    if data.hex().isdecimal():
        assert values.energy_counts(data) == int(data[::-1].hex())
    else:
        with pytest.raises(values.UnbelievableError, match="no decimal number"):
            values.energy_counts(data)


@given(tenths=st.integers(-799999, 799999))
def test_power_has_its_sign_in_the_highest_bit(tenths):
    data = bytearray(decimal(abs(tenths), 3))
    if tenths < 0:
        data[-1] |= 0x80

    assert values.watts(bytes(data)) * 10 == tenths


def test_a_frame_of_the_simulator_is_a_frame():
    assert taken(frame("000000000161", 0x91, bytes.fromhex("0000010026000000"))) == taken(ANSWER)
