"""The picture of the node never shows an old figure as a new one."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model.accelerator import Accelerator, AcceleratorKind, AcceleratorReading, Health
from agent.model.readings import CpuReading, DiskReading, HostReading, MemoryReading
from agent.model.secret import Secret
from agent.model.view import MOVING_FIELDS, AcceleratorView, AgentView, unknown_reading

NOON = datetime(2026, 1, 1, 12, 0, tzinfo=timezone.utc)


def view() -> AgentView:
    return AgentView(
        taken_at=NOON,
        taken_monotonic_seconds=100.0,
        host=HostReading(host_name="box", os_name="Linux", architecture="x86_64"),
        cpu=CpuReading(logical_cores=4, utilization_ratio=0.5),
        memory=MemoryReading(total_bytes=8, used_bytes=4),
        disks=(DiskReading(mount_path="/", total_bytes=10, used_bytes=1),),
        accelerators=(
            AcceleratorView(
                accelerator=Accelerator(
                    uuid="GPU-1",
                    vendor="nvidia",
                    kind=AcceleratorKind.GPU,
                    index=0,
                    product_name="Tesla T4",
                    memory_total_bytes=16,
                ),
                reading=AcceleratorReading(
                    uuid="GPU-1", memory_used_bytes=1, utilization_ratio=0.1, health=Health.OK
                ),
            ),
        ),
    )


@given(age=st.floats(min_value=0, max_value=1e6))
def test_whatever_moves_is_unknown_once_it_is_too_old(age):
    shown = view().at(100.0 + age, max_age_seconds=45)
    if (100.0 + age) - 100.0 <= 45:
        assert shown == view()
        return
    assert (shown.cpu, shown.memory, shown.disks) == (None, None, None)
    assert set(shown.unknown) == {"cpu", "memory", "disks"}
    card = shown.accelerators[0]
    assert all(getattr(card.reading, name) is None for name in MOVING_FIELDS)
    assert card.reading.health is Health.UNKNOWN
    assert set(card.reading.unknown) == {*MOVING_FIELDS, "health", "processes"}


def test_what_does_not_move_is_still_shown():
    shown = view().at(1000.0, max_age_seconds=45)
    assert shown.host is not None
    assert shown.accelerators[0].accelerator.product_name == "Tesla T4"
    assert shown.unknown["cpu"] == "last sampled 900 s ago"


def test_an_unknown_reading_has_a_reason_for_every_field():
    reading = unknown_reading("GPU-1", "the card was lost")
    assert set(reading.unknown.values()) == {"the card was lost"}


def test_a_view_cannot_be_changed():
    with pytest.raises(AttributeError):
        view().cpu = None  # type: ignore[misc]


def test_a_secret_does_not_show_itself():
    secret = Secret("hunter2")
    assert "hunter2" not in f"{secret} {secret!r} {[secret]}"
    assert secret.reveal() == "hunter2"
    assert secret == Secret("hunter2")
    assert secret != Secret("other")
