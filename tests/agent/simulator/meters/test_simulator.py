"""Simulated meters as the agent's own plugins see them, well and unwell."""

from __future__ import annotations

import socket

import pytest

from agent.errors import PermanentError, ReadingUnavailable
from agent.simulator.meters.layouts import Layout
from tests.agent.simulator.meters.conftest import KWH, meter, script

ENERGY_LAYOUTS = [each.value for each in Layout if each is not Layout.WATER]
MARKED = ["apc-rpdu2"]
SERIALS = [each for each in ENERGY_LAYOUTS if each != "acrel-adl3000e"]


@pytest.mark.parametrize("layout", ENERGY_LAYOUTS)
def test_the_register_counts_exactly_what_flows(bench, plugin, layout):
    bench.start(meter(layout))
    reader = plugin()
    first = reader.read()
    bench.second = 3600
    second = reader.read()
    assert first.energy_joules == 500 * KWH
    assert second.energy_joules - first.energy_joules == 36 * KWH
    assert first.reset_marker == second.reset_marker
    if layout != "acrel-adl3000e":
        assert first.power_watts == 36_000


def test_water_is_counted_in_whole_litres(bench, plugin):
    bench.start(meter("water-counter"))
    reader = plugin()
    bench.second = 100
    reading = reader.read()
    assert (reading.water_millilitres, reading.energy_joules) == (502_000, None)
    assert reader.traits().modulus == 2**32 * 1000


@pytest.mark.parametrize("layout", ENERGY_LAYOUTS)
def test_what_the_reader_knows_of_the_register_is_true(bench, plugin, layout):
    (one,) = bench.start(meter(layout))._script.meters
    reader = plugin()
    reader.read()
    traits = reader.traits()
    assert traits.resolution in {None, one.step}
    assert traits.modulus in {None, one.modulus * one.step, 2**64 * one.step - one.step} or (
        layout == "schneider-pm5000"
    )


@pytest.mark.parametrize("layout", ["sunspec", "acrel-adl3000e", "raritan-px2"])
def test_a_wrap_is_seen_as_one(bench, plugin, layout):
    (one,) = bench.start(meter(layout, events=[{"wrap": "01:00"}]))._script.meters
    reader = plugin()
    bench.second = 3500
    before = reader.read()
    bench.second = 3700
    after = reader.read()
    modulus = reader.traits().modulus
    assert after.energy_joules < before.energy_joules < modulus == one.modulus * one.step
    used = after.energy_joules + modulus - before.energy_joules
    assert abs(used - 200 * 36_000) < 2 * one.step
    assert before.reset_marker == after.reset_marker


@pytest.mark.parametrize("layout", ENERGY_LAYOUTS)
def test_a_reset_begins_anew_at_0_and_says_so_where_the_layout_can(bench, plugin, layout):
    bench.start(meter(layout, events=[{"reset": "01:00"}]))
    reader = plugin()
    before = reader.read()
    bench.second = 2 * 3600
    after = reader.read()
    assert after.energy_joules == 36 * KWH
    assert (before.reset_marker != after.reset_marker) is (layout in MARKED)


@pytest.mark.parametrize("layout", SERIALS)
def test_another_meter_has_another_serial_number(bench, plugin, layout):
    bench.start(meter(layout, events=[{"swap": "01:00"}]))
    reader = plugin()
    before = reader.read()
    bench.second = 3600
    after = reader.read()
    assert before.reset_marker != after.reset_marker
    assert after.energy_joules == 250 * KWH


@pytest.mark.parametrize("layout", ENERGY_LAYOUTS)
def test_a_silent_meter_does_not_answer_and_comes_back(bench, plugin, layout):
    bench.start(meter(layout, events=[{"silence": "01:00", "until": "02:00"}]))
    options = {"retries": 0} if layout in {"apc-rpdu2", "raritan-px2"} else {}
    reader = plugin(timeout_seconds=0.3, **options)
    bench.second = 3600
    with pytest.raises(ReadingUnavailable, match=r"did not answer|no answer"):
        reader.read()
    bench.second = 7200
    patient = plugin()
    assert patient.read().energy_joules == 572 * KWH


@pytest.mark.parametrize(
    "layout", ["sunspec", "schneider-pm5000", "acrel-adl3000e", "environment-metrics"]
)
def test_an_unplugged_meter_hangs_up_at_once_and_comes_back(bench, plugin, layout):
    bench.start(meter(layout, events=[{"unplugged": "01:00", "until": "02:00"}]))
    reader = plugin(timeout_seconds=30)
    reader.read()
    bench.second = 3600
    with pytest.raises(ReadingUnavailable, match=r"closed|connection|HTTP"):
        reader.read()
    bench.second = 7200
    assert reader.read().energy_joules == 572 * KWH


@pytest.mark.parametrize("layout", ENERGY_LAYOUTS)
def test_a_spike_is_far_too_much_and_over_soon(bench, plugin, layout):
    bench.start(meter(layout, events=[{"spike": "01:00", "until": "01:05"}]))
    reader = plugin()
    bench.second = 3600
    assert reader.read().energy_joules == 7 * 536 * KWH
    bench.second = 3900
    assert reader.read().energy_joules == 539 * KWH


def test_a_transformer_s_ratio_is_for_the_reader_to_multiply(bench, plugin):
    running = bench.start(meter("acrel-adl3000e", ct="40", start="4000"))
    assert running.section[0]["ct"] == 40
    assert plugin().read().energy_joules == 4000 * KWH
    assert plugin(ct=1).read().energy_joules == 100 * KWH


def test_the_section_names_roles_ratings_and_options(bench):
    running = bench.start(
        meter("sunspec", name="a", role="facility_total", rated_power_kw="400"),
        meter("apc-rpdu2", name="b", role=["it", "facility_total"], options={"site": "hall-1"}),
        meter("environment-metrics", name="c"),
    )
    first, second, third = running.section
    assert first["rated_power_kw"] == 400
    assert (second["role"], second["site"]) == (["it", "facility_total"], "hall-1")
    assert "role" not in third
    lines = running.section_text().splitlines()
    assert [lines[0], len(lines)] == ["meters:", 4]


def test_the_ports_of_the_script_are_taken_and_one_in_use_is_named():
    from agent.simulator.meters.simulator import MeterSimulator
    from tests.agent.simulator.meters.conftest import START

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        made = MeterSimulator(
            script(meter("apc-rpdu2", name="x"), meter("sunspec", port=str(port))),
            now=lambda: START,
        )
        with pytest.raises(PermanentError, match=f"m: cannot listen on 127.0.0.1:{port}"):
            made.start()


def test_the_clock_of_a_script_runs_as_fast_as_it_is_told():
    from agent.simulator.meters import script_file
    from agent.simulator.meters.simulator import running_clock

    small = script_file.load(script_file.SMALL_CENTRE)
    now = running_clock(small, speed=3600)
    first = now()
    second = now()
    assert small.start_at <= first <= second
