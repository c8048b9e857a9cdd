from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import PermanentError, TransientError
from agent.model.accelerator import AcceleratorProcess, AcceleratorReading
from agent.model.workloads import (
    Container,
    ContainerSpec,
    ContainerState,
    ContainerUsage,
    ServiceUsage,
)
from agent.workloads.usage import Measurement, service_usage
from agent.workloads.usages import ServiceUsages
from runtimes.fake.runtime import FakeRuntime
from tests.agent.workloads.reconciler_bench import HandClock, view_of

STARTED = datetime(2026, 1, 1, tzinfo=timezone.utc)
NODE = view_of(2)


def container(number: int = 0, *, chips: str = "", restarts: int = 0) -> Container:
    labels = {"computility-agent.service": "s", "computility-agent.replica": str(number)}
    if chips:
        labels["computility-agent.accelerators"] = chips
    return Container(
        container_id=f"c{number}",
        name=f"n{number}",
        image="i",
        labels=labels,
        state=ContainerState.RUNNING,
        restarts=restarts,
        started_at=STARTED.replace(second=restarts),
    )


def measured(at: float = 0.0, *, of: Container | None = None, **values: object) -> Measurement:
    usage = replace(
        ContainerUsage(cpu_seconds=0.0, memory_used_bytes=100, process_ids=(1,)), **values
    )
    return Measurement(container=of or container(), usage=usage, monotonic_seconds=at)


def read(*processes: AcceleratorProcess, uuid: str = "chip-0") -> AcceleratorReading:
    return AcceleratorReading(uuid=uuid, processes=processes)


def used(
    *now: Measurement,
    earlier: tuple[Measurement, ...] = (),
    readings: tuple[AcceleratorReading, ...] = (),
) -> ServiceUsage:
    return service_usage(now, earlier=earlier, view=view_of(2, readings=readings))


def test_cpu_is_what_was_used_between_two_measurements_summed_over_replicas():
    first = (measured(10.0, cpu_seconds=5.0), measured(10.0, of=container(1), cpu_seconds=1.0))
    second = (measured(20.0, cpu_seconds=20.0), measured(20.0, of=container(1), cpu_seconds=6.0))

    assert used(*second, earlier=first).cpu_ratio == pytest.approx(2.0)


def test_cpu_is_unknown_at_the_first_measurement():
    found = used(measured(cpu_seconds=5.0))

    assert found.cpu_ratio is None
    assert "only once" in found.unknown["cpu_ratio"]


@pytest.mark.parametrize(
    ("restarts", "cpu_seconds"),
    [(1, 50.0), (0, 1.0)],
    ids=["another start", "a counter that went back"],
)
def test_a_restart_never_makes_a_false_figure(restarts: int, cpu_seconds: float):
    earlier = measured(10.0, cpu_seconds=5.0)
    now = measured(20.0, of=container(restarts=restarts), cpu_seconds=cpu_seconds)

    assert used(now, earlier=(earlier,)).cpu_ratio is None


def test_a_sum_with_an_unknown_part_is_unknown_with_its_reason():
    blind = measured(
        of=container(1), memory_used_bytes=None, unknown={"memory_used_bytes": "no cgroup"}
    )

    found = used(measured(), blind)

    assert found.memory_used_bytes is None
    assert found.unknown["memory_used_bytes"] == "no cgroup"
    assert used(measured(), measured(of=container(1))).memory_used_bytes == 200


def test_a_service_without_chips_has_no_accelerator_figures():
    found = used(measured())

    assert found.accelerator_memory_total_bytes is None
    assert found.accelerator_memory_used_bytes is None
    assert found.accelerator_utilization_ratio is None
    assert found.unknown["accelerator_utilization_ratio"] == "no accelerator was given"


def test_only_its_own_processes_on_its_own_chips_count():
    reading = read(
        AcceleratorProcess(pid=1, memory_used_bytes=30, utilization_ratio=0.25),
        AcceleratorProcess(pid=9, memory_used_bytes=500, utilization_ratio=0.5),
    )
    elsewhere = read(
        AcceleratorProcess(pid=1, memory_used_bytes=7, utilization_ratio=0.5), uuid="chip-1"
    )

    found = used(measured(of=container(chips="acme:chip-0")), readings=(reading, elsewhere))

    assert found.accelerator_memory_total_bytes == 1000
    assert found.accelerator_memory_used_bytes == 30
    assert found.accelerator_utilization_ratio == pytest.approx(0.25)


def test_utilisation_is_the_mean_over_the_chips_of_all_replicas():
    both = (
        measured(of=container(chips="acme:chip-0")),
        measured(of=container(1, chips="acme:chip-1"), process_ids=(2,)),
    )
    readings = (
        read(AcceleratorProcess(pid=1, memory_used_bytes=1, utilization_ratio=0.8)),
        read(uuid="chip-1"),
    )

    found = used(*both, readings=readings)

    assert found.accelerator_utilization_ratio == pytest.approx(0.4)
    assert found.accelerator_memory_total_bytes == 2000
    assert [each.uuid for each in found.accelerators] == ["chip-0", "chip-1"]


def test_a_chip_shared_by_two_replicas_counts_once():
    both = (
        measured(of=container(chips="acme:chip-0")),
        measured(of=container(1, chips="acme:chip-0"), process_ids=(2,)),
    )
    reading = read(
        AcceleratorProcess(pid=1, memory_used_bytes=1, utilization_ratio=0.7),
        AcceleratorProcess(pid=2, memory_used_bytes=2, utilization_ratio=0.7),
    )

    found = used(*both, readings=(reading,))

    assert found.accelerator_memory_total_bytes == 1000
    assert found.accelerator_memory_used_bytes == 3
    assert found.accelerator_utilization_ratio == 1.0


def test_what_the_vendor_does_not_tell_is_unknown_and_not_zero():
    silent = AcceleratorReading(uuid="chip-0", unknown={"processes": "the tool does not tell"})

    found = used(measured(of=container(chips="acme:chip-0")), readings=(silent,))

    assert found.accelerator_utilization_ratio is None
    assert found.unknown["accelerator_utilization_ratio"] == "the tool does not tell"
    assert found.accelerator_memory_used_bytes is None
    assert found.accelerator_memory_total_bytes == 1000


def test_memory_stays_known_where_only_utilisation_of_processes_is_not_told():
    reading = read(AcceleratorProcess(pid=1, memory_used_bytes=30))

    found = used(measured(of=container(chips="acme:chip-0")), readings=(reading,))

    assert found.accelerator_memory_used_bytes == 30
    assert found.accelerator_utilization_ratio is None


def test_unknown_processes_of_a_container_make_the_chip_figures_unknown():
    blind = measured(
        of=container(chips="acme:chip-0"), process_ids=None, unknown={"process_ids": "no cgroup"}
    )

    found = used(blind, readings=(read(),))

    assert found.unknown["accelerator_memory_used_bytes"] == "no cgroup"


def test_a_chip_that_is_gone_makes_its_figures_unknown():
    found = used(measured(of=container(chips="acme:chip-7")))

    assert "chip-7" in found.unknown["accelerator_memory_total_bytes"]


_ratios = st.one_of(st.none(), st.floats(0, 1))


@given(
    st.lists(
        st.builds(
            ContainerUsage,
            cpu_seconds=st.one_of(st.none(), st.floats(0, 1e9)),
            memory_used_bytes=st.one_of(st.none(), st.integers(0, 2**50)),
            process_ids=st.one_of(st.none(), st.just((1, 2))),
        ),
        max_size=4,
    ),
    st.lists(st.builds(AcceleratorProcess, pid=st.integers(1, 3), utilization_ratio=_ratios)),
)
def test_every_figure_is_there_or_has_a_reason(
    usages: list[ContainerUsage], processes: list[AcceleratorProcess]
):
    found = used(
        *(
            Measurement(
                container=container(number, chips="acme:chip-0"),
                usage=usage,
                monotonic_seconds=1.0,
            )
            for number, usage in enumerate(usages)
        ),
        readings=(read(*processes),),
    )

    for name in (
        "cpu_ratio",
        "memory_used_bytes",
        "accelerator_memory_total_bytes",
        "accelerator_memory_used_bytes",
        "accelerator_utilization_ratio",
    ):
        assert (getattr(found, name) is None) == (name in found.unknown)
        assert found.unknown.get(name) != ""
    if found.accelerator_utilization_ratio is not None:
        assert 0 <= found.accelerator_utilization_ratio <= 1


# The sampler.


def sampler(runtime: FakeRuntime, clock: HandClock) -> ServiceUsages:
    return ServiceUsages(lambda: runtime, view=lambda: NODE, clock=clock, maximum_age_seconds=30.0)


def test_the_sampler_measures_what_runs_and_remembers_the_last_time():
    clock, runtime = HandClock(), FakeRuntime()
    usages = sampler(runtime, clock)
    spec = ContainerSpec(name="n0", image="i", labels={"computility-agent.service": "s"})
    running = replace(container(), container_id=runtime.leave_behind(spec))
    for seconds in (5.0, 10.0):
        clock.seconds += 10.0
        runtime.usages[running.container_id] = ContainerUsage(
            cpu_seconds=seconds, memory_used_bytes=1, process_ids=()
        )
        usages.measure((running,))

    assert usages.of("s").cpu_ratio == pytest.approx(0.5)
    assert "none of its containers" in usages.of("other").unknown["cpu_ratio"]
    clock.seconds += 31.0
    assert "31 s ago" in usages.of("s").unknown["memory_used_bytes"]


def test_an_engine_that_does_not_answer_is_asked_once_for_all_containers():
    clock, runtime = HandClock(), FakeRuntime()
    runtime.refusals["usage"] = TransientError("timed out")
    usages = sampler(runtime, clock)

    usages.measure(tuple(container(number) for number in range(5)))

    assert runtime.calls["usage"] == 1
    assert usages.of("s").unknown["memory_used_bytes"] == "timed out"


def test_a_container_that_is_gone_costs_no_other():
    clock, runtime = HandClock(), FakeRuntime()
    runtime.refusals["usage"] = PermanentError("it is gone")
    usages = sampler(runtime, clock)

    usages.measure(tuple(container(number) for number in range(3)))

    assert runtime.calls["usage"] == 3


def test_with_no_containers_nothing_is_asked():
    runtime = FakeRuntime()
    runtime.unreachable = "must not be asked"
    usages = sampler(runtime, HandClock())
    assert "not measured yet" in usages.of("s").unknown["cpu_ratio"]

    usages.measure(())

    assert runtime.calls == {}
