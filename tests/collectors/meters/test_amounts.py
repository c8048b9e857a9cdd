"""Conversions: exact, and nothing that a register cannot be."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.meters import amounts


def test_units_are_converted_exactly():
    assert amounts.joules(Decimal("0.1"), unit="kwh") == 360_000
    assert amounts.joules(1, unit="wh") == 3600
    assert amounts.joules(Fraction(3, 2), unit="joules") == 2
    assert amounts.joules(1_999_999, unit="microjoules") == 2
    assert amounts.millilitres(Decimal("1.5"), unit="m3") == 1_500_000
    assert amounts.watts(1.5, unit="kw") == 1500.0


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "-1", "1e30", "1e999999", "9e18"])
def test_what_no_register_shows_is_refused(text):
    with pytest.raises(ValueError, match=r"\w"):
        amounts.joules(Decimal(text), unit="wh")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e13])
def test_what_no_meter_measures_is_no_power(value):
    with pytest.raises(ValueError, match="no power"):
        amounts.watts(value)


@given(st.decimals(allow_nan=True, allow_infinity=True), st.sampled_from(["wh", "kwh", "joules"]))
def test_every_number_is_a_register_or_refused(value, unit):
    try:
        result = amounts.joules(value, unit=unit)
    except ValueError:
        return
    assert 0 <= result <= amounts.LARGEST_REGISTER
