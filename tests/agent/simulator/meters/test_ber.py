"""BER as far as SNMP takes it, against puresnmp's own library, and against anything at all."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from x690 import decode
from x690.types import Integer, ObjectIdentifier, OctetString

from agent.simulator.meters import ber, snmp_messages
from agent.simulator.meters.ber import Reader

oids = st.tuples(st.integers(0, 1), st.integers(0, 39), *[st.integers(0, 2**32 - 1)] * 3) | st.just(
    (1, 3)
)


@given(st.integers(-(2**31), 2**63 - 1))
def test_numbers_are_those_of_another_library(number):
    encoded = ber.encode_integer(number)
    assert decode(encoded)[0].pythonize() == number
    assert bytes(Integer(number)) == encoded
    assert Reader(encoded).integer() == number


@given(oids)
def test_object_identifiers_are_those_of_another_library(oid):
    encoded = ber.encode_oid(oid)
    dotted = ".".join(str(arc) for arc in oid)
    assert bytes(ObjectIdentifier(dotted)) == encoded
    assert Reader(encoded).oid() == oid


@given(st.binary(max_size=70_000))
def test_texts_of_any_length_are_those_of_another_library(text):
    encoded = ber.encode(ber.OCTET_STRING, text)
    assert bytes(OctetString(text)) == encoded
    if len(text) < 65536:
        assert Reader(encoded).expect(ber.OCTET_STRING)[1] == text


@given(st.binary(max_size=300))
def test_whatever_comes_is_a_question_or_a_value_error(data):
    with contextlib.suppress(ValueError):
        question = snmp_messages.read_question(data)
        assert snmp_messages.write_answer(question, {})


GOOD = bytes.fromhex(
    "302602010104067075626c6963a019020101020100020100300e300c06082b060102010101000500"
)


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255))
def test_a_question_with_a_wrong_byte_is_answered_or_refused(place, byte):
    spoilt = bytearray(GOOD)
    spoilt[place] = byte
    with contextlib.suppress(ValueError):
        snmp_messages.write_answer(snmp_messages.read_question(bytes(spoilt)), {})


@pytest.mark.parametrize(
    "data",
    [
        b"\x02\x00",  # a number without bytes
        b"\x02\x09" + b"\x01" * 9,  # one of nine
        b"\x02\x84\x00\x00\x00\x01\x01",  # a length of four bytes
        b"\x02\x80\x01\x00\x00",  # an open length
        b"\x02\x02\x01",  # half of it
        b"\x04\x01\x01",  # a text
    ],
    ids=lambda data: data.hex(),
)
def test_what_is_no_number_is_refused(data):
    with pytest.raises(ValueError, match=r"\w"):
        Reader(data).integer()
