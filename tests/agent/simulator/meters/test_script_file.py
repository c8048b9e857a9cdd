"""Scripts of meters: what they say, and what is said of a wrong one."""

from __future__ import annotations

import contextlib
import re
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import PermanentError
from agent.simulator.meters import script_file
from agent.simulator.meters.script_file import SMALL_CENTRE, ScriptError
from tests.agent.simulator.meters.conftest import KWH, START, meter, script

GOOD = """\
start: 2026-03-01T00:00:00+08:00
flows:
  hall: {unit: kw, day: {"00:00": 10, "12:00": 20}}
meters:
  - name: pdu
    layout: apc-rpdu2
    role: it
    measures: [hall]
    events: [{silence: "09:50", until: "26:00"}]
"""


@pytest.fixture
def load(tmp_path):
    def write(text):
        path = tmp_path / "script.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return script_file.load(path)

    return write


def test_the_script_that_comes_with_the_program_has_every_role_and_every_mishap_at_once():
    small = script_file.load(SMALL_CENTRE)
    roles = {role for each in small.meters for role in each.roles}
    assert roles == {"facility_total", "it", "green_direct", "green_purchased", "water"}
    kinds = {event.kind.value for each in small.meters for event in each.events}
    assert kinds == {"wrap", "reset", "swap", "unplugged", "spike"}


def test_the_script_in_the_documents_can_be_played(load):
    page = (Path(__file__).parents[4] / "docs" / "simulator.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```yaml\n(start: .*?)```", page, re.DOTALL)
    (incomer,) = load(block).meters
    assert (incomer.name, incomer.roles, len(incomer.events)) == ("incomer", ("facility_total",), 2)


def test_a_time_is_taken_as_it_is_written(load):
    (event,) = load(GOOD).meters[0].events
    assert (event.at, event.until) == (9 * 3600 + 50 * 60, 26 * 3600)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("start: 2026-03-01T00:00:00+08:00", "start: 2026-03-01T00:00:00", "has no zone"),
        ("start: 2026-03-01T00:00:00+08:00", "start: soon", "start: expected a time"),
        ("unit: kw", "unit: MW", "flows.hall.unit: expected one of kw"),
        ('"12:00": 20', '"24:00": 20', "24:00 is no time of a day"),
        ('"12:00": 20', '"0:00": 20', "points of different times"),
        ('"12:00": 20', '"12:00": much', "flows.hall.day 12:00: expected a number"),
        ('"12:00": 20', '"12:00": -1', "expected a number from 0"),
        ('"12:00": 20', '"12:00": 1e-400000', "expected a number from 0"),
        ("[hall]", "[all]", "there is no flow all"),
        ("[hall]", "[]", "measures: expected flows"),
        ("apc-rpdu2", "apc", "layout: expected one of sunspec"),
        ("apc-rpdu2", "water-counter", "hall is nothing that this meter measures"),
        ("role: it", "role: cooling", "role: expected one of facility_total"),
        ("role: it", "ct: 40", "multiplies itself"),
        ("role: it", "digits: many", "digits: expected a whole number"),
        ("role: it", "port: 70000", "port: expected a whole number, at most 65535"),
        ("role: it", "rolle: it", "unknown key rolle"),
        ("name: pdu", "name: 机柜", "name: expected letters"),
        ("name: pdu", "names: pdu", "unknown key names"),
        ("silence", "sleep", "events[0]: expected one of wrap"),
        (', until: "26:00"', "", "events[0].until: expected a time"),
        ('until: "26:00"', 'until: "09:50"', "expected a time after 09:50"),
        ("silence", "reset", "until is not known of a reset"),
        ('"09:50"', '"9.50"', "expected a time such as 09:50"),
        ("  - name: pdu", "    name: pdu", "meters: expected a list"),
        ("start:", "start: [", "script.yaml: "),
    ],
)
def test_a_mistake_is_named_with_its_place(load, old, new, says):
    assert old in GOOD
    with pytest.raises(PermanentError) as caught:
        load(GOOD.replace(old, new))
    assert says in caught.value.reason


@pytest.mark.parametrize(
    "text", ["", "3", "- a", b"\xff\xfe\x00", "[" * 5000, "x" * 300_000], ids=range(6)
)
def test_what_is_no_script_is_refused(load, text):
    with pytest.raises(PermanentError):
        load(text)


def test_what_would_run_backwards_is_refused_with_the_time():
    flows = {
        "hall": {"unit": "kw", "day": {"00:00": "10"}},
        "sun": {"unit": "kw", "day": {"08:00": "0", "12:30": "10.001", "16:00": "0"}},
    }
    with pytest.raises(ScriptError, match=r"meters\[0\].measures: at 12:30 more flows back"):
        script(meter("sunspec", measures=["hall", "-sun"]), flows=flows)
    flows["sun"]["day"]["12:30"] = "10"
    assert script(meter("sunspec", measures=["hall", "-sun"]), flows=flows).meters


def test_two_meters_of_one_name_are_refused():
    with pytest.raises(ScriptError, match="two are called m"):
        script(meter("sunspec"), meter("acrel-adl3000e"))


values = st.recursive(
    st.text(max_size=8) | st.sampled_from(["it", "sunspec", "09:50", "kw", "power", "1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@given(st.sampled_from(["name", "layout", "role", "measures", "start", "ct", "events"]), values)
def test_whatever_stands_in_a_meter_makes_a_script_or_a_reason(key, value):
    with contextlib.suppress(ScriptError):
        assert script({**meter("sunspec"), key: value}).meters


def test_the_start_is_chosen_so_that_a_register_wraps_when_it_is_told_to():
    (one,) = script(meter("sunspec", events=[{"wrap": "05:00"}])).meters
    before, after = one.shown(Fraction(5 * 3600) - 1), one.shown(Fraction(5 * 3600))
    assert (before.count, after.count) == (2**32 - 10, 0)


def test_digits_make_a_register_that_the_reader_is_told_of():
    (one,) = script(meter("acrel-adl3000e", digits="6", ct="40")).meters
    assert one.modulus * one.step == 10**6 * 40 * KWH // 100
    assert dict(one.options) == {"ct": "40", "rollover_kwh": "400000"}


def test_the_truth_is_what_flowed_whatever_happened_to_the_meter():
    from datetime import timedelta

    centre = script(
        meter("sunspec", name="in", role="facility_total", events=[{"reset": "00:30"}]),
        meter("apc-rpdu2", name="it", role=["it", "facility_total"]),
        meter("acrel-adl3000e", name="less", role="-it"),
        meter("schneider-pm5000", name="sun", role="green_direct"),
    )
    truth = centre.truth(START, START + timedelta(hours=1))
    assert (truth.facility, truth.it) == (72 * KWH, 0)
    assert (truth.green, truth.water) == (36 * KWH, None)


def test_green_is_never_more_than_what_was_used():
    from datetime import timedelta

    centre = script(
        meter("sunspec", name="in", role="facility_total"),
        meter("apc-rpdu2", name="sun", role="green_direct"),
        meter("acrel-adl3000e", name="wind", role="green_purchased"),
    )
    assert centre.truth(START, START + timedelta(hours=1)).green == 36 * KWH
