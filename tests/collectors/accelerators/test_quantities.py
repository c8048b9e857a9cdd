"""What tools write for one value becomes base units, or unknown with a reason."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.accelerators import quantities
from collectors.accelerators.quantities import BYTES_WITH_BINARY_MB, Unknown

NO_VALUES = ["", "  ", "NA", "N/A", "n/a", "-", "--", "[N/A]", "ERR!", "xxxxx", "XX-XX", "F", "C"]


@pytest.mark.parametrize(
    ("text", "celsius"), [("39 C", 39.0), ("30.5c", 30.5), ("71℃", 71.0), ("-4C", -4.0)]
)
def test_a_temperature_is_read_with_its_unit(text: str, celsius: float) -> None:
    assert quantities.celsius(text) == celsius


@pytest.mark.parametrize("text", ["39", "39 F", "39 K", "999C", "3 9C", "39C C", "105W"])
def test_a_temperature_of_another_unit_or_range_is_unknown(text: str) -> None:
    assert isinstance(quantities.celsius(text), Unknown)


@pytest.mark.parametrize(
    ("text", "watts"), [("105W", 105.0), ("102 W", 102.0), ("12.5w", 12.5), ("50500 mW", 50.5)]
)
def test_a_power_is_read_in_watts(text: str, watts: float) -> None:
    assert quantities.watts(text) == watts


@pytest.mark.parametrize("text", ["105", "-1W", "20000W", "105V", "105W/300W"])
def test_a_power_of_another_unit_or_range_is_unknown(text: str) -> None:
    assert isinstance(quantities.watts(text), Unknown)


@pytest.mark.parametrize(("text", "ratio"), [("11%", 0.11), ("0.0 %", 0.0), ("100%", 1.0)])
def test_a_percentage_is_read_as_a_share_of_one(text: str, ratio: float) -> None:
    assert quantities.ratio(text) == pytest.approx(ratio)


@pytest.mark.parametrize("text", ["11", "101%", "-1%", "11 W"])
def test_a_share_above_all_or_without_a_sign_is_unknown(text: str) -> None:
    assert isinstance(quantities.ratio(text), Unknown)


def test_memory_is_read_in_the_unit_that_is_written() -> None:
    assert quantities.size_bytes("3 MiB") == 3 * 1024**2
    assert quantities.size_bytes("3kiB") == 3 * 1024
    assert quantities.size_bytes("1.5 GiB") == 1536 * 1024**2
    assert quantities.size_bytes("0MiB") == 0
    assert isinstance(quantities.size_bytes("3"), Unknown)
    assert isinstance(quantities.size_bytes("3 MB"), Unknown), "what MB means is not known here"
    assert quantities.size_bytes("3MB", units=BYTES_WITH_BINARY_MB) == 3 * 1024**2


def test_a_chip_has_never_0_bytes() -> None:
    assert isinstance(quantities.capacity_bytes("0MiB"), Unknown)
    assert quantities.capacity_bytes("1MiB") == 1024**2


@pytest.mark.parametrize("text", NO_VALUES)
def test_no_value_is_unknown_with_a_reason(text: str) -> None:
    for read in (quantities.celsius, quantities.watts, quantities.ratio, quantities.size_bytes):
        value = read(text)
        assert isinstance(value, Unknown)
        assert value.reason


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("64MiB / 32768MiB", ("64MiB", "32768MiB")),
        ("826/65536 MiB", ("826MiB", "65536 MiB")),
        ("2MiB(16384MiB)", ("2MiB", "16384MiB")),
        ("NA/NA", ("NA", "NA")),
        ("--/--", ("--", "--")),
        ("64MiB", ("", "")),
        ("1/2/3", ("", "")),
        ("2MiB(16384", ("", "")),
    ],
)
def test_one_of_two_is_split(text: str, pair: tuple[str, str]) -> None:
    assert quantities.parts(text) == pair


def test_more_used_than_there_is_is_unknown() -> None:
    assert quantities.not_above(3, 4) == 3
    assert isinstance(quantities.not_above(5, 4), Unknown)
    assert quantities.not_above(5, Unknown(reason="masked")) == 5
    assert isinstance(quantities.not_above(0, Unknown(reason="0 of 0")), Unknown)


@given(text=st.text(max_size=30))
def test_any_text_is_a_value_or_a_reason(text: str) -> None:
    for read in (quantities.celsius, quantities.watts, quantities.ratio, quantities.size_bytes):
        value = read(text)
        assert isinstance(value, Unknown | float | int)
    assert len(quantities.parts(text)) == 2
