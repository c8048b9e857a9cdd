"""The structures have the sizes that the C compiler asserts in the stand-in (cndev_stub.c)."""

from __future__ import annotations

import ctypes

import pytest

from collectors.accelerators.cambricon import structures

SIZES = {
    structures.CardInfo: 8,
    structures.Uuid: 56,
    structures.MemoryV2: 176,
    structures.MemoryV1: 216,
    structures.Utilization: 328,
    structures.Temperature: 148,
    structures.DevicePower: 84,
    structures.Power: 32,
    structures.CardName: 8,
    structures.CardSerial: 24,
    structures.PcieV2: 64,
    structures.PcieV1: 48,
    structures.Incident: 540,
    structures.HealthV2: 34612,
    structures.HealthV1: 16,
    structures.MimMode: 8,
    structures.MluInstance: 1016,
    structures.ProcessInfo: 24,
}


@pytest.mark.parametrize("structure", SIZES, ids=lambda each: each.__name__)
def test_a_structure_has_the_size_of_the_interface(structure):
    assert ctypes.sizeof(structure) == SIZES[structure]


@pytest.mark.parametrize("function", structures.LAYOUTS)
def test_a_layout_names_fields_of_its_structure(function):
    layout = structures.LAYOUTS[function]

    assert set(layout.fields) <= {field[0] for field in layout.structure._fields_}
