"""What may be shown, by age."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model.accelerator import Accelerator, AcceleratorKind, AcceleratorReading, Health
from agent.model.readings import CpuReading, DiskReading, HostReading, MemoryReading
from agent.model.view import PluginState, PluginStatus
from agent.sampling import views
from agent.sampling.accelerator_host import AcceleratorSnapshot
from agent.sampling.child_messages import Cards
from agent.sampling.collector_host import CollectorSnapshot
from agent.sampling.views import Sample

INTERVAL_SECONDS = 15.0
MAX_AGE_SECONDS = 45.0
READINGS = {
    "host": HostReading(host_name="box", os_name="Linux", architecture="aarch64"),
    "cpu": CpuReading(logical_cores=8, utilization_ratio=0.5),
    "memory": MemoryReading(total_bytes=10, used_bytes=5),
    "disks": DiskReading(mount_path="/", total_bytes=10, used_bytes=5),
}


def collector(name, *, measured=0.0, state=PluginState.ACTIVE, detail=None, readings=...):
    return CollectorSnapshot(
        status=PluginStatus(group="collectors", name=name, state=state, detail=detail),
        readings=(READINGS[name],) if readings is ... else readings,
        measured_monotonic_seconds=measured,
    )


def cards(name, *, measured=0.0, state=PluginState.ACTIVE, detail=None):
    accelerator = Accelerator(
        uuid=name,
        vendor=name,
        kind=AcceleratorKind.NPU,
        index=0,
        product_name="310P3",
        memory_total_bytes=100,
    )
    reading = AcceleratorReading(uuid=name, memory_used_bytes=7, health=Health.OK)
    return AcceleratorSnapshot(
        status=PluginStatus(group="accelerators", name=name, state=state, detail=detail),
        cards=Cards(accelerators=(accelerator,), readings={name: reading}),
        measured_monotonic_seconds=measured,
    )


def view_of(*, collectors=(), accelerators=(), now=0.0, settled=()):
    sample = Sample(
        taken_at=datetime(2026, 1, 1, tzinfo=timezone.utc),
        taken_monotonic_seconds=now,
        collectors=tuple(collectors),
        accelerators=tuple(accelerators),
        settled=tuple(settled),
    )
    return views.make_view(sample, now=now, interval_seconds=INTERVAL_SECONDS)


ages = st.floats(0, 1000)


@given(st.fixed_dictionaries(dict.fromkeys(READINGS, ages)), ages, ages)
def test_an_old_value_is_never_shown(ages_by_name, age_of_a, age_of_b):
    now = 5000.0
    view = view_of(
        collectors=[collector(name, measured=now - age) for name, age in ages_by_name.items()],
        accelerators=[cards("a", measured=now - age_of_a), cards("b", measured=now - age_of_b)],
        now=now,
    )
    for name in ("cpu", "memory", "disks"):
        is_old = now > (now - ages_by_name[name]) + MAX_AGE_SECONDS
        assert (getattr(view, name) is None) == is_old
        assert (name in view.unknown) == is_old
    assert view.host == READINGS["host"]
    for each, age in zip(view.accelerators, (age_of_a, age_of_b), strict=True):
        is_old = now > (now - age) + MAX_AGE_SECONDS
        assert (each.reading.memory_used_bytes is None) == is_old
        assert (each.reading.health is Health.UNKNOWN) == is_old
        assert each.accelerator.memory_total_bytes == 100


@given(st.lists(ages, min_size=1, max_size=6), ages)
def test_a_view_may_be_kept_exactly_until_its_next_expiry(measured, now):
    sample = Sample(
        taken_at=datetime(2026, 1, 1, tzinfo=timezone.utc),
        taken_monotonic_seconds=now,
        accelerators=tuple(cards(str(i), measured=at) for i, at in enumerate(measured)),
    )
    expiry = views.next_expiry(sample, now=now, interval_seconds=INTERVAL_SECONDS)
    first = views.make_view(sample, now=now, interval_seconds=INTERVAL_SECONDS)
    known = [each.reading.memory_used_bytes for each in first.accelerators]
    until = expiry if expiry != float("inf") else now + 1e6
    last = views.make_view(sample, now=until - 1e-6, interval_seconds=INTERVAL_SECONDS)
    if until - 1e-6 >= now:
        assert [each.reading.memory_used_bytes for each in last.accelerators] == known


def test_the_reason_names_the_age_and_the_plugin_s_state():
    (card,) = view_of(
        accelerators=[cards("a", state=PluginState.STALLED, detail="no answer within 5 s")],
        now=47.0,
    ).accelerators
    assert card.reading.unknown["power_watts"] == (
        "no answer for 47 s: plugin stalled (no answer within 5 s)"
    )
    assert card.reading.unknown["health"] == card.reading.unknown["power_watts"]


@pytest.mark.parametrize(
    ("collectors", "reason"),
    [
        ([], "no collector for it is installed"),
        (
            [collector("cpu", state=PluginState.STARTING, readings=None)],
            "plugin starting",
        ),
        (
            [collector("cpu", state=PluginState.BROKEN, detail="no psutil", readings=None)],
            "plugin broken (no psutil)",
        ),
        ([collector("cpu", measured=-50.0)], "no answer for 50 s"),
    ],
)
def test_a_part_that_is_missing_says_why(collectors, reason):
    view = view_of(collectors=collectors)
    assert view.cpu is None
    assert view.unknown["cpu"] == reason


def test_a_slow_plugin_s_values_live_as_long_as_three_of_its_passes():
    slow = dataclasses.replace(cards("a"), took_seconds=20.0)
    assert view_of(accelerators=[slow], now=60.0).accelerators[0].reading.memory_used_bytes == 7
    assert view_of(accelerators=[slow], now=60.1).accelerators[0].reading.memory_used_bytes is None


def test_no_disk_at_all_is_an_answer():
    view = view_of(collectors=[collector("disks", readings=())])
    assert view.disks == ()
    assert "disks" not in view.unknown


def test_an_external_collector_s_disks_stand_beside_ours():
    more = DiskReading(mount_path="/array", total_bytes=1, used_bytes=1)
    external = CollectorSnapshot(
        status=PluginStatus(group="collectors", name="array", state=PluginState.ACTIVE),
        readings=(more,),
        measured_monotonic_seconds=0.0,
    )
    view = view_of(collectors=[collector("disks"), external])
    assert view.disks == (READINGS["disks"], more)


def test_every_plugin_is_listed_collectors_first():
    view = view_of(
        collectors=[collector("memory"), collector("cpu")],
        accelerators=[cards("nvidia")],
        settled=[PluginStatus(group="accelerators", name="ascend", state=PluginState.DISABLED)],
    )
    assert [each.name for each in view.plugins] == ["cpu", "memory", "ascend", "nvidia"]
