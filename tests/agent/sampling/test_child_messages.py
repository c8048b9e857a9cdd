"""The words between daemon and child, and every lie that a child can tell."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import ReadingUnavailable
from agent.model.accelerator import (
    Accelerator,
    AcceleratorKind,
    AcceleratorProcess,
    AcceleratorReading,
    Health,
)
from agent.sampling import child_messages

MOVING = (
    "memory_used_bytes",
    "utilization_ratio",
    "temperature_celsius",
    "power_watts",
    "energy_joules",
)

texts = st.text(
    st.characters(min_codepoint=33, exclude_categories=["C", "Z"]), min_size=1, max_size=60
)
counts = st.none() | st.integers(0, 2**62)
processes = st.lists(
    st.builds(
        AcceleratorProcess,
        pid=st.integers(1, 1 << 22),
        memory_used_bytes=counts,
        utilization_ratio=st.none() | st.floats(0, 1),
    ),
    unique_by=lambda each: each.pid,
    max_size=5,
).map(lambda found: tuple(sorted(found, key=lambda each: each.pid)))
uuids = st.lists(texts, unique=True, max_size=8)


@st.composite
def machines(draw):
    """Return cards and their readings as a well-behaved plugin gives them."""
    accelerators, readings = [], []
    for index, uuid in enumerate(draw(uuids)):
        total = draw(counts)
        accelerators.append(
            Accelerator(
                uuid=uuid,
                vendor="fake",
                kind=draw(st.sampled_from(AcceleratorKind)),
                index=index,
                product_name=draw(st.none() | texts),
                memory_total_bytes=total,
                pci_address=draw(st.none() | texts),
                parent_uuid=draw(st.none() | texts),
                source=draw(texts),
            )
        )
        readings.append(
            AcceleratorReading(
                uuid=uuid,
                memory_used_bytes=draw(
                    st.none() | st.integers(0, 2**62 if total is None else total)
                ),
                utilization_ratio=draw(st.none() | st.floats(0, 1)),
                temperature_celsius=draw(st.none() | st.floats(-100, 300)),
                power_watts=draw(st.none() | st.floats(0, 100_000)),
                energy_joules=draw(counts),
                health=draw(st.sampled_from(Health)),
                processes=draw(st.none() | processes),
            )
        )
    return accelerators, readings


def sent(message):
    return child_messages.decode_line(child_messages.encode_line(message))


def without_reasons(value):
    return dataclasses.replace(value, unknown={})


@given(machines())
def test_what_a_sound_plugin_gives_arrives_unchanged(machine):
    accelerators, readings = machine
    cards = child_messages.decode_cards(
        sent(child_messages.encode_cards(accelerators, readings)), vendor="fake"
    )
    assert list(map(without_reasons, cards.accelerators)) == accelerators
    assert list(map(without_reasons, cards.readings.values())) == readings


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=8,
)
card_fields = ("uuid", "kind", "index", "product_name", "memory_total_bytes", "source", "unknown")
cards_of_liars = st.dictionaries(st.sampled_from(card_fields), anything).map(
    lambda entry: {"uuid": "a", "kind": "GPU", **entry}
)
readings_of_liars = st.dictionaries(
    st.sampled_from((*MOVING, "health", "processes", "uuid", "unknown")), anything
).map(lambda entry: {"uuid": "a", **entry})
messages_of_liars = anything.filter(lambda value: isinstance(value, dict)) | st.fixed_dictionaries(
    {
        "accelerators": anything | st.lists(cards_of_liars, max_size=3),
        "readings": anything | st.lists(readings_of_liars, max_size=3),
    }
)


@given(messages_of_liars)
def test_a_liar_gives_sound_values_or_none(message):
    try:
        cards = child_messages.decode_cards(sent(message), vendor="fake")
    except ReadingUnavailable:
        return
    assert list(cards.readings) == [each.uuid for each in cards.accelerators]
    for card in cards.accelerators:
        assert card.vendor == "fake"
        assert card.memory_total_bytes is None or card.memory_total_bytes >= 0
        assert 0 <= card.index <= 65535
        assert_every_none_has_its_reason(card, ("product_name", "memory_total_bytes"))
    for reading in cards.readings.values():
        assert_every_none_has_its_reason(reading, (*MOVING, "processes"))
        assert reading.health is not Health.UNKNOWN or reading.unknown["health"]
        ratio = reading.utilization_ratio
        assert ratio is None or 0 <= ratio <= 1
        for number in (reading.temperature_celsius, reading.power_watts):
            assert number is None or math.isfinite(number)
        for count in (reading.memory_used_bytes, reading.energy_joules):
            assert count is None or 0 <= count < 2**63
        for text in reading.unknown.values():
            text.encode()
            assert 0 < len(text) <= 200


def assert_every_none_has_its_reason(value, fields):
    for name in fields:
        assert (getattr(value, name) is None) == (name in value.unknown), name


@given(st.binary(max_size=200) | anything.map(lambda value: json.dumps(value).encode()))
def test_a_line_is_an_object_or_refused(line):
    with contextlib.suppress(ReadingUnavailable):
        assert isinstance(child_messages.decode_line(line), dict)


@pytest.mark.parametrize("line", [b"[" * 500_000, b"1" * 5000, b'{"a":' * 500_000])
def test_a_line_made_to_exhaust_the_parser_is_refused(line):
    with pytest.raises(ReadingUnavailable):
        child_messages.decode_line(line)


def card(uuid="a", **fields):
    return {"uuid": uuid, "kind": "GPU", "index": 0, "memory_total_bytes": 100, **fields}


def reading_of(**fields):
    message = {"accelerators": [card()], "readings": [{"uuid": "a", **fields}]}
    return child_messages.decode_cards(message, vendor="fake").readings["a"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("memory_used_bytes", -1),
        ("memory_used_bytes", 101),
        ("memory_used_bytes", 1.5),
        ("memory_used_bytes", True),
        ("memory_used_bytes", "10"),
        ("energy_joules", 2**63),
        ("utilization_ratio", 1.01),
        ("utilization_ratio", -0.01),
        ("utilization_ratio", float("nan")),
        ("utilization_ratio", False),
        ("power_watts", float("inf")),
        ("power_watts", -1.0),
        ("power_watts", 10**400),
        ("temperature_celsius", -273.2),
        ("temperature_celsius", [40]),
    ],
)
def test_a_value_out_of_bounds_is_unknown_and_says_so(field, value):
    reading = reading_of(**{field: value})
    assert getattr(reading, field) is None
    assert reading.unknown[field].startswith("the plugin gave ")
    assert reading.unknown[field] != "the plugin gave none"


def test_one_bad_value_costs_no_other():
    reading = reading_of(utilization_ratio=7, power_watts=10, health="ok")
    assert (reading.utilization_ratio, reading.power_watts) == (None, 10.0)
    assert reading.health is Health.OK


@pytest.mark.parametrize(
    "accelerators",
    [
        None,
        {},
        ["x"],
        [card(str(number)) for number in range(child_messages.MAX_CARDS + 1)],
        [card(), card()],
        [card(uuid="")],
        [card(uuid=7)],
        [card(uuid="x" * 201)],
        [card(uuid="a\nb")],
        [card(kind="TOASTER")],
        [card(kind=["GPU"])],
    ],
)
def test_a_list_that_makes_no_sense_is_refused(accelerators):
    with pytest.raises(ReadingUnavailable):
        child_messages.decode_cards({"accelerators": accelerators, "readings": []}, vendor="fake")


def test_text_is_cut_and_fit_for_a_log():
    message = {"accelerators": [card(product_name="A\n\x1b[31m\ud800" + "x" * 500)], "readings": []}
    name = child_messages.decode_cards(message, vendor="fake").accelerators[0].product_name
    assert name.startswith("A [31m xxx")
    assert len(name) == 200


def test_an_answer_too_long_is_not_sent():
    with pytest.raises(ReadingUnavailable):
        child_messages.encode_line({"text": "x" * child_messages.MAX_LINE_BYTES})


def read_processes(given):
    cards = child_messages.decode_cards(
        sent({"accelerators": [card("a")], "readings": [{"uuid": "a", "processes": given}]}),
        vendor="fake",
    )
    return cards.readings["a"]


@pytest.mark.parametrize(
    "given",
    [
        [[0, 1, None]],
        [[-4, 1, None]],
        [[(1 << 22) + 1, 1, None]],
        [[True, 1, None]],
        [["7", 1, None]],
        [[7, 1]],
        [[7, 1, None], [7, 2, None]],
        [{"pid": 7}],
        "7",
        [[number + 1, 1, None] for number in range(child_messages.MAX_PROCESSES + 1)],
    ],
)
def test_of_processes_that_cannot_be_none_is_believed(given):
    reading = read_processes(given)

    assert reading.processes is None
    assert reading.unknown["processes"]


def test_what_a_process_cannot_use_is_unknown_and_it_stays():
    assert read_processes([[8, -1, 1.5], [7, 3, 0.5], [9, 2**63, True]]).processes == (
        AcceleratorProcess(pid=7, memory_used_bytes=3, utilization_ratio=0.5),
        AcceleratorProcess(pid=8),
        AcceleratorProcess(pid=9),
    )


def test_too_many_processes_cost_no_card_its_figures():
    many = tuple(
        AcceleratorProcess(pid=pid, memory_used_bytes=2**62, utilization_ratio=1 / 3)
        for pid in range(1, child_messages.MAX_PROCESSES + 1)
    )
    names = [str(number) for number in range(5)]
    readings = [
        AcceleratorReading(uuid=name, power_watts=1.0, processes=many if name != "4" else ())
        for name in names
    ]
    readings[0] = dataclasses.replace(readings[0], processes=(*many, AcceleratorProcess(pid=5000)))
    accelerators = [
        Accelerator(
            uuid=name,
            vendor="fake",
            kind=AcceleratorKind.GPU,
            index=0,
            product_name="x",
            memory_total_bytes=1,
        )
        for name in names
    ]

    found = child_messages.decode_cards(
        sent(child_messages.encode_cards(accelerators, readings)), vendor="fake"
    ).readings.values()

    assert [each.power_watts for each in found] == [1.0] * 5
    assert [None if each.processes is None else len(each.processes) for each in found] == [
        None,
        child_messages.MAX_PROCESSES,
        child_messages.MAX_PROCESSES,
        None,
        0,
    ]
    assert all(each.processes is not None or each.unknown["processes"] for each in found)
