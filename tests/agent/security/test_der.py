from __future__ import annotations

import pytest
from Cryptodome.Util import asn1
from hypothesis import given
from hypothesis import strategies as st

from agent.security import der


@given(st.integers(0, 2**300))
def test_an_integer_comes_back_and_is_what_others_write(value: int) -> None:
    written = der.write_integer(value)

    assert written == asn1.DerInteger(value).encode()
    assert der.integer(der.read_one(written, tag=der.INTEGER)) == value


@given(st.binary(max_size=70_000))
def test_contents_of_any_length_come_back(contents: bytes) -> None:
    written = der.write(der.OCTET_STRING, contents)

    assert written == asn1.DerOctetString(contents).encode()
    assert der.read_all(written) == [(der.OCTET_STRING, contents)]


@given(st.binary(max_size=60))
def test_whatever_is_accepted_has_one_spelling(data: bytes) -> None:
    try:
        elements = der.read_all(data)
    except der.DerError:
        return
    assert b"".join(der.write(tag, contents) for tag, contents in elements) == data


@pytest.mark.parametrize(
    "data",
    [
        "04",  # no length
        "0480",  # a length without end
        "048100",  # a zero in front of the length
        "04810100",  # a long form that is not needed
        "0485000000000100",  # a length of five bytes
        "0484ffffffff",  # far more than there is
        "0403aabb",  # one byte too few
        "1f2000",  # a long tag
    ],
)
def test_a_length_or_tag_that_is_not_der_is_refused(data: str) -> None:
    with pytest.raises(der.DerError):
        der.read_all(bytes.fromhex(data))


@pytest.mark.parametrize("contents", ["", "ff", "0001", "80"])
def test_an_integer_that_is_negative_or_not_minimal_is_refused(contents: str) -> None:
    with pytest.raises(der.DerError):
        der.integer(bytes.fromhex(contents))


def test_something_after_the_element_is_refused() -> None:
    with pytest.raises(der.DerError):
        der.read_one(der.write_integer(1) + b"\x05\x00", tag=der.INTEGER)
    with pytest.raises(der.DerError):
        der.read_sequence(
            der.write(der.SEQUENCE, der.write_integer(1), der.write_integer(2)),
            tags=(der.INTEGER,),
        )
