"""Figures of a centre are those of all its nodes, or unknown with the nodes that are missing."""

from __future__ import annotations

import dataclasses
import math
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.centre import operations
from agent.centre.operations import NamedNode
from agent.model.accelerator import Accelerator, AcceleratorKind, AcceleratorReading
from agent.model.operations import FIGURES, CardLoad, NodeLoad
from agent.model.readings import CpuReading, MemoryReading
from agent.model.view import AcceleratorView, AgentView, PluginState, PluginStatus

GIB = 2**30


def load(code, *, cores=4, busy=0.5, total=8, used=2, cards=()):
    return NodeLoad(
        codes=frozenset({code}),
        logical_cores=cores,
        cpu_utilization_ratio=busy,
        memory_total_bytes=total * GIB,
        memory_used_bytes=used * GIB,
        cards=cards,
    )


def card(busy, *, total=16, used=4):
    return CardLoad(
        utilization_ratio=busy, memory_total_bytes=total * GIB, memory_used_bytes=used * GIB
    )


def centre(*loads, declared=None):
    nodes = [NamedNode(name=f"node-{index}", load=each) for index, each in enumerate(loads)]
    return operations.of_nodes(nodes, declared=declared or {})


def test_ratios_are_weighted_by_what_they_are_ratios_of():
    told = centre(
        load("a", cores=60, busy=0.1, total=96, used=24, cards=(card(1.0, total=80, used=80),)),
        load("b", cores=20, busy=0.9, total=32, used=32, cards=(card(0.0), card(0.5))),
    )
    assert told.figures["node_count"] == 2
    assert told.figures["cpu_utilization_ratio"] == pytest.approx((60 * 0.1 + 20 * 0.9) / 80)
    assert told.figures["memory_gib"] == 128
    assert told.figures["memory_utilization_ratio"] == pytest.approx(56 / 128)
    assert told.figures["accelerator_count"] == 3
    assert told.figures["accelerator_utilization_ratio"] == pytest.approx(0.5)
    assert told.figures["accelerator_memory_utilization_ratio"] == pytest.approx(88 / 112)
    assert told.figures["computing_utilization_ratio"] == pytest.approx(0.5)
    assert set(told.unknown) == {"computing_power_tflops", "schedulable_computing_power_tflops"}


def test_a_centre_without_accelerators_computes_with_its_cpus():
    told = centre(load("a", busy=0.25))
    assert told.figures["computing_utilization_ratio"] == 0.25
    assert told.figures["accelerator_count"] == 0
    # Nothing is idle of what is not there.
    assert told.unknown["accelerator_utilization_ratio"] == "the centre has no accelerators"


def test_what_nothing_measures_is_what_a_person_declares():
    told = centre(load("a"), declared={"computing_power_tflops": 1200.0})
    assert told.figures["computing_power_tflops"] == 1200
    assert told.unknown["schedulable_computing_power_tflops"] == "nothing tells it"


def test_a_node_that_does_not_answer_makes_every_sum_unknown_and_is_named():
    told = centre(load("a"), None, load("c"), None)
    assert told.figures == {"node_count": 4}
    assert told.unknown["memory_gib"] == "no answer of 2 of 4 nodes: node-1, node-3"


def test_of_many_missing_nodes_a_few_are_named():
    told = centre(*[None] * 50)
    assert told.unknown["memory_gib"].startswith("no answer of 50 of 50 nodes: node-0, ")
    assert told.unknown["memory_gib"].endswith("node-7, …")


@pytest.mark.parametrize(
    ("gap", "unknown"),
    [
        ("cpu_utilization_ratio", {"cpu_utilization_ratio": "CPU of node-1 not known"}),
        ("logical_cores", {"cpu_utilization_ratio": "CPU of node-1 not known"}),
        ("memory_used_bytes", {"memory_utilization_ratio": "memory of node-1 not known"}),
        (
            "memory_total_bytes",
            {
                "memory_utilization_ratio": "memory of node-1 not known",
                "memory_gib": "memory of node-1 not known",
            },
        ),
        (
            "cards",
            dict.fromkeys(
                (
                    "accelerator_count",
                    "accelerator_utilization_ratio",
                    "accelerator_memory_utilization_ratio",
                    "computing_utilization_ratio",
                ),
                "accelerators of node-1 not known",
            ),
        ),
    ],
)
def test_a_gap_of_one_node_costs_only_the_figures_that_need_it(gap, unknown):
    whole = load("a", cards=(card(0.5),))
    holed = dataclasses.replace(load("b", cards=(card(0.5),)), **{gap: None})
    told = centre(whole, holed, declared={"computing_power_tflops": 1.0})
    del told.unknown["schedulable_computing_power_tflops"]
    assert told.unknown == unknown


def test_a_card_that_tells_nothing_is_counted_and_leaves_the_load_unknown():
    told = centre(load("a", cards=(card(0.5), CardLoad())))
    assert told.figures["accelerator_count"] == 2
    assert told.unknown["computing_utilization_ratio"] == "accelerators of node-0 not known"
    assert told.unknown["accelerator_memory_utilization_ratio"].startswith("memory of acc")


def test_a_node_that_stands_there_twice_is_not_counted_twice():
    told = centre(load("a"), load("b"), load("a"))
    assert told.unknown["memory_gib"] == (
        "the same node stands under several names: node-0, node-2"
    )


ratios = st.none() | st.floats(0, 1)
sizes = st.none() | st.integers(0, 2**50)
cards = st.builds(
    CardLoad, memory_total_bytes=sizes, memory_used_bytes=sizes, utilization_ratio=ratios
)
loads = st.builds(
    NodeLoad,
    logical_cores=st.none() | st.integers(0, 1024),
    cpu_utilization_ratio=ratios,
    memory_total_bytes=sizes,
    memory_used_bytes=sizes,
    cards=st.none() | st.lists(cards, max_size=3).map(tuple),
)


@given(st.lists(st.none() | loads, min_size=1, max_size=4))
def test_each_figure_is_known_or_has_a_reason_and_no_ratio_leaves_its_bounds(nodes):
    told = centre(*nodes)
    assert set(told.figures) | set(told.unknown) == set(FIGURES)
    assert not set(told.figures) & set(told.unknown)
    for name, value in told.figures.items():
        assert math.isfinite(value)
        assert value >= 0
        assert value <= 1 or not name.endswith("_ratio")
    if None in nodes:
        assert set(told.figures) == {"node_count"}


def queried(values, *, unknown=None, declared=None):
    return operations.of_values(values, unknown=unknown or {}, declared=declared or {})


def test_what_somebody_else_worked_out_is_taken_within_its_bounds():
    told = queried(
        {"node_count": 3.0, "cpu_utilization_ratio": 0.5, "memory_gib": 512.5},
        unknown={"accelerator_count": "the query gives nothing"},
        declared={"computing_power_tflops": 10.0},
    )
    assert told.figures == {
        "node_count": 3,
        "cpu_utilization_ratio": 0.5,
        "memory_gib": 512.5,
        "computing_power_tflops": 10.0,
    }
    assert isinstance(told.figures["node_count"], int)
    assert told.unknown["accelerator_count"] == "the query gives nothing"
    assert told.unknown["memory_utilization_ratio"] == "nothing tells it"


@pytest.mark.parametrize(
    ("figure", "value", "words"),
    [
        ("cpu_utilization_ratio", 42.0, "is it a percentage"),
        ("node_count", 2.5, "no whole number"),
        ("memory_gib", -1.0, "no such figure"),
        ("memory_gib", math.inf, "no such figure"),
        ("memory_gib", math.nan, "no such figure"),
    ],
)
def test_a_value_out_of_its_bounds_is_unknown_with_the_reason(figure, value, words):
    told = queried({figure: value})
    assert figure not in told.figures
    assert words in told.unknown[figure]


def test_a_query_goes_before_what_is_declared():
    told = queried({"computing_power_tflops": 5.0}, declared={"computing_power_tflops": 9.0})
    assert told.figures["computing_power_tflops"] == 5


def view(*plugins, cards=()):
    return AgentView(
        taken_at=datetime(2026, 1, 1, tzinfo=timezone.utc),
        taken_monotonic_seconds=0.0,
        cpu=CpuReading(logical_cores=4, utilization_ratio=0.25),
        memory=MemoryReading(total_bytes=8 * GIB, used_bytes=2 * GIB),
        accelerators=tuple(
            AcceleratorView(
                accelerator=Accelerator(
                    uuid=f"{vendor}-1",
                    vendor=vendor,
                    kind=AcceleratorKind.GPU,
                    index=0,
                    product_name="T4",
                    memory_total_bytes=16 * GIB,
                    source="nvml",
                ),
                reading=AcceleratorReading(
                    uuid=f"{vendor}-1", memory_used_bytes=GIB, utilization_ratio=0.5
                ),
            )
            for vendor in cards
        ),
        plugins=tuple(
            PluginStatus(group="accelerators", name=name, state=state) for name, state in plugins
        ),
    )


def test_this_node_is_what_its_view_shows():
    own = operations.of_view(
        view(("nvidia", PluginState.ACTIVE), cards=["nvidia"]), codes=frozenset({"1"})
    )
    assert own == NodeLoad(
        codes=frozenset({"1"}),
        logical_cores=4,
        cpu_utilization_ratio=0.25,
        memory_total_bytes=8 * GIB,
        memory_used_bytes=2 * GIB,
        cards=(
            CardLoad(memory_total_bytes=16 * GIB, memory_used_bytes=GIB, utilization_ratio=0.5),
        ),
    )


@pytest.mark.parametrize(
    ("plugins", "cards", "known"),
    [
        ([("nvidia", PluginState.ABSENT)], [], True),
        ([("nvidia", PluginState.STARTING)], [], False),
        ([("nvidia", PluginState.ACTIVE), ("ascend", PluginState.STALLED)], ["nvidia"], False),
        ([("nvidia", PluginState.FAILING)], ["nvidia"], True),
        ([], [], False),
    ],
    ids=str,
)
def test_a_plugin_that_may_hide_cards_leaves_their_number_unknown(plugins, cards, known):
    own = operations.of_view(view(*plugins, cards=cards), codes=frozenset())
    assert (own.cards is not None) is known


def test_a_view_without_readings_is_a_node_of_which_nothing_is_known():
    empty = AgentView(
        taken_at=datetime(2026, 1, 1, tzinfo=timezone.utc), taken_monotonic_seconds=0.0
    )
    told = centre(operations.of_view(empty, codes=frozenset()))
    assert told.figures == {"node_count": 1}
