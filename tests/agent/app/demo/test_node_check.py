"""The demonstration's judgement: it must never call good what differs."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest

from agent.app.demo.node_check import compare

GIB = 2**30
MEMORY_GIB, AVAILABLE_GIB = 16, 12


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    kib = 2**20
    (tmp_path / "meminfo").write_text(
        f"MemTotal: {MEMORY_GIB * kib} kB\nMemFree: 1 kB\nMemAvailable: {AVAILABLE_GIB * kib} kB\n"
        "HugePages_Total:       0\n"
    )
    return tmp_path


@pytest.fixture
def device():
    """Return this machine as a right agent tells it, with the memory of the fixture `proc`."""
    root = os.statvfs("/")
    return {
        "HostName": platform.node(),
        "Cpu": os.cpu_count(),
        "CpuUtilization": 0.5,
        "Memory": float(MEMORY_GIB),
        "MemoryUsed": float(MEMORY_GIB - AVAILABLE_GIB),
        "DiskDetails": [
            {
                "Path": "/",
                "Disk": root.f_blocks * root.f_frsize / GIB,
                "DiskUsed": (root.f_blocks - root.f_bfree) * root.f_frsize / GIB,
            }
        ],
    }


def differing(device, proc):
    return [each.name for each in compare(device, proc=proc) if not each.agrees]


def test_the_truth_agrees_in_every_figure(device, proc):
    found = compare(device, proc=proc)
    assert [each.name for each in found if each.agrees] == [
        "host name",
        "CPU cores",
        "CPU utilisation",
        "memory GiB",
        "memory used GiB",
        "disks",
        "disk / GiB",
        "disk / used GiB",
    ]
    assert all(each.agrees for each in found)


@pytest.mark.parametrize(
    ("field", "value", "name"),
    [
        ("HostName", "elsewhere", "host name"),
        ("Cpu", 0, "CPU cores"),
        ("CpuUtilization", 1.01, "CPU utilisation"),
        ("CpuUtilization", -0.01, "CPU utilisation"),
        ("CpuUtilization", "0.5", "CPU utilisation"),
        ("Memory", MEMORY_GIB * 1.024, "memory GiB"),
        ("Memory", MEMORY_GIB + 0.03, "memory GiB"),
        ("MemoryUsed", MEMORY_GIB - AVAILABLE_GIB + 1.7, "memory used GiB"),
        ("MemoryUsed", 0.0, "memory used GiB"),
    ],
)
def test_a_wrong_figure_differs_and_it_alone(device, proc, field, value, name):
    assert differing({**device, field: value}, proc) == [name]


@pytest.mark.parametrize(
    ("field", "factor", "name"), [("Disk", 1.001, "disk / GiB"), ("DiskUsed", 0, "disk / used GiB")]
)
def test_a_wrong_disk_differs(device, proc, field, factor, name):
    device["DiskDetails"][0][field] *= factor
    root = device["DiskDetails"][0]
    if field == "Disk":
        root[field] += 0.03
    else:
        root[field] -= 0.03 * root["Disk"]
    assert differing(device, proc) == [name]


def test_what_drifts_between_two_looks_agrees(device, proc):
    device["MemoryUsed"] += 1.5
    device["DiskDetails"][0]["DiskUsed"] += 0.01 * device["DiskDetails"][0]["Disk"]
    assert differing(device, proc) == []


@pytest.mark.parametrize("value", [None, float("nan"), "", "16"])
def test_a_figure_that_is_none_differs(device, proc, value):
    device.update(Cpu=value, CpuUtilization=value, Memory=value, MemoryUsed=value)
    device["DiskDetails"][0].update(Disk=value, DiskUsed=value)
    assert differing(device, proc) == [
        "CPU cores",
        "CPU utilisation",
        "memory GiB",
        "memory used GiB",
        "disk / GiB",
        "disk / used GiB",
    ]


@pytest.mark.parametrize("details", [None, []])
def test_no_disk_differs(device, proc, details):
    assert differing({**device, "DiskDetails": details}, proc) == ["disks"]


def test_an_empty_device_differs_in_everything(proc):
    found = compare({}, proc=proc)
    assert found
    assert not any(each.agrees for each in found)


def test_a_disk_that_is_not_here_differs_with_the_systems_reason(device, proc):
    device["DiskDetails"].append({"Path": "/nowhere", "Disk": 1, "DiskUsed": 0})
    (wrong,) = (each for each in compare(device, proc=proc) if not each.agrees)
    assert (wrong.name, wrong.system_says) == ("disk /nowhere", "No such file or directory")


@pytest.mark.parametrize("meminfo", [None, "", "MemTotal: 16 kB\n"])
def test_a_system_that_tells_no_memory_agrees_with_nothing(device, proc, meminfo):
    path = proc / "meminfo"
    path.unlink()
    if meminfo is not None:
        path.write_text(meminfo)
    assert "memory used GiB" in differing(device, proc)


def test_the_line_says_whether_it_agrees(device, proc):
    lines = [str(each) for each in compare({**device, "Cpu": -1}, proc=proc)]
    assert lines[0] == f"host name              agrees   {platform.node()} / {platform.node()}"
    assert lines[1] == f"CPU cores              DIFFERS  -1 / {os.cpu_count()}"
