"""The view of this node in the standard's units."""

from __future__ import annotations

import json
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model.readings import CpuReading, DiskReading, HostReading, MemoryReading
from agent.model.view import PluginState, PluginStatus
from agent.protocols.acsmp.device_info import device_info

CODE = "11010800005020000001"


def sent(view, **changes):
    given = {"computility_code": CODE, "address": "192.0.2.7", "identify": lambda _v, p: p}
    return json.loads(msgspec.json.encode(device_info(view, **{**given, **changes})))


def disk(path, *, total, used):
    return DiskReading(mount_path=path, total_bytes=total, used_bytes=used)


@pytest.fixture(scope="session")
def empty(request):
    from datetime import datetime, timezone

    from agent.model.view import AgentView

    return AgentView(
        taken_at=datetime(2026, 1, 1, tzinfo=timezone.utc), taken_monotonic_seconds=0.0
    )


def test_a_node_of_which_nothing_is_known_sends_no_figure(empty):
    assert sent(empty, address=None) == {
        "DeviceID": CODE,
        "IsOnline": True,
        "XpuMonitors": [],
        "AlgoServiceMonitors": [],
    }


def test_a_sum_with_an_unknown_part_is_unknown(empty):
    disks = (disk("/", total=2 << 30, used=1 << 30), disk("/net", total=None, used=None))

    info = sent(replace(empty, disks=disks))

    assert "Disk" not in info
    assert "DiskUsed" not in info
    assert info["DiskDetails"] == [{"Path": "/", "Disk": 2, "DiskUsed": 1}, {"Path": "/net"}]


def test_no_file_system_at_all_is_a_gap_and_not_a_machine_without_disks(empty):
    info = sent(replace(empty, disks=()))

    assert "Disk" not in info
    assert info["DiskDetails"] == []


@pytest.mark.parametrize(
    ("architecture", "cpu_type"), [("x86_64", "x86"), ("aarch64", "aarch64"), ("riscv64",) * 2]
)
def test_x86_is_named_as_in_the_example(empty, architecture, cpu_type):
    host = HostReading(host_name="h", os_name="Linux", architecture=architecture)

    assert sent(replace(empty, host=host))["CpuType"] == cpu_type


def test_a_measured_zero_is_sent(empty):
    view = replace(
        empty,
        cpu=CpuReading(logical_cores=1, utilization_ratio=0.0),
        memory=MemoryReading(total_bytes=1 << 30, used_bytes=0),
    )

    info = sent(view)

    assert (info["CpuUtilization"], info["MemoryUsed"]) == (0.0, 0)


@given(total=st.integers(0, 1 << 60), ratio=st.floats(0, 1))
def test_figures_are_gib_and_fractions_to_the_last_mebibyte(empty, total, ratio):
    view = replace(
        empty,
        memory=MemoryReading(total_bytes=total, used_bytes=total),
        cpu=CpuReading(logical_cores=1, utilization_ratio=ratio),
    )

    info = sent(view)

    assert info["Memory"] * 2**30 == pytest.approx(total, abs=2**20)
    assert 0 <= info["CpuUtilization"] <= 1
    assert info["CpuUtilization"] == pytest.approx(ratio, abs=1e-6)


@pytest.mark.parametrize(
    ("state", "is_told"),
    [
        ("active", True),
        ("absent", True),
        ("disabled", True),
        ("starting", False),
        ("failing", False),
        ("stalled", False),
        ("broken", False),
    ],
)
def test_no_card_is_told_only_where_every_plugin_has_looked(empty, state, is_told):
    status = PluginStatus(group="accelerators", name="ascend", state=PluginState(state))
    assert ("XpuMonitors" in sent(replace(empty, plugins=(status,)))) is is_told


def test_known_cards_are_told_whatever_another_plugin_does(view):
    status = PluginStatus(group="accelerators", name="x", state=PluginState.STALLED)
    assert sent(replace(view, plugins=(status,)), identify=lambda _: None)["XpuMonitors"]


def test_a_system_collector_hides_no_card(empty):
    status = PluginStatus(group="collectors", name="cpu", state=PluginState.FAILING)
    assert sent(replace(empty, plugins=(status,)))["XpuMonitors"] == []
