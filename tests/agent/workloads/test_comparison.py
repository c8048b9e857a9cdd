from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone

from hypothesis import given
from hypothesis import strategies as st

from agent.model.workloads import Container, ContainerState, DesiredService
from agent.workloads.comparison import Comparison, compare

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)


def service(name: str = "s", *, replicas: int = 1) -> DesiredService:
    return DesiredService(
        service_id=name,
        package_id="p",
        generation="g",
        env=(),
        replicas=replicas,
        created_at=NOW,
    )


def container(
    container_id: str = "c",
    *,
    of: str | None = "s",
    replica: str | None = "0",
    agent: str = "me",
    state: ContainerState = ContainerState.RUNNING,
    second: int | None = 0,
) -> Container:
    labels = {"computility-agent.agent": agent}
    if of is not None:
        labels["computility-agent.service"] = of
    if replica is not None:
        labels["computility-agent.replica"] = replica
    return Container(
        container_id=container_id,
        name=container_id,
        image="i",
        labels=labels,
        state=state,
        started_at=None if second is None else NOW.replace(second=second),
    )


def compared(
    *containers: Container, desired: Sequence[DesiredService] = (), lost: tuple[str, ...] = ()
) -> Comparison:
    return compare(desired=desired, containers=containers, agent="me", beyond_repair=lost)


def removed(comparison: Comparison) -> list[str]:
    return [step.container.container_id for step in comparison.removals]


def test_what_runs_and_is_wanted_is_left_alone():
    found = compared(container(), desired=[service()])

    assert (found.removals, found.recoveries, found.creations) == ((), (), ())
    assert found.containers[("s", 0)].container_id == "c"


def test_what_the_engine_starts_again_by_itself_is_left_to_it():
    restarting = container(state=ContainerState.RESTARTING)

    assert compared(restarting, desired=[service()]).recoveries == ()


def test_missing_replicas_are_created():
    found = compared(container(), desired=[service(replicas=3), service("t")])

    assert [step.replica for step in found.creations] == [("s", 1), ("s", 2), ("t", 0)]


def test_a_container_of_a_service_that_is_not_desired_goes():
    assert removed(compared(container())) == ["c"]


def test_a_replica_that_the_service_does_not_have_goes():
    assert removed(compared(container(replica="1"), desired=[service()])) == ["c"]
    assert removed(compared(container(replica="-1"), desired=[service()])) == ["c"]
    assert removed(compared(container(replica=None), desired=[service()])) == ["c"]


def test_another_agents_container_is_an_orphan_and_stays():
    found = compared(container(agent="you"), container("d", agent=""), desired=[service()])

    assert found.removals == ()
    assert [each.container_id for each in found.orphans] == ["c", "d"]
    assert [step.replica for step in found.creations] == [("s", 0)]


def test_a_container_of_somebody_else_is_not_even_an_orphan():
    found = compared(container(of=None))

    assert (found.removals, found.orphans) == ((), ())


def test_of_doubles_the_running_one_stays_and_of_two_running_the_newer():
    stopped = container("new", state=ContainerState.EXITED, second=9)
    assert removed(compared(stopped, container("old"), desired=[service()])) == ["new"]
    assert removed(compared(container("old"), container("new", second=9), desired=[service()])) == [
        "old"
    ]


def test_a_dead_container_goes_and_is_made_again():
    found = compared(container(state=ContainerState.DEAD), desired=[service()])

    assert removed(found) == ["c"]
    assert [step.replica for step in found.creations] == [("s", 0)]


def test_one_beyond_repair_goes_unless_it_runs_after_all():
    stopped = container(state=ContainerState.EXITED)

    assert removed(compared(stopped, desired=[service()], lost=("c",))) == ["c"]
    assert removed(compared(container(), desired=[service()], lost=("c",))) == []


_containers = st.builds(
    container,
    st.uuids().map(str),
    of=st.sampled_from(["s", "t", "u", None]),
    replica=st.sampled_from(["0", "1", "2", "x", None]),
    agent=st.sampled_from(["me", "you"]),
    state=st.sampled_from(ContainerState),
    second=st.one_of(st.none(), st.integers(0, 59)),
)


@given(st.lists(_containers, unique_by=lambda each: each.container_id, max_size=12))
def test_each_replica_is_kept_or_made_and_each_container_has_one_fate(found: list[Container]):
    desired = [service("s", replicas=2), service("t")]

    result = compared(*found, desired=desired)

    wanted = {("s", 0), ("s", 1), ("t", 0)}
    made = [step.replica for step in result.creations]
    assert sorted([*result.containers, *made]) == sorted(wanted)
    fates = [
        *removed(result),
        *(each.container_id for each in result.containers.values()),
        *(each.container_id for each in result.orphans),
    ]
    mine = [each for each in found if "computility-agent.service" in each.labels]
    assert sorted(fates) == sorted(each.container_id for each in mine)
    assert all(step.container.labels["computility-agent.agent"] == "me" for step in result.removals)
