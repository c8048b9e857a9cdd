"""A view with everything in it, and one with nothing known."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from agent.model.accelerator import Accelerator, AcceleratorKind, AcceleratorReading, Health
from agent.model.readings import CpuReading, DiskReading, HostReading, MemoryReading
from agent.model.view import (
    AcceleratorView,
    AgentView,
    PluginState,
    PluginStatus,
    unknown_reading,
)

NOON = datetime(2026, 1, 1, 12, 0, tzinfo=timezone.utc)
CARD = Accelerator(
    uuid="GPU-1",
    vendor="nvidia",
    kind=AcceleratorKind.GPU,
    index=0,
    product_name="Tesla T4",
    memory_total_bytes=16 * 2**30,
    source="nvml",
)


@pytest.fixture
def full_view() -> AgentView:
    return AgentView(
        taken_at=NOON,
        taken_monotonic_seconds=100.0,
        host=HostReading(host_name="box", os_name="Linux", architecture="aarch64"),
        cpu=CpuReading(logical_cores=4, utilization_ratio=0.25),
        memory=MemoryReading(total_bytes=8 * 2**30, used_bytes=2 * 2**30),
        disks=(
            DiskReading(mount_path="/", total_bytes=100 * 2**30, used_bytes=10 * 2**30),
            DiskReading(
                mount_path="/data",
                total_bytes=None,
                used_bytes=None,
                unknown={"total_bytes": "no answer", "used_bytes": "no answer"},
            ),
        ),
        accelerators=(
            AcceleratorView(
                accelerator=CARD,
                reading=AcceleratorReading(
                    uuid="GPU-1",
                    memory_used_bytes=2**30,
                    utilization_ratio=0.5,
                    temperature_celsius=40.0,
                    power_watts=30.5,
                    energy_joules=None,
                    health=Health.OK,
                    unknown={"energy_joules": "not offered by this card (NVML)"},
                ),
            ),
        ),
        plugins=(
            PluginStatus(group="accelerators", name="nvidia", state=PluginState.ACTIVE),
            PluginStatus(
                group="accelerators",
                name="ascend",
                state=PluginState.STALLED,
                detail="no answer for 7 s",
            ),
        ),
    )


@pytest.fixture
def unknown_view() -> AgentView:
    reason = "last sampled 60 s ago"
    return AgentView(
        taken_at=NOON,
        taken_monotonic_seconds=100.0,
        accelerators=(AcceleratorView(accelerator=CARD, reading=unknown_reading("GPU-1", reason)),),
        unknown=dict.fromkeys(("host", "cpu", "memory", "disks"), reason),
    )
