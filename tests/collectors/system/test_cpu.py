from __future__ import annotations

import os
from contextlib import suppress

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import NotPresent, ReadingUnavailable
from collectors.system.cpu import (
    CpuCollector,
    CpuConfig,
    CpuTimes,
    parse_stat,
    utilization_ratio,
)

FOUR_CORES = """\
cpu  1000 20 300 5000 60 7 8 9 100 2
cpu0 250 5 75 1250 15 1 2 2 25 0
cpu1 250 5 75 1250 15 2 2 2 25 1
cpu3 250 5 75 1250 15 2 2 2 25 0
cpu5 250 5 75 1250 15 2 2 3 25 1
intr 123 0 0
cpufreq of no meaning here
"""

ticks = st.integers(min_value=0, max_value=2**63)
times = st.builds(
    CpuTimes, busy_ticks=ticks, idle_ticks=ticks, waiting_ticks=ticks, logical_cores=st.just(4)
)


@pytest.fixture
def proc(tmp_path):
    (tmp_path / "stat").write_text(FOUR_CORES)
    return tmp_path


def cpu_line(*, user, idle, waiting=0):
    return f"cpu  {user} 0 0 {idle} {waiting} 0 0 0 0 0\ncpu0 0\n"


def test_the_first_sample_has_nothing_to_be_compared_with(proc):
    [reading] = CpuCollector(CpuConfig(), proc=proc).collect()

    assert reading.logical_cores == 4
    assert reading.utilization_ratio is None
    assert reading.unknown == {"utilization_ratio": "needs two samples"}


def test_guest_time_is_not_counted_twice():
    parsed = parse_stat(FOUR_CORES)

    assert parsed.busy_ticks == 1000 + 20 + 300 + 7 + 8 + 9
    assert (parsed.idle_ticks, parsed.waiting_ticks) == (5000, 60)


def test_the_share_is_that_of_the_interval_and_not_since_boot(proc):
    collector = CpuCollector(CpuConfig(), proc=proc)
    for text, expected in (
        (cpu_line(user=900, idle=100), None),
        (cpu_line(user=925, idle=175), 0.25),
        (cpu_line(user=1025, idle=175), 1.0),
        (cpu_line(user=1025, idle=275), 0.0),
        # Waiting for a disk is idle time.
        (cpu_line(user=1075, idle=275, waiting=50), 0.5),
    ):
        (proc / "stat").write_text(text)
        [reading] = collector.collect()
        assert reading.utilization_ratio == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (cpu_line(user=100, idle=100), "no CPU time passed"),
        (cpu_line(user=99, idle=200), "went back"),
        (cpu_line(user=200, idle=99), "went back"),
    ],
)
def test_an_interval_without_meaning_is_unknown_and_the_next_one_counts(proc, text, reason):
    collector = CpuCollector(CpuConfig(), proc=proc)
    (proc / "stat").write_text(cpu_line(user=100, idle=100))
    collector.collect()
    (proc / "stat").write_text(text)
    [odd] = collector.collect()
    (proc / "stat").write_text(cpu_line(user=1000, idle=1000))
    [good] = collector.collect()

    assert odd.utilization_ratio is None
    assert reason in odd.unknown["utilization_ratio"]
    assert 0 < good.utilization_ratio < 1


def test_a_falling_iowait_is_normal_life():
    before = CpuTimes(busy_ticks=0, idle_ticks=0, waiting_ticks=50, logical_cores=1)
    now = CpuTimes(busy_ticks=10, idle_ticks=30, waiting_ticks=45, logical_cores=1)

    assert utilization_ratio(before, now) == 0.25


@given(times, times)
def test_the_ratio_is_between_0_and_1_or_unknown(before, now):
    with suppress(ReadingUnavailable):
        assert 0 <= utilization_ratio(before, now) <= 1


@given(st.text())
def test_any_text_is_read_or_refused(text):
    with suppress(ReadingUnavailable):
        assert parse_stat(text).logical_cores >= 0


def test_a_machine_without_proc_is_told_what_to_do(tmp_path):
    collector = CpuCollector(CpuConfig(), proc=tmp_path / "nowhere")

    with pytest.raises(NotPresent) as absent:
        collector.probe()
    with pytest.raises(ReadingUnavailable) as unavailable:
        collector.collect()
    assert absent.value.hint == unavailable.value.hint == "mount /proc"


def test_this_machine_agrees_with_psutil():
    collector = CpuCollector(CpuConfig())
    collector.probe()

    collector.collect()
    before = psutil.cpu_times()
    # Work until the kernel's coarse counters have moved.
    while sum(psutil.cpu_times()) - sum(before) < 0.3:
        os.urandom(1 << 16)
    [reading] = collector.collect()

    assert reading.logical_cores == psutil.cpu_count()
    assert reading.utilization_ratio > 0
