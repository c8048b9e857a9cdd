from __future__ import annotations

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import NotPresent, ReadingUnavailable
from collectors.system.memory import MemoryCollector, MemoryConfig, parse_meminfo


def test_used_is_what_programs_cannot_have_any_more():
    reading = parse_meminfo(
        "MemTotal:       16000 kB\nMemFree:  1000 kB\nMemAvailable:   12000 kB\nCached: 11000 kB\n"
    )

    assert (reading.total_bytes, reading.used_bytes) == (16000 * 1024, 4000 * 1024)
    assert reading.unknown == {}


@pytest.mark.parametrize(
    ("text", "unknown"),
    [
        ("", {"total_bytes", "used_bytes"}),
        ("MemAvailable: 1 kB\n", {"total_bytes", "used_bytes"}),
        ("MemTotal: 100 kB\nMemFree: 50 kB\n", {"used_bytes"}),
        ("MemTotal: 100 kB\nMemAvailable: 101 kB\n", {"used_bytes"}),
        ("MemTotal: 100 kB\nMemAvailable: -1 kB\n", {"used_bytes"}),
        ("MemTotal:\nMemAvailable:\n", {"total_bytes", "used_bytes"}),
    ],
)
def test_what_the_kernel_does_not_say_is_unknown(text, unknown):
    reading = parse_meminfo(text)

    assert set(reading.unknown) == unknown
    assert {name for name in ("total_bytes", "used_bytes") if getattr(reading, name) is None} == (
        unknown
    )


@given(st.text())
def test_any_text_gives_a_plausible_reading_or_none(text):
    reading = parse_meminfo(text)

    if reading.used_bytes is not None:
        assert 0 <= reading.used_bytes <= reading.total_bytes


def test_a_machine_without_proc_is_told_what_to_do(tmp_path):
    collector = MemoryCollector(MemoryConfig(), proc=tmp_path)

    with pytest.raises(NotPresent):
        collector.probe()
    with pytest.raises(ReadingUnavailable, match="meminfo"):
        collector.collect()


def test_this_machine_agrees_with_psutil():
    [reading] = MemoryCollector(MemoryConfig()).collect()
    other = psutil.virtual_memory()

    assert reading.total_bytes == other.total
    assert reading.used_bytes == pytest.approx(other.total - other.available, abs=256 * 2**20)
