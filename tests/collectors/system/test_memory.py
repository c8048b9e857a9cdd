from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import NotPresent, ReadingUnavailable
from collectors.system.memory import (
    MemoryCollector,
    MemoryConfig,
    MemoryFigures,
    counts_available,
    memory_reading,
    read_memory,
)


def figures(total_bytes, available_bytes):
    return MemoryFigures(total_bytes=total_bytes, available_bytes=available_bytes)


def kernel_figures():
    """Return /proc/meminfo in bytes, read by hand: it writes kB and means KiB."""
    lines = [line.split() for line in Path("/proc/meminfo").read_text().splitlines()]
    return {key.rstrip(":"): int(value) * 1024 for key, value, *_ in lines}


def test_used_is_what_programs_cannot_have_any_more():
    collector = MemoryCollector(MemoryConfig(), read=lambda: figures(16000, 12000))

    [reading] = collector.collect()
    assert (reading.total_bytes, reading.used_bytes) == (16000, 4000)
    assert reading.unknown == {}


@pytest.mark.parametrize(
    ("told", "unknown"),
    [
        (figures(0, 0), {"total_bytes", "used_bytes"}),
        (figures(100, None), {"used_bytes"}),
        (figures(100, 101), {"used_bytes"}),
        (figures(100, -1), {"used_bytes"}),
        (figures(100, 0), set()),
        (figures(100, 100), set()),
    ],
)
def test_what_makes_no_sense_is_unknown(told, unknown):
    reading = memory_reading(told)

    assert set(reading.unknown) == unknown
    assert {name for name in ("total_bytes", "used_bytes") if getattr(reading, name) is None} == (
        unknown
    )


@given(st.integers(), st.none() | st.integers())
def test_any_figures_give_a_plausible_reading_or_none(total, available):
    reading = memory_reading(figures(total, available))

    if reading.used_bytes is not None:
        assert 0 <= reading.used_bytes <= reading.total_bytes


@pytest.mark.parametrize(
    ("meminfo", "counted"),
    [
        (b"MemTotal: 2 kB\nMemFree: 1 kB\nMemAvailable: 1 kB\nCached: 1 kB\n", True),
        (b"MemTotal: 2 kB\nMemFree: 1 kB\nCached: 1 kB\n", False),
        (b"NoMemAvailable: 1 kB\n", False),
        (b"", False),
    ],
)
def test_an_estimate_is_not_taken_for_the_kernels_figure(meminfo, counted):
    assert counts_available(meminfo) is counted


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(2, "No such file or directory", "/proc/meminfo"),
        RuntimeError("no figures"),
        KeyError(b"MemTotal:"),
        IndexError("list index out of range"),
        ValueError("invalid literal for int() with base 10: b'x'"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_psutil_cannot_read_is_unavailable(error):
    def read():
        raise error

    with pytest.raises(ReadingUnavailable) as unavailable:
        MemoryCollector(MemoryConfig(), read=read).collect()

    assert unavailable.value.__cause__ is error
    assert repr(error) in unavailable.value.reason
    assert "mount /proc" in unavailable.value.hint


def test_a_machine_without_proc_is_told_what_to_do(tmp_path):
    collector = MemoryCollector(MemoryConfig(), meminfo_file=tmp_path / "meminfo")

    with pytest.raises(NotPresent) as absent:
        collector.probe()
    assert absent.value.hint == "mount /proc"


def test_the_figures_are_those_of_the_kernel():
    collector = MemoryCollector(MemoryConfig())
    collector.probe()

    [reading] = collector.collect()
    kernel = kernel_figures()
    assert read_memory().total_bytes == reading.total_bytes == kernel["MemTotal"]
    assert reading.used_bytes == pytest.approx(
        kernel["MemTotal"] - kernel["MemAvailable"], abs=256 * 2**20
    )
