"""Profiles: those of the program, those of an operator, and what is wrong with one."""

from __future__ import annotations

from datetime import datetime, timezone
from fractions import Fraction

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import ReadingUnavailable
from collectors.meters.snmp import parse, profile
from collectors.meters.snmp.profile import Profile, Quantity

PLACES = {"pdu": 1, "inlet": 1}
NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)


@pytest.mark.parametrize("name", profile.known())
def test_each_profile_of_the_program_can_be_used(name):
    loaded = profile.load(name, places={"pdu": 3, "inlet": 2})

    assert loaded.energy is not None
    assert loaded.power is not None
    assert loaded.markers
    assert all("{" not in oid for oid in loaded.oids)


def test_both_vendors_are_known():
    assert profile.known() == ["apc-rpdu2", "raritan-px2"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected energy, power"),
        ("[]", "expected energy, power"),
        ("markers: []", "expected energy, power or water"),
        ("energie: {}", "unknown key energie"),
        ("energy: {oid: 1.3, unit: watts}", "energy.unit: expected one of wh, kwh"),
        ("energy: {oid: sysUpTime, unit: wh}", "no object of numbers"),
        ("energy: {oid: '1.3.{bank}', unit: wh}", "no object of numbers"),
        ("energy: {unit: wh}", "expected an object"),
        ("energy: {oid: 1.3, unit: wh, scale: nan}", "expected a number"),
        ("energy: {oid: 1.3, unit: wh, scale: many}", "expected a number"),
        ("energy: {oid: 1.3, unit: wh, unsupported: [x]}", "whole numbers"),
        ("energy: {oid: 1.3, unit: wh, factor: 2}", "unknown key factor"),
        ("energy: [", "while parsing"),
    ],
)
def test_a_profile_with_a_fault_says_where(tmp_path, text, words):
    file = tmp_path / "mine.yaml"
    file.write_text(text)

    with pytest.raises(ReadingUnavailable, match=words) as caught:
        profile.load(str(file), places=PLACES)
    assert str(file) in caught.value.reason


@given(st.binary(max_size=200))
def test_no_file_breaks_it(tmp_path_factory, content):
    file = tmp_path_factory.getbasetemp() / "any.yaml"
    file.write_bytes(content)

    try:
        profile.load(str(file), places=PLACES)
    except ReadingUnavailable:
        return


@given(
    st.recursive(
        st.text(max_size=8) | st.sampled_from(["1.3.6", "wh", "w", "energy"]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["energy", "power", "oid", "unit", "scale", "requires", "markers"]),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_any_document_is_a_profile_or_a_value_error(document):
    try:
        assert profile.parse(document, places=PLACES).oids
    except ValueError:
        return


@given(st.integers(1, 10**9), st.integers(0, 6), st.sampled_from(["0.1", "1", "0.01", "1000"]))
def test_scaling_is_exact_and_never_drifts(raw, digits, scale):
    quantity = Quantity(oid="1.1", unit="kwh", scale=Fraction(scale), digits_oid="1.2")
    values = {"1.1": raw, "1.2": digits}

    reading = parse.reading(Profile(energy=quantity), values, taken_at=NOW)

    exact = Fraction(raw) * Fraction(scale) / 10**digits * 3_600_000
    assert abs(reading.energy_joules - exact) <= Fraction(1, 2)


@given(
    st.dictionaries(
        st.sampled_from(
            [oid for name in profile.known() for oid in profile.load(name, places=PLACES).oids]
        ),
        st.none() | st.integers() | st.binary(max_size=20),
    ),
    st.sampled_from(profile.known()),
)
def test_whatever_a_device_answers_is_a_reading_or_an_error(values, name):
    loaded = profile.load(name, places=PLACES)

    parse.traits(loaded, values)
    try:
        reading = parse.reading(loaded, values, taken_at=NOW)
    except ReadingUnavailable:
        return
    for field in ("energy_joules", "power_watts", "water_millilitres"):
        assert (getattr(reading, field) is None) == (field in reading.unknown)
    assert reading.energy_joules is None or 0 <= reading.energy_joules < 2**63


def test_the_documentation_shows_the_keys_that_profiles_have():
    keys = {"oid", "unit", "scale", "digits_oid", "unsupported", "requires", "modulus"}
    used = set()
    for file in profile.FOLDER.glob("*.yaml"):
        document = yaml.safe_load(file.read_text())
        used |= set(document["energy"]) | set(document["power"])

    assert used == keys
