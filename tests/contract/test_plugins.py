"""What every plugin owes to `agent.contracts`, asked of each that an entry point names."""

from __future__ import annotations

import dataclasses
from importlib.metadata import EntryPoint, entry_points

import pytest

from agent import contracts
from agent.errors import NotPresent, ReadingUnavailable
from agent.model.accelerator import Accelerator, AcceleratorReading, Health
from agent.model.readings import CpuReading, DiskReading, HostReading, MemoryReading

READINGS = (HostReading, CpuReading, MemoryReading, DiskReading)

# None here says that a card is no slice of another: nothing is unknown.
OPTIONAL = {"parent_uuid", "board_name", "card", "chips_on_card"}


def found(group: str) -> list[EntryPoint]:
    return sorted(entry_points(group=group), key=lambda each: each.name)


def parameters(*groups: str) -> list:
    return [
        pytest.param(each, id=f"{group.rpartition('.')[2]}-{each.name}")
        for group in groups
        for each in found(group)
    ]


every_plugin = pytest.mark.parametrize(
    "entry_point", parameters(contracts.COLLECTORS, contracts.ACCELERATORS)
)


def build(entry_point):
    plugin_class = entry_point.load()
    return plugin_class(plugin_class.config_type())


def assert_reasons(entry):
    unknown = {
        field.name
        for field in dataclasses.fields(entry)
        if getattr(entry, field.name) is None and field.name not in OPTIONAL
    }
    if getattr(entry, "health", None) is Health.UNKNOWN:
        unknown.add("health")
    assert set(entry.unknown) == unknown
    assert all(entry.unknown.values())


def test_both_groups_have_plugins():
    assert found(contracts.COLLECTORS)
    assert found(contracts.ACCELERATORS)


@every_plugin
def test_its_name_is_that_of_its_entry_point(entry_point):
    assert entry_point.load().name == entry_point.name


@every_plugin
def test_its_configuration_is_frozen_and_complete_without_a_word(entry_point):
    config_type = entry_point.load().config_type

    config = config_type()
    assert dataclasses.is_dataclass(config_type)
    assert config_type.__dataclass_params__.frozen
    assert config == config_type()


@every_plugin
def test_it_says_whether_it_has_something_to_read(entry_point):
    plugin = build(entry_point)
    try:
        plugin.probe()
        reason = "here it is"
    except NotPresent as absent:
        reason = absent.reason
    finally:
        plugin.close()
    assert reason


@every_plugin
def test_closing_twice_is_harmless(entry_point):
    plugin = build(entry_point)

    plugin.close()
    plugin.close()


@pytest.mark.parametrize("entry_point", parameters(contracts.COLLECTORS))
def test_a_collector_gives_readings_with_a_reason_for_each_unknown(entry_point):
    collector = build(entry_point)
    try:
        for _ in range(2):
            readings = collector.collect()
            assert readings
            for reading in readings:
                assert isinstance(reading, READINGS)
                assert_reasons(reading)
    finally:
        collector.close()


@pytest.mark.parametrize("entry_point", parameters(contracts.ACCELERATORS))
def test_an_accelerator_plugin_gives_one_reading_for_each_chip(entry_point):
    plugin = build(entry_point)
    try:
        accelerators, readings = plugin.list_accelerators(), plugin.read()
    except (NotPresent, ReadingUnavailable) as error:
        accelerators, readings = [], []
        reason = error.reason
    else:
        reason = "read"
    finally:
        plugin.close()

    assert reason
    assert all(isinstance(each, Accelerator) for each in accelerators)
    assert all(isinstance(each, AcceleratorReading) for each in readings)
    assert all(each.vendor == entry_point.name for each in accelerators)
    for each in (*accelerators, *readings):
        assert_reasons(each)
    uuids = [each.uuid for each in accelerators]
    assert [each.uuid for each in readings] == uuids
    assert len(set(uuids)) == len(uuids)
