from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model.workloads import (
    Container,
    ContainerHealth,
    ContainerState,
    DesiredService,
    Service,
    ServiceState,
    ServiceUsage,
)
from agent.workloads.service_state import Sighting, derive

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
HOUR_AGO = NOW - timedelta(hours=1)
RUNNING = Container(
    container_id="c",
    name="n",
    image="i",
    labels={"computility-agent.accelerators": "acme:a,acme:b"},
    state=ContainerState.RUNNING,
    started_at=HOUR_AGO,
)


def derived(sighting: Sighting, *, replicas: int = 1) -> Service:
    desired = DesiredService(
        service_id="s",
        package_id="p",
        generation="g",
        env=(),
        replicas=replicas,
        created_at=HOUR_AGO,
    )
    return derive(desired, sighting, now=NOW, usage=ServiceUsage())


def seen(*containers: Container | None, **more: object) -> Service:
    found = {("s", n): each for n, each in enumerate(containers) if each is not None}
    return derived(replace(Sighting(containers=found), **more), replicas=len(containers))


def changed(**values: object) -> Container:
    return replace(RUNNING, **values)


def test_a_service_runs_when_all_its_replicas_do():
    service = seen(RUNNING, changed(health=ContainerHealth.HEALTHY, health_output="fine"))

    assert service.state is ServiceState.RUNNING
    assert service.reason is None
    assert [each.uuid for each in service.replicas[0].accelerators] == ["a", "b"]


def test_it_is_initial_until_every_replica_was_started_once():
    service = seen(RUNNING, None, activities={("s", 1): "its image is being loaded"})

    assert service.state is ServiceState.INIT
    assert service.reason == "replica 1: its image is being loaded"


def test_a_health_check_that_has_not_passed_yet_is_part_of_the_start():
    assert seen(changed(health=ContainerHealth.STARTING)).state is ServiceState.INIT
    again = changed(health=ContainerHealth.STARTING, restarts=1)
    assert seen(again).state is ServiceState.ERROR
    assert seen(RUNNING, again).state is ServiceState.OVERLOAD


def test_it_is_overloaded_when_some_run_and_some_do_not():
    stopped = changed(state=ContainerState.EXITED, exit_code=3)

    service = seen(RUNNING, stopped)

    assert service.state is ServiceState.OVERLOAD
    assert "it ended with 3" in (service.reason or "")


def test_it_is_overloaded_when_its_own_health_check_says_so():
    busy = changed(health=ContainerHealth.HEALTHY, health_output="OVERLOAD: queue of 40")

    service = seen(RUNNING, busy)

    assert service.state is ServiceState.OVERLOAD
    assert "queue of 40" in (service.reason or "")


@pytest.mark.parametrize(
    ("container", "reason"),
    [
        (changed(state=ContainerState.RESTARTING, restarts=1, exit_code=127), "ended with 127"),
        (
            changed(restarts=3, started_at=NOW - timedelta(seconds=59), exit_code=1),
            "keeps ending (3 times)",
        ),
        (
            changed(state=ContainerState.EXITED, exit_code=137, was_killed_for_memory=True),
            "more memory than it may",
        ),
        (changed(state=ContainerState.EXITED, exit_code=1, error="no such file"), "no such file"),
        (changed(state=ContainerState.PAUSED), "it was paused"),
        (
            changed(health=ContainerHealth.UNHEALTHY, health_output="no\n camera\x1b[31m"),
            "health check fails: no camera",
        ),
    ],
)
def test_it_is_an_error_with_its_reason_when_none_can_run(container: Container, reason: str):
    service = seen(container)

    assert service.state is ServiceState.ERROR
    assert reason in (service.reason or "")
    assert (service.reason or "").isprintable()


def test_restarts_long_ago_are_no_crash_loop():
    assert seen(changed(restarts=7)).state is ServiceState.RUNNING
    young = changed(restarts=2, started_at=NOW)
    assert seen(young).state is ServiceState.RUNNING


def test_a_failed_attempt_is_an_error_with_its_reason():
    service = seen(None, failures={("s", 0): "no such runtime"})

    assert service.state is ServiceState.ERROR
    assert service.reason == "no such runtime"


def test_a_container_that_is_gone_is_no_new_beginning():
    service = seen(None, started=frozenset({("s", 0)}))

    assert service.state is ServiceState.ERROR
    assert "is gone" in (service.reason or "")


def test_what_cannot_be_asked_is_unspecified():
    service = derived(
        Sighting(containers={("s", 0): RUNNING}, unreachable="no such socket"), replicas=2
    )

    assert service.state is ServiceState.UNSPECIFIED
    assert "no such socket" in (service.reason or "")
    assert [each.container_id for each in service.replicas] == [None, None]


def test_one_reason_of_many_replicas_is_said_once():
    failures = {("s", 0): "no chip", ("s", 1): "no chip", ("s", 2): "no licence"}

    service = seen(None, None, None, failures=failures)

    assert service.reason == "replica 0, 1: no chip; replica 2: no licence"


_texts = st.one_of(st.none(), st.text(max_size=400))
_containers = st.builds(
    Container,
    container_id=st.just("c"),
    name=st.just("n"),
    image=st.just("i"),
    labels=st.just({}),
    state=st.sampled_from(ContainerState),
    health=st.sampled_from(ContainerHealth),
    health_output=_texts,
    restarts=st.integers(0, 9),
    exit_code=st.one_of(st.none(), st.integers(0, 255)),
    error=_texts,
    started_at=st.one_of(st.none(), st.just(NOW), st.just(HOUR_AGO)),
)


@given(st.lists(st.one_of(st.none(), _containers), min_size=1, max_size=4))
def test_whatever_is_seen_a_service_that_does_not_run_says_why(found: list[Container | None]):
    service = seen(*found)

    assert (service.reason is None) == (service.state is ServiceState.RUNNING)
    assert len(service.reason or "") <= 300
    assert len(service.replicas) == len(found)
    if service.state is ServiceState.RUNNING:
        assert all(each is not None and each.state is ContainerState.RUNNING for each in found)
