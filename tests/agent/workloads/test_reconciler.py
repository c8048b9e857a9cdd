"""What the reconciler does to an engine in memory, one look at a time."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from agent.errors import PermanentError, TransientError
from agent.model.workloads import ContainerHealth, ContainerSpec, ContainerState, ServiceState
from agent.workloads import labels
from tests.agent.workloads.reconciler_bench import UNREACHABLE, Bench, Disk


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_loaded_service_gets_its_image_and_its_replicas(bench: Bench):
    service_id = bench.load(replicas=2)

    bench.settle()

    assert set(bench.running()) == {(service_id, 0), (service_id, 1)}
    assert bench.service(service_id).state is ServiceState.RUNNING
    assert len(bench.opened) == 1  # one image for both


def test_with_nothing_desired_the_runtime_is_not_even_built(bench: Bench):
    bench.push()

    assert bench.reconciler.reconcile() is None
    bench.reconciler.measure()

    assert bench.runtime_calls == 0


def test_after_the_last_service_is_gone_it_does_not_wake_by_itself(bench: Bench):
    service_id = bench.load()
    bench.settle()
    bench.unload(service_id)
    bench.settle()
    calls = bench.runtime_calls

    assert bench.reconciler.reconcile() is None
    assert bench.runtime_calls == calls
    assert bench.runtime.all_containers() == []


def test_a_new_agent_finds_its_containers_and_leaves_them(bench: Bench):
    bench.load(replicas=3)
    bench.settle()
    before = bench.running()
    starts = bench.runtime.calls["start"]

    bench.kill_agent()
    bench.settle()

    assert bench.running() == before
    assert bench.runtime.calls["start"] == starts
    assert "recover" not in bench.runtime.calls


def test_a_service_unloaded_while_the_agent_was_away_is_removed(bench: Bench):
    service_id = bench.load()
    bench.settle()
    bench.unload(service_id)
    bench.kill_agent()

    bench.settle()

    assert bench.runtime.all_containers() == []


def test_a_container_that_was_removed_by_hand_is_made_again(bench: Bench):
    service_id = bench.load(replicas=2)
    bench.settle()
    before = bench.running()
    bench.runtime.remove_by_hand(before[service_id, 1])

    bench.look()
    assert bench.service(service_id).state is ServiceState.OVERLOAD
    bench.settle()

    after = bench.running()
    assert after[service_id, 0] == before[service_id, 0]
    assert after[service_id, 1] != before[service_id, 1]


@pytest.mark.parametrize("harm", ["stop_by_hand", "pause_by_hand"])
def test_a_container_that_does_not_run_is_started_as_it_is(bench: Bench, harm: str):
    service_id = bench.load()
    bench.settle()
    before = bench.running()

    getattr(bench.runtime, harm)(before[service_id, 0])
    bench.settle()

    assert bench.running() == before


def test_a_container_that_was_made_and_never_started_is_started(bench: Bench):
    service_id = bench.load()
    package = bench.disk.packages["p"]
    assert package.image is not None
    left = bench.runtime.leave_behind(
        ContainerSpec(
            name=labels.container_name(service_id, replica=0),
            image=package.image,
            labels={
                labels.SERVICE: service_id,
                labels.REPLICA: "0",
                labels.AGENT: bench.disk.instance,
            },
        )
    )

    bench.settle()

    assert bench.running() == {(service_id, 0): left}


def test_a_dead_container_is_replaced(bench: Bench):
    service_id = bench.load()
    bench.settle()
    before = bench.running()[service_id, 0]

    bench.runtime.break_container(before)
    bench.settle()

    assert bench.running()[service_id, 0] != before


def test_a_container_that_the_engine_refuses_again_and_again_is_replaced(bench: Bench):
    service_id = bench.load()
    bench.settle()
    broken = bench.running()[service_id, 0]
    bench.runtime.stop_by_hand(broken)
    bench.runtime.refusals["recover"] = TransientError("id already in use")
    # Once or twice may be bad luck.
    for _ in range(2):
        bench.clock.seconds += 10.0
        bench.look()
        bench.look()
    assert bench.runtime.calls["recover"] == 2
    assert bench.runtime.inspect_always(broken)

    bench.settle()

    assert bench.runtime.calls["recover"] == 3
    assert bench.running()[service_id, 0] != broken


def test_a_container_that_cannot_be_recovered_is_replaced(bench: Bench):
    service_id = bench.load()
    bench.settle()
    before = bench.running()[service_id, 0]
    bench.runtime.stop_by_hand(before)
    bench.runtime.refusals["recover"] = PermanentError("its network is gone")

    bench.settle()

    assert bench.running()[service_id, 0] != before


def test_of_two_containers_of_a_replica_the_one_that_runs_stays(bench: Bench):
    bench.load()
    bench.settle()
    (running,) = bench.runtime.all_containers()
    bench.runtime.leave_behind(
        ContainerSpec(name="renamed", image=running.image, labels=running.labels)
    )

    bench.settle()

    assert [each.container_id for each in bench.runtime.all_containers()] == [running.container_id]


def test_a_pruned_image_is_loaded_again(bench: Bench):
    service_id = bench.load()
    bench.settle()
    bench.runtime.remove_by_hand(bench.running()[service_id, 0])
    bench.runtime.prune_images()

    bench.settle()

    assert (service_id, 0) in bench.running()
    assert len(bench.opened) == 2


def test_an_engine_that_lost_everything_gets_everything_again(bench: Bench):
    bench.load(replicas=2)
    bench.settle()

    bench.runtime.wipe()
    bench.settle()

    assert set(bench.running()) == bench.wanted()


def test_while_the_engine_is_away_services_are_unspecified_and_it_is_asked_with_backoff(
    bench: Bench, caplog: pytest.LogCaptureFixture
):
    service_id = bench.load()
    bench.settle()
    bench.runtime.kill_engine()

    waits = [bench.look() for _ in range(10)]

    assert bench.service(service_id).state is ServiceState.UNSPECIFIED
    assert "the engine is not there" in (bench.service(service_id).reason or "")
    assert waits[0] is not None
    assert waits[0] <= 1.0
    assert all(wait is not None and 0 < wait <= 15.0 for wait in waits)
    assert sum("runtime_unreachable" in each.message for each in caplog.records) == 1
    bench.runtime.start_engine()
    bench.settle()
    assert bench.service(service_id).state is ServiceState.RUNNING
    bench.runtime.kill_engine()
    again = bench.look()
    assert again is not None
    assert again <= 1.0


def test_two_agents_leave_each_others_containers_alone():
    first = Bench()
    disk = Disk()
    disk.instance = "fedcba9876543210"
    second = Bench(runtime=first.runtime, disk=disk, clock=first.clock)
    first.load()
    gone = second.load()
    first.settle()
    second.settle()

    second.unload(gone)
    first.settle()
    kept = first.running()
    assert [each.labels[labels.SERVICE] for each in first.reconciler.orphans()] == [gone]
    second.settle()

    assert first.running() == kept
    assert second.running() == {}


def test_a_service_that_is_unloaded_while_it_starts_leaves_nothing(bench: Bench):
    service_id = bench.load()
    bench.look()  # finds that the image is missing
    bench.reconciler.reconcile()  # begins to load it
    bench.threads.run_all()
    bench.clock.seconds += 1.0
    bench.reconciler.reconcile()  # begins the start
    (start,) = bench.threads.waiting
    bench.threads.waiting.clear()
    bench.unload(service_id)
    bench.look()

    start()
    bench.settle()

    assert bench.runtime.all_containers() == []


def test_a_service_that_is_unloaded_in_the_middle_of_its_start_leaves_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
):
    service_id = bench.load()
    has_image = bench.runtime.has_image

    def unload_meanwhile(reference: str) -> bool:
        if has_image(reference):
            bench.unload(service_id)
            bench.reconciler.reconcile()  # sees no container yet
            return True
        return False

    monkeypatch.setattr(bench.runtime, "has_image", unload_meanwhile)

    bench.settle()

    assert bench.runtime.calls["start"] == 1
    assert bench.runtime.all_containers() == []


def test_a_service_that_is_unloaded_while_its_image_loads_starts_nothing(bench: Bench):
    service_id = bench.load()
    bench.look()
    bench.reconciler.reconcile()
    bench.unload(service_id)

    bench.threads.run_all()
    bench.settle()

    assert bench.opened == []
    assert bench.runtime.all_containers() == []


def test_the_licence_is_fetched_before_the_start_and_removed_with_the_service(bench: Bench):
    service_id = bench.load(licence_url="http://licences/1")

    bench.settle()
    assert (service_id, 0) in bench.running()
    assert set(bench.disk.licences) == {service_id}

    bench.unload(service_id)
    bench.settle()
    assert bench.disk.licences == {}


def test_a_licence_that_cannot_be_fetched_delays_nobody_else(bench: Bench):
    bench.disk.licence_error = UNREACHABLE
    waiting = bench.load(licence_url="http://licences/1")
    other = bench.load()

    bench.settle()

    assert set(bench.running()) == {(other, 0)}
    assert bench.service(waiting).state is ServiceState.ERROR
    assert "does not answer" in (bench.service(waiting).reason or "")
    bench.disk.licence_error = None
    bench.settle()
    assert (waiting, 0) in bench.running()


def test_a_refused_start_is_an_error_with_its_reason_and_is_tried_with_backoff(bench: Bench):
    bench.runtime.refusals["start"] = PermanentError("no runtime called nvidia")
    service_id = bench.load()

    bench.settle(seconds=100.0)

    starts = bench.runtime.calls["start"]
    assert 6 <= starts <= 9  # 1 + 2 + 4 + 8 + 16 + 32 seconds, a fifth less at most
    assert bench.service(service_id).state is ServiceState.ERROR
    assert "no runtime called nvidia" in (bench.service(service_id).reason or "")
    del bench.runtime.refusals["start"]
    bench.settle()
    assert bench.service(service_id).state is ServiceState.RUNNING
    assert bench.service(service_id).reason is None


def test_a_replica_that_ends_at_once_is_not_started_without_a_pause(bench: Bench):
    bench.runtime.starts_and_dies = True
    service_id = bench.load()

    bench.settle(seconds=100.0)

    assert bench.runtime.calls["recover"] <= 9
    assert bench.service(service_id).state is ServiceState.ERROR
    assert "it ended with 1" in (bench.service(service_id).reason or "")


def test_replicas_spread_over_the_chips_even_when_they_start_at_once():
    bench = Bench(chips=4)
    bench.load(replicas=3, accelerators=1)
    bench.load(replicas=1, accelerators=1)

    bench.settle()

    given = Counter(
        each.uuid
        for container in bench.runtime.all_containers()
        for each in labels.accelerators_of(container.labels)
    )
    assert given == {f"chip-{index}": 1 for index in range(4)}


def test_a_chip_is_taken_from_the_moment_that_it_was_chosen():
    bench = Bench(chips=3)
    bench.load("p", accelerators=1)
    bench.settle()
    bench.load("p", accelerators=1)
    bench.reconciler.reconcile()  # chooses, and the start is still on its way
    bench.load("p", accelerators=1)
    bench.reconciler.reconcile()
    bench.settle()

    given = Counter(
        each.uuid
        for container in bench.runtime.all_containers()
        for each in labels.accelerators_of(container.labels)
    )
    assert sorted(given.values()) == [1, 1, 1]


def test_a_licence_that_was_removed_by_hand_is_fetched_again(bench: Bench, tmp_path: Path):
    service_id = bench.load(licence_url="http://licences/1")
    licence = tmp_path / "licence"
    bench.disk.licences[service_id] = licence  # the folder of it was emptied
    bench.look()

    bench.settle(seconds=10.0)
    assert bench.running() == {}
    del bench.disk.licences[service_id]  # the next fetch puts it elsewhere
    bench.settle()

    assert (service_id, 0) in bench.running()


def test_an_old_failure_is_not_the_reason_of_a_new_end(bench: Bench):
    service_id = bench.load()
    bench.settle()
    container_id = bench.running()[service_id, 0]
    bench.runtime.refusals["recover"] = TransientError("too busy")
    bench.runtime.stop_by_hand(container_id)
    bench.look()
    bench.look()
    assert "too busy" in (bench.service(service_id).reason or "")
    seen = bench.runtime.inspect_always(container_id)
    bench.runtime.start(  # an operator does
        ContainerSpec(name=seen.name, image=seen.image, labels=seen.labels)
    )
    bench.look()

    bench.runtime.stop_by_hand(container_id, exit_code=9)
    bench.look()

    assert bench.service(service_id).reason == "it ended with 9; it is being started"


def test_a_service_waits_for_chips_and_gets_them_soon_after_they_appear():
    bench = Bench()
    service_id = bench.load(accelerators=1)
    bench.settle(seconds=60.0)
    assert bench.service(service_id).state is ServiceState.ERROR
    wait_seconds = bench.look()
    assert wait_seconds is not None
    assert wait_seconds <= 5.0
    bench.view = Bench(chips=1).view

    bench.settle(seconds=6.0)

    assert (service_id, 0) in bench.running()


def test_the_image_of_a_replaced_package_is_removed(bench: Bench):
    service_id = bench.load()
    bench.settle()
    (old,) = bench.runtime.images
    bench.unload(service_id)
    bench.settle()
    assert bench.runtime.images == {old}  # the package is still here

    bench.push()
    bench.settle()

    assert bench.runtime.images == set()
    assert bench.disk.images == set()


def test_an_image_is_removed_even_if_the_agent_was_killed_in_between(bench: Bench):
    service_id = bench.load()
    bench.settle()
    bench.unload(service_id)
    bench.settle()
    del bench.disk.packages["p"]
    bench.kill_agent()

    bench.settle()

    assert bench.runtime.images == set()


def test_an_image_that_cannot_be_removed_is_tried_with_backoff(bench: Bench):
    service_id = bench.load()
    bench.settle()
    bench.unload(service_id)
    del bench.disk.packages["p"]
    bench.runtime.refusals["remove_image"] = PermanentError("it is in use")

    bench.settle(seconds=100.0)

    assert 4 <= bench.runtime.calls["remove_image"] <= 9


def test_a_container_that_cannot_be_removed_is_tried_with_backoff(bench: Bench):
    service_id = bench.load()
    bench.settle()
    bench.unload(service_id)
    del bench.disk.packages["p"]
    bench.runtime.refusals["stop"] = TransientError("it does not end")

    bench.settle(seconds=100.0)
    assert 4 <= bench.runtime.calls["stop"] <= 9
    assert "remove_image" not in bench.runtime.calls  # it is in use

    del bench.runtime.refusals["stop"]
    bench.settle()
    assert bench.runtime.all_containers() == []


def test_a_service_of_another_generation_says_so(bench: Bench):
    service_id = bench.load()
    bench.push()

    bench.settle()

    assert bench.service(service_id).state is ServiceState.ERROR
    assert bench.running() == {}


def test_health_is_shown_and_an_unhealthy_container_is_left_running(bench: Bench):
    service_id = bench.load()
    bench.settle()
    before = bench.running()
    bench.runtime.set_health(before[service_id, 0], ContainerHealth.UNHEALTHY, output="no camera")

    bench.settle()

    assert bench.service(service_id).state is ServiceState.ERROR
    assert "no camera" in (bench.service(service_id).reason or "")
    assert bench.running() == before


def test_a_service_shows_at_once_and_before_it_was_looked_at(bench: Bench):
    bench.reconciler.reconcile()
    service_id = bench.load()

    assert bench.service(service_id).state is ServiceState.INIT


def test_images_that_fail_are_an_error_with_the_reason(bench: Bench):
    bench.runtime.refusals["load_image"] = PermanentError("invalid tar header")
    service_id = bench.load()

    bench.settle()

    assert bench.service(service_id).state is ServiceState.ERROR
    assert "invalid tar header" in (bench.service(service_id).reason or "")


def test_containers_of_others_are_never_touched(bench: Bench):
    spec = ContainerSpec(name="database", image="postgres", labels={})
    foreign = bench.runtime.leave_behind(spec)
    service_id = bench.load()
    bench.settle()
    bench.unload(service_id)
    bench.settle()

    (left,) = bench.runtime.all_containers()
    assert left.container_id == foreign
    assert left.state is ContainerState.CREATED
