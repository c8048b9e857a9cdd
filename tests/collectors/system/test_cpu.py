from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import NotPresent, ReadingUnavailable
from collectors.system.cpu import (
    CpuCollector,
    CpuConfig,
    CpuTimes,
    cpu_times,
    read_cpu,
    utilization_ratio,
)

COUNTERS = {
    "user": 1000.0,
    "nice": 20.0,
    "system": 300.0,
    "idle": 5000.0,
    "iowait": 60.0,
    "irq": 7.0,
    "softirq": 8.0,
    "steal": 9.0,
    "guest": 100.0,
    "guest_nice": 2.0,
}

# The kernel counts ticks and psutil divides them: three years on a hundred CPUs are the most.
seconds = st.integers(min_value=0, max_value=2**40).map(lambda ticks: ticks / 100)
times = st.builds(
    CpuTimes,
    busy_seconds=seconds,
    idle_seconds=seconds,
    waiting_seconds=seconds,
    logical_cores=st.just(4),
)


def sample(*, busy=0.0, idle=0.0, waiting=0.0, logical_cores=4):
    return CpuTimes(
        busy_seconds=busy, idle_seconds=idle, waiting_seconds=waiting, logical_cores=logical_cores
    )


def collector_of(*samples):
    return CpuCollector(CpuConfig(), read=iter(samples).__next__)


def kernel_figures():
    """Return busy and idle seconds and the number of CPUs, read from /proc/stat by hand."""
    every, *each = [
        line.split() for line in Path("/proc/stat").read_text().splitlines() if line[:3] == "cpu"
    ]
    user, nice, system, idle, _, interrupts, soft_interrupts, stolen = [
        int(field) / os.sysconf("SC_CLK_TCK") for field in every[1:9]
    ]
    return user + nice + system + interrupts + soft_interrupts + stolen, idle, len(each)


def test_the_first_sample_has_nothing_to_be_compared_with():
    [reading] = collector_of(sample(busy=1, idle=1)).collect()

    assert reading.logical_cores == 4
    assert reading.utilization_ratio is None
    assert reading.unknown == {"utilization_ratio": "needs two samples"}


def test_after_closing_the_next_sample_is_the_first_again():
    collector = collector_of(sample(), sample(busy=1, idle=1))
    collector.collect()
    collector.close()

    [reading] = collector.collect()
    assert reading.unknown == {"utilization_ratio": "needs two samples"}


def test_guest_time_is_not_counted_twice():
    assert cpu_times(COUNTERS, logical_cores=2) == CpuTimes(
        busy_seconds=1000 + 20 + 300 + 7 + 8 + 9,
        idle_seconds=5000,
        waiting_seconds=60,
        logical_cores=2,
    )


def test_the_share_is_that_of_the_interval_and_not_since_boot():
    collector = collector_of(
        sample(busy=900, idle=100),
        sample(busy=925, idle=175),
        sample(busy=1025, idle=175),
        sample(busy=1025, idle=275),
        # Waiting for a disk is idle time.
        sample(busy=1075, idle=275, waiting=50),
    )

    shares = [reading.utilization_ratio for _ in range(5) for reading in collector.collect()]
    assert shares == [None, 0.25, 1.0, 0.0, 0.5]


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        (sample(busy=100, idle=100), "no CPU time passed"),
        (sample(busy=99.99, idle=200), "went back"),
        (sample(busy=200, idle=99.99), "went back"),
    ],
)
def test_an_interval_without_meaning_is_unknown_and_the_next_one_counts(odd, reason):
    collector = collector_of(sample(busy=100, idle=100), odd, sample(busy=1000, idle=1000))
    collector.collect()
    [without] = collector.collect()
    [good] = collector.collect()

    assert without.utilization_ratio is None
    assert reason in without.unknown["utilization_ratio"]
    assert 0 < good.utilization_ratio < 1


def test_a_falling_iowait_is_normal_life():
    assert utilization_ratio(sample(waiting=50), sample(busy=10, idle=30, waiting=45)) == 0.25


def test_the_rounding_of_sums_is_no_counter_that_went_back():
    # 0.3 is less than 0.1 + 0.2 by the last bit: the same time, summed in another order.
    before, now = sample(busy=0.1 + 0.2), sample(busy=0.3, idle=1.0)

    ratio = utilization_ratio(before, now)
    assert str(ratio) == "0.0"
    with pytest.raises(ReadingUnavailable, match="no CPU time passed"):
        utilization_ratio(sample(busy=0.3), sample(busy=0.1 + 0.2))


@given(times, times)
def test_the_ratio_is_between_0_and_1_or_unknown(before, now):
    with suppress(ReadingUnavailable):
        assert 0 <= utilization_ratio(before, now) <= 1


@given(times, seconds, seconds, st.floats(min_value=-1e-7, max_value=1e-7))
def test_an_interval_is_the_share_that_was_added(before, busy, idle, noise):
    now = sample(
        busy=before.busy_seconds + busy + noise,
        idle=before.idle_seconds + idle,
        waiting=before.waiting_seconds,
    )

    if busy + idle == 0:
        with pytest.raises(ReadingUnavailable, match="no CPU time passed"):
            utilization_ratio(before, now)
    else:
        # The sums' own rounding counts for most in an interval of one tick.
        expected = pytest.approx(busy / (busy + idle), abs=1e-3)
        assert utilization_ratio(before, now) == expected


def test_a_system_that_hides_how_many_cpus_it_has_still_has_a_load():
    collector = collector_of(sample(logical_cores=None), sample(busy=1, idle=1, logical_cores=None))
    collector.collect()
    [reading] = collector.collect()

    assert reading.logical_cores is None
    assert reading.unknown.keys() == {"logical_cores"}
    assert reading.utilization_ratio == 0.5


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(2, "No such file or directory", "/proc/stat"),
        RuntimeError("no counters"),
        KeyError("steal"),
        TypeError("'scputimes' object is not callable"),
        ValueError("could not convert string to float: b'x'"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_psutil_cannot_read_is_unavailable_and_costs_no_later_sample(error):
    answers = iter([sample(), error, sample(busy=1, idle=3)])

    def read():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    collector = CpuCollector(CpuConfig(), read=read)
    collector.collect()
    with pytest.raises(ReadingUnavailable) as unavailable:
        collector.collect()
    [good] = collector.collect()

    assert unavailable.value.__cause__ is error
    assert repr(error) in unavailable.value.reason
    assert "mount /proc" in unavailable.value.hint
    assert good.utilization_ratio == 0.25


def test_a_counter_that_is_missing_is_no_zero():
    fewer = {name: value for name, value in COUNTERS.items() if name != "steal"}

    with pytest.raises(KeyError, match="steal"):
        cpu_times(fewer, logical_cores=1)


def test_a_machine_without_proc_is_told_what_to_do(tmp_path):
    collector = CpuCollector(CpuConfig(), stat_file=tmp_path / "stat")

    with pytest.raises(NotPresent) as absent:
        collector.probe()
    assert absent.value.hint == "mount /proc"


def test_the_counters_are_those_of_the_kernel():
    busy_before, idle_before, logical_cores = kernel_figures()
    now = read_cpu()
    busy_after, idle_after, _ = kernel_figures()

    assert busy_before <= now.busy_seconds + 1e-6
    assert now.busy_seconds <= busy_after + 1e-6
    assert idle_before <= now.idle_seconds + 1e-6
    assert now.idle_seconds <= idle_after + 1e-6
    assert now.logical_cores == logical_cores


def test_work_is_seen_on_this_machine():
    collector = CpuCollector(CpuConfig())
    collector.probe()

    collector.collect()
    busy_before, _, _ = kernel_figures()
    # Work until the kernel's coarse counters have moved.
    while kernel_figures()[0] - busy_before < 0.1:
        os.urandom(1 << 16)
    [reading] = collector.collect()

    assert 0 < reading.utilization_ratio <= 1
    assert reading.unknown == {}
