"""Profiles: those that are shipped, and files of an operator's own."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import PermanentError
from collectors.meters.modbus import profile

GOOD = """
title: a meter
registers:
  energy_import: {address: 0x10, type: u32, unit: kWh, scale: 0.01, ratios: [ct]}
"""


def wrong(text: str) -> str:
    with pytest.raises(PermanentError) as caught:
        profile.parse(text.encode(), name="mine")
    return caught.value.reason


@pytest.mark.parametrize("name", profile.shipped())
def test_every_shipped_profile_can_be_read_and_says_where_it_comes_from(name):
    found = profile.load(name)

    assert found.name == name
    assert found.title
    assert re.search(r"(?m)^source: \S", (profile.FOLDER / f"{name}.yaml").read_text())


def test_those_that_nobody_has_checked_say_so():
    unconfirmed = {name for name in profile.shipped() if profile.load(name).unconfirmed}

    assert unconfirmed == {"acrel-adw300", "blueprint", "schneider-pm5000"}


def test_a_good_profile_is_exact():
    register = profile.parse(GOOD.encode(), name="mine").registers["energy_import"]

    assert (register.address, register.words, register.function) == (16, 2, 3)
    assert register.scale * 100 == 1
    assert register.ct
    assert not register.pt


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("u32", "u33", "registers.energy_import.type: expected one of u16"),
        ("kWh", "W", "registers.energy_import.unit: expected one of Wh"),
        ("0x10", "65535", "registers.energy_import.address: expected a whole number"),
        ("0x10", "1e3", "registers.energy_import.address: expected a whole number"),
        ("0.01", "-1", "registers.energy_import.scale: expected a number above 0"),
        ("0.01", "0.00", "registers.energy_import.scale: expected a number above 0"),
        ("0.01", "1e999999999", "registers.energy_import.scale: expected a number above 0"),
        ("[ct]", "[vt]", "registers.energy_import.ratios: expected a list of pt and ct"),
        ("[ct]", "ct", "registers.energy_import.ratios: expected a list"),
        ("scale", "factor", "registers.energy_import: unknown key 'factor'"),
        ("unit: kWh, ", "", "registers.energy_import: unit is missing"),
        ("energy_import", "energy", "registers: unknown key 'energy'"),
        ("title", "name", "unknown key 'name'"),
        ("registers:", "registers: [", "is no YAML: line"),
        ("a meter", "&a [*a]", "may hold no alias"),
        ("a meter", "[" * 5000, "more than any profile needs"),
        ("a meter", "x" * 70000, "is longer than 65536 bytes"),
        ("a meter", "\x00", "is no YAML"),
        ("scale: 0.01", "scale: 0.01, address: 9", "line 4: a key that is there twice"),
        ("title", "[title]", "line 2: a key that is there twice, or is no name"),
        ("type: u32", "type: f32, rollover_counts: 100", "a float has no roll-over"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(before, after, said):
    assert said in wrong(GOOD.replace(before, after, 1))


def test_a_profile_without_registers_is_none():
    assert "needs either registers or sunspec" in wrong("title: nothing")
    assert "needs one of energy_import" in wrong("title: nothing\nregisters: {}")


@given(st.one_of(st.binary(max_size=300), st.text(max_size=300).map(str.encode)))
def test_no_bytes_do_more_harm_than_an_error(content):
    with pytest.raises(PermanentError):
        profile.parse(content, name="mine")


@pytest.mark.parametrize("name", ["../blueprint", "..", "", "Blueprint", "a b", "x" * 500])
def test_a_name_is_no_way_out_of_the_folder(name):
    with pytest.raises(PermanentError):
        profile.load(name)


def test_a_path_names_a_file_of_ones_own(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(GOOD)

    assert profile.load(str(path)).name == "mine"
