"""The energy of one card of this node, out of the agent's own view."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone

import pytest

from agent.centre.accelerator_meter import AcceleratorEnergyConfig, AcceleratorMeter
from agent.errors import NotPresent, ReadingUnavailable
from agent.model.accelerator import Accelerator, AcceleratorKind, AcceleratorReading
from agent.model.view import AcceleratorView, AgentView

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)


def card(uuid, *, energy=None, power=None, parent=None, reason="the driver does not tell"):
    given = {"energy_joules": energy, "power_watts": power}
    return AcceleratorView(
        accelerator=Accelerator(
            uuid=uuid,
            vendor="acme",
            kind=AcceleratorKind.XPU,
            index=0,
            product_name="X",
            memory_total_bytes=1,
            parent_uuid=parent,
        ),
        reading=AcceleratorReading(
            uuid=uuid,
            **given,
            unknown={name: reason for name, value in given.items() if value is None},
        ),
    )


class Node:
    """Holds the view that the meter asks for."""

    def __init__(self, tmp_path, *cards):
        self.view = AgentView(taken_at=NOW, taken_monotonic_seconds=0.0, accelerators=cards)
        self.boot = tmp_path / "boot_id"
        self.boot.write_text("boot-1\n")

    def meter(self, uuid=""):
        return AcceleratorMeter(
            AcceleratorEnergyConfig(uuid=uuid), view=lambda: self.view, boot_id=self.boot
        )


def test_the_only_card_needs_no_name(tmp_path):
    meter = Node(tmp_path, card("GPU-1", energy=12_345, power=70.5)).meter()
    meter.probe()

    reading = meter.read()

    assert (reading.taken_at, reading.energy_joules, reading.power_watts) == (NOW, 12_345, 70.5)
    assert set(reading.unknown) == {"water_millilitres"}


def test_one_of_several_is_chosen_and_never_added_up(tmp_path):
    node = Node(tmp_path, card("GPU-1", energy=1), card("GPU-2", energy=2))

    assert node.meter("GPU-2").read().energy_joules == 2
    with pytest.raises(NotPresent, match="2 accelerators") as caught:
        node.meter().probe()
    assert "GPU-1, GPU-2" in caught.value.hint


def test_a_slice_is_no_card_of_its_own(tmp_path):
    node = Node(tmp_path, card("GPU-1", energy=1), card("MIG-1", energy=9, parent="GPU-1"))

    assert node.meter().read().energy_joules == 1


def test_a_card_that_disappears_is_no_reading(tmp_path):
    node = Node(tmp_path, card("GPU-1", energy=1), card("GPU-2", energy=2))
    meter = node.meter("GPU-2")
    meter.read()
    node.view = replace(node.view, accelerators=node.view.accelerators[:1])

    with pytest.raises(ReadingUnavailable, match="no accelerator GPU-2"):
        meter.read()


def test_a_boot_and_another_card_change_the_marker(tmp_path):
    node = Node(tmp_path, card("GPU-1", energy=1), card("GPU-2", energy=2))
    markers = {node.meter("GPU-1").read().reset_marker, node.meter("GPU-2").read().reset_marker}
    node.boot.write_text("boot-2\n")
    markers.add(node.meter("GPU-1").read().reset_marker)

    assert len(markers) == 3


def test_what_the_vendor_does_not_tell_is_unknown_with_its_reason(tmp_path):
    reading = Node(tmp_path, card("GPU-1", power=70.0)).meter().read()

    assert reading.energy_joules is None
    assert reading.unknown["energy_joules"] == "the driver does not tell"


def test_values_that_are_too_old_are_no_reading(tmp_path):
    node = Node(tmp_path, card("GPU-1", energy=1, power=1.0))
    meter = node.meter()
    node.view = node.view.at(100.0, max_age_seconds=60.0)

    with pytest.raises(ReadingUnavailable, match="last sampled 100 s ago"):
        meter.read()


def test_a_node_without_a_view_or_a_card_says_so(tmp_path):
    node = Node(tmp_path)
    with pytest.raises(NotPresent, match="no accelerator is found") as caught:
        node.meter().probe()
    assert caught.value.hint
    node.view = None
    with pytest.raises(ReadingUnavailable, match="not read yet"):
        node.meter().read()
