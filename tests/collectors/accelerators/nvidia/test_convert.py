from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model.accelerator import Health
from collectors.accelerators.nvidia import convert
from collectors.accelerators.nvidia.answers import Condition, Identity, Occupancy, Sensors
from collectors.accelerators.nvidia.explain import Failure, explain

CODES = [*range(1, 31), 999]
failures = st.builds(Failure, st.sampled_from([*CODES, 31, -1]))
numbers = st.one_of(
    st.integers(min_value=-(2**31), max_value=2**64 - 1),
    st.integers(min_value=0, max_value=100),
    st.sampled_from([0xFFFFFFFF, 2**64 - 1, -1]),
    failures,
)
texts = st.one_of(st.text(max_size=40), failures)
conditions = st.builds(
    Condition,
    uncorrected_errors=numbers,
    rows_pending=numbers,
    rows_failed=numbers,
    recovery_action=numbers,
)
occupancies = st.builds(Occupancy, memory_used_bytes=numbers, utilization_percent=numbers)
sensors = st.builds(
    Sensors, temperature_celsius=numbers, power_milliwatts=numbers, energy_millijoules=numbers
)
identities = st.builds(Identity, uuid=texts, name=texts, bus_id=texts, memory_total_bytes=numbers)


def assert_reasons(entry, *, optional=()):
    values = dataclasses.asdict(entry)
    unknown = {name for name, value in values.items() if value is None} - {
        *("board_name", "card", "chips_on_card"),
        *optional,
    }
    if values.get("health") is Health.UNKNOWN:
        unknown.add("health")
    assert set(entry.unknown) == unknown
    assert all(entry.unknown.values())


@given(occupancies, sensors, conditions)
def test_whatever_nvml_answers_a_reading_is_plausible_or_unknown(occupancy, sensors, condition):
    verdict = convert.verdict(condition, failures=convert.failure_codes(occupancy, sensors))
    reading = convert.card_reading(
        "GPU-1", occupancy=occupancy, sensors=sensors, verdict=verdict, users=()
    )

    assert_reasons(reading)
    if reading.utilization_ratio is not None:
        assert 0 <= reading.utilization_ratio <= 1
    for value in (reading.memory_used_bytes, reading.power_watts, reading.energy_joules):
        assert value is None or value >= 0
    for value in (reading.memory_used_bytes, reading.energy_joules):
        assert value is None or type(value) is int


@given(identities, st.integers(min_value=0, max_value=15))
def test_whatever_nvml_answers_a_card_has_a_reason_for_each_unknown(identity, index):
    card = convert.accelerator(identity, uuid="GPU-1", index=index)
    slice_ = convert.accelerator(identity, uuid="MIG-1", index=index, parent=card)
    lost = convert.unidentified(Failure(15), index=index, parent=card)

    assert_reasons(card, optional=["parent_uuid"])
    assert_reasons(slice_)
    assert_reasons(lost)
    assert slice_.pci_address == lost.pci_address == card.pci_address


@pytest.mark.parametrize("code", CODES)
def test_every_code_of_nvml_has_words_of_its_own(code):
    words = explain(Failure(code)).reason

    assert str(code) not in words
    assert words != explain(Failure(4711)).reason


def test_an_unlisted_code_keeps_its_number():
    assert "4711" in explain(Failure(4711)).reason


@pytest.mark.parametrize(
    ("given_id", "address"),
    [
        ("00000000:3B:00.0", "0000:3b:00.0"),
        ("0000:3b:00.0", "0000:3b:00.0"),
        ("00010000:AF:00.0", "00010000:af:00.0"),
        ("00001234:AF:1F.7", "1234:af:1f.7"),
    ],
)
def test_a_bus_id_is_written_as_the_kernel_writes_it(given_id, address):
    assert convert.pci_address(given_id) == address


def test_health_is_unknown_without_any_figure_and_says_so():
    nothing = Failure(3)
    verdict = convert.verdict(
        Condition(
            uncorrected_errors=nothing,
            rows_pending=nothing,
            rows_failed=nothing,
            recovery_action=nothing,
        )
    )

    assert verdict.health is Health.UNKNOWN
    assert verdict.because


def test_the_worst_complaint_decides():
    verdict = convert.verdict(
        Condition(uncorrected_errors=3, rows_pending=1, rows_failed=1, recovery_action=Failure(3))
    )

    assert verdict.health is Health.CRITICAL
    assert verdict.because == "bad memory rows could not be replaced"
