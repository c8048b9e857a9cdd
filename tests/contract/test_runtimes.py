"""What every runtime must do, the one in memory and the real ones."""

from __future__ import annotations

import gc
import json
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from agent.contracts import Runtime
from agent.errors import PermanentError, TransientError
from agent.model.workloads import Container, ContainerSpec, ContainerState
from tests.contract.runtime_benches import COMMAND, FakeBench, RuntimeBench, bench_on, docker_bench

PATIENCE_SECONDS = 60.0
SERVICE = "computility-agent.service"


@pytest.fixture(scope="module")
def podman() -> Iterator[object]:
    """Return podman's docker-compatible socket, one for all tests here."""
    from tests.docker_engine import podman_of_tests

    with podman_of_tests() as engine:
        yield engine


@pytest.fixture(
    params=[
        "fake",
        pytest.param("docker", marks=pytest.mark.docker),
        pytest.param("podman", marks=pytest.mark.docker),
    ]
)
def bench(request: pytest.FixtureRequest) -> Iterator[RuntimeBench]:
    if request.param == "fake":
        yield FakeBench()
    elif request.param == "docker":
        with docker_bench() as found:
            yield found
    else:
        with bench_on(request.getfixturevalue("podman")) as found:
            yield found


@pytest.fixture
def spec(bench: RuntimeBench) -> ContainerSpec:
    """Return a container that can be started: its image is there."""
    reference = bench.reference()
    bench.runtime.load_image(iter([bench.archive(reference)]), reference=reference)
    return ContainerSpec(
        name=bench.name(),
        image=reference,
        command=COMMAND,
        labels={
            SERVICE: str(uuid.uuid4()),
            "computility-agent.agent": "contract",
            "computility-agent.replica": "0",
        },
    )


def owned(runtime: Runtime, spec: ContainerSpec) -> list[Container]:
    """Return the containers of this test's service, of all that the runtime lists."""
    service_id = spec.labels[SERVICE]
    return [each for each in runtime.list_owned() if each.labels[SERVICE] == service_id]


def wait_until(condition: Callable[[], bool], *, what: str) -> None:
    pause = threading.Event()
    for _ in range(int(PATIENCE_SECONDS / 0.05)):
        if condition():
            return
        pause.wait(0.05)
    pytest.fail(f"waited in vain: {what}")


def state_of(runtime: Runtime, container_id: str) -> ContainerState | None:
    found = runtime.inspect(container_id)
    return None if found is None else found.state


# Images


def test_an_image_is_there_from_its_load_to_its_removal(bench: RuntimeBench):
    reference = bench.reference()
    assert not bench.runtime.has_image(reference)

    content = bench.archive(reference)
    bench.runtime.load_image(iter([content[:100], content[100:]]), reference=reference)
    assert bench.runtime.has_image(reference)
    bench.runtime.load_image(iter([content]), reference=reference)
    assert bench.runtime.has_image(reference)

    bench.runtime.remove_image(reference)
    assert not bench.runtime.has_image(reference)
    bench.runtime.remove_image(reference)


def test_what_is_no_archive_is_refused(bench: RuntimeBench):
    reference = bench.reference()

    with pytest.raises(PermanentError):
        bench.runtime.load_image(iter([b"no archive" * 100]), reference=reference)

    assert not bench.runtime.has_image(reference)


# Starts


def test_a_started_container_runs_and_is_listed_as_it_was_specified(
    bench: RuntimeBench, spec: ContainerSpec
):
    container_id = bench.runtime.start(spec)

    (found,) = owned(bench.runtime, spec)
    assert found.container_id == container_id
    assert found.name == spec.name
    assert dict(found.labels).items() >= dict(spec.labels).items()
    assert found.state is ContainerState.RUNNING
    assert found.started_at is not None
    assert found.restarts == 0
    assert bench.runtime.inspect(container_id) == found
    assert owned(bench.another(), spec) == [found]


def test_starting_twice_makes_one_container(bench: RuntimeBench, spec: ContainerSpec):
    first = bench.runtime.start(spec)

    assert bench.another().start(spec) == first
    assert len(owned(bench.runtime, spec)) == 1


def test_one_that_was_made_and_not_started_is_started(bench: RuntimeBench, spec: ContainerSpec):
    bench.leave_behind(spec)

    container_id = bench.runtime.start(spec)

    (found,) = owned(bench.runtime, spec)
    assert (found.container_id, found.state) == (container_id, ContainerState.RUNNING)


def test_a_name_that_another_container_has_is_refused_and_that_one_stays(
    bench: RuntimeBench, spec: ContainerSpec
):
    other = bench.leave_behind(replace(spec, labels={}))

    with pytest.raises(PermanentError):
        bench.runtime.start(spec)

    assert bench.is_there(other)


def test_without_its_image_nothing_starts_and_nothing_is_left(
    bench: RuntimeBench, spec: ContainerSpec
):
    with pytest.raises((TransientError, PermanentError)):
        bench.runtime.start(replace(spec, image=bench.reference()))

    assert owned(bench.runtime, spec) == []


def test_what_cannot_be_started_leaves_nothing_behind(bench: RuntimeBench, spec: ContainerSpec):
    with pytest.raises(PermanentError):
        bench.runtime.start(bench.unstartable(spec))

    assert owned(bench.runtime, spec) == []


def test_the_engine_itself_starts_it_again_after_a_crash(bench: RuntimeBench, spec: ContainerSpec):
    container_id = bench.runtime.start(spec)

    bench.crash(container_id)

    def was_restarted() -> bool:
        # Not every engine tells the last end of one that runs; this one ends again and again.
        found = bench.runtime.inspect(container_id)
        return found is not None and found.restarts >= 1 and found.exit_code == 3

    wait_until(was_restarted, what="the engine starts it again")


# Ends


def test_a_stopped_container_is_gone_and_may_be_stopped_again(
    bench: RuntimeBench, spec: ContainerSpec
):
    container_id = bench.runtime.start(spec)

    bench.runtime.stop(container_id, timeout_seconds=0.0)

    assert bench.runtime.inspect(container_id) is None
    assert owned(bench.runtime, spec) == []
    bench.runtime.stop(container_id, timeout_seconds=0.0)


def test_one_that_was_stopped_by_hand_can_be_recovered(bench: RuntimeBench, spec: ContainerSpec):
    container_id = bench.runtime.start(spec)
    bench.stop_by_hand(container_id)
    assert state_of(bench.runtime, container_id) is ContainerState.EXITED

    bench.runtime.recover(container_id)

    assert state_of(bench.runtime, container_id) is ContainerState.RUNNING
    bench.runtime.recover(container_id)


def test_one_that_was_paused_can_be_recovered_or_says_to_make_another(
    bench: RuntimeBench, spec: ContainerSpec
):
    container_id = bench.runtime.start(spec)
    bench.pause_by_hand(container_id)
    assert state_of(bench.runtime, container_id) is ContainerState.PAUSED

    try:
        bench.runtime.recover(container_id)
    except PermanentError:
        bench.runtime.stop(container_id, timeout_seconds=0.0)
        assert owned(bench.runtime, spec) == []
    else:
        assert state_of(bench.runtime, container_id) is ContainerState.RUNNING


def test_one_that_is_gone_cannot_be_recovered(bench: RuntimeBench, spec: ContainerSpec):
    container_id = bench.runtime.start(spec)
    bench.remove_by_hand(container_id)

    with pytest.raises(PermanentError):
        bench.runtime.recover(container_id)
    assert bench.runtime.inspect(container_id) is None


def test_a_container_of_somebody_else_is_never_listed(bench: RuntimeBench, spec: ContainerSpec):
    foreign = bench.leave_behind(replace(spec, labels={"com.example": "database"}))

    assert foreign not in [each.container_id for each in bench.runtime.list_owned()]


# What is read


def test_logs_are_the_last_lines(bench: RuntimeBench, spec: ContainerSpec):
    container_id = bench.runtime.start(spec)

    def printed() -> bytes:
        return b"".join(bench.runtime.logs(container_id, tail_lines=1, follow=False))

    wait_until(lambda: printed() == b"started\n", what="the last line alone")


def test_followed_logs_end_with_the_container(bench: RuntimeBench, spec: ContainerSpec):
    container_id = bench.runtime.start(spec)
    chunks = bench.runtime.logs(container_id, tail_lines=10, follow=True)
    text = next(chunks)

    bench.another().stop(container_id, timeout_seconds=0.0)

    assert b"started" in text + b"".join(chunks)


def test_usage_gives_each_figure_or_says_why_not(bench: RuntimeBench, spec: ContainerSpec):
    usage = bench.runtime.usage(bench.runtime.start(spec))

    for name in ("cpu_seconds", "memory_used_bytes", "memory_limit_bytes", "process_ids"):
        assert getattr(usage, name) is not None or usage.unknown[name]


def test_changes_are_told_until_the_runtime_is_closed(bench: RuntimeBench, spec: ContainerSpec):
    listener = bench.another()
    told, ended = threading.Event(), threading.Event()

    def listen() -> None:
        for _ in listener.changes():
            told.set()
        ended.set()

    threading.Thread(target=listen, daemon=True).start()

    # Whether the stream is open cannot be seen from outside: something changes until it is told.
    for _ in range(30):
        bench.runtime.stop(bench.runtime.start(spec), timeout_seconds=0.0)
        if told.wait(0.3):
            break
    assert told.is_set()
    listener.close()
    assert ended.wait(PATIENCE_SECONDS)


def test_a_description_is_json_and_asks_nobody(bench: RuntimeBench, spec: ContainerSpec):
    described = json.dumps(bench.away().describe(spec))

    assert spec.image in described
    assert spec.labels[SERVICE] in described


# An engine that is away


# The docker SDK leaves the socket of a connection that failed to the collector.
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
def test_an_engine_that_is_away_is_transient_trouble(bench: RuntimeBench, spec: ContainerSpec):
    runtime = bench.away()
    questions: list[Callable[[], object]] = [
        lambda: runtime.has_image("a:b"),
        lambda: runtime.load_image(iter([bench.archive(spec.image)]), reference=spec.image),
        lambda: runtime.remove_image("a:b"),
        lambda: runtime.start(spec),
        lambda: runtime.recover("0" * 64),
        lambda: runtime.inspect("0" * 64),
        runtime.list_owned,
        lambda: runtime.stop("0" * 64, timeout_seconds=0.0),
        lambda: list(runtime.logs("0" * 64, tail_lines=1, follow=False)),
        lambda: runtime.usage("0" * 64),
        lambda: list(runtime.changes()),
    ]

    for question in questions:
        with pytest.raises(TransientError) as caught:
            question()
        assert caught.value.reason
        del caught
        gc.collect()


def test_a_closed_runtime_answers_nothing_more(bench: RuntimeBench, spec: ContainerSpec):
    runtime = bench.another()
    runtime.close()
    runtime.close()

    with pytest.raises(TransientError):
        runtime.list_owned()
