"""What becomes of containers in a real engine, and what the runtime tells of it."""

from __future__ import annotations

import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from agent.errors import PermanentError, TransientError
from agent.model.workloads import (
    Container,
    ContainerHealth,
    ContainerSpec,
    ContainerState,
    HealthCheck,
    Mount,
    Port,
)
from runtimes.docker.runtime import DockerRuntime
from tests.docker_engine import PATIENCE_SECONDS, Engine, wait_until
from tests.runtimes.docker.tapped_socket import TappedSocket

pytestmark = pytest.mark.docker

SERVICE = "computility-agent.service"
_MIB = 1 << 20


@pytest.fixture
def spec(docker_engine: Engine, busybox_image: str) -> ContainerSpec:
    return ContainerSpec(
        name=docker_engine.name(),
        image=busybox_image,
        labels={SERVICE: str(uuid.uuid4())},
        command=("/bin/sleep", "100000"),
    )


def shell(spec: ContainerSpec, script: str) -> ContainerSpec:
    return replace(spec, command=("/bin/sh", "-c", script))


def waited(
    runtime: DockerRuntime, container_id: str, *, until: Callable[[Container], bool], what: str
) -> Container:
    """Return a container as it was when a condition first held."""

    def look() -> Container | None:
        found = runtime.inspect(container_id)
        return found if found is not None and until(found) else None

    found: Container = wait_until(look, what=what)
    return found


def mine(runtime: DockerRuntime, spec: ContainerSpec) -> list[Container]:
    service = spec.labels[SERVICE]
    return [each for each in runtime.list_owned() if each.labels[SERVICE] == service]


# What one gets


def test_shared_memory_has_the_size_that_was_asked_for(
    docker_runtime: DockerRuntime, spec: ContainerSpec
) -> None:
    asked = shell(spec, "cat /proc/mounts; sleep 100000")
    container_id = docker_runtime.start(replace(asked, shared_memory_bytes=96 * _MIB))

    def mounts() -> bytes:
        return b"".join(docker_runtime.logs(container_id, tail_lines=100, follow=False))

    wait_until(lambda: b" /dev/shm " in mounts(), what="the container's mounts")
    (line,) = (line for line in mounts().splitlines() if b" /dev/shm " in line)
    assert b"size=98304k" in line


# How one ends


def test_one_that_the_kernel_killed_for_its_memory_says_so(
    docker_runtime: DockerRuntime, spec: ContainerSpec
) -> None:
    eats = shell(spec, "sleep 0.2; tail /dev/zero")
    container_id = docker_runtime.start(replace(eats, memory_bytes=16 * _MIB))

    found = waited(
        docker_runtime,
        container_id,
        until=lambda now: now.exit_code is not None,
        what="an end for want of memory",
    )

    assert found.was_killed_for_memory
    assert found.exit_code == 137


def test_a_crash_loop_counts_its_restarts_and_tells_the_last_end(
    docker_runtime: DockerRuntime, spec: ContainerSpec
) -> None:
    container_id = docker_runtime.start(shell(spec, "exit 7"))

    found = waited(
        docker_runtime,
        container_id,
        until=lambda now: now.restarts >= 2 and now.state is ContainerState.RESTARTING,
        what="two restarts",
    )

    assert found.exit_code == 7
    assert not found.was_killed_for_memory
    assert found.started_at is not None
    assert found.finished_at is not None


def test_a_command_that_is_not_in_the_image_is_a_crash_loop(
    docker_runtime: DockerRuntime, spec: ContainerSpec
) -> None:
    container_id = docker_runtime.start(replace(spec, command=("/no/such/program",)))

    found = waited(
        docker_runtime, container_id, until=lambda now: now.restarts >= 1, what="a restart"
    )

    assert found.exit_code == 127


# Health


@pytest.mark.parametrize(
    ("script", "health", "output"),
    [
        ("echo OVERLOAD 12 jobs wait", ContainerHealth.HEALTHY, "OVERLOAD 12 jobs wait"),
        ("echo no model >&2; exit 1", ContainerHealth.UNHEALTHY, "no model"),
    ],
)
def test_health_and_its_output_are_told(
    docker_engine: Engine,
    docker_runtime: DockerRuntime,
    spec: ContainerSpec,
    script: str,
    health: ContainerHealth,
    output: str,
) -> None:
    # The check waits for a word of the test: until then the engine can only say STARTING.
    check = HealthCheck(
        command=("/bin/sh", "-c", f"until test -e /tmp/told; do sleep 0.05; done; {script}"),
        interval_seconds=0.1,
        timeout_seconds=60.0,
        retries=1,
    )
    container_id = docker_runtime.start(replace(spec, health=check))
    first = docker_runtime.inspect(container_id)
    assert first is not None
    assert first.health is ContainerHealth.STARTING
    with docker_engine.api() as api:
        api.exec_start(api.exec_create(container_id, ["/bin/touch", "/tmp/told"])["Id"])

    found = waited(
        docker_runtime,
        container_id,
        until=lambda now: now.health is health and now.health_output == output,
        what=f"health {health}",
    )

    assert found.state is ContainerState.RUNNING


# Starts again, and starts that fail


def test_a_start_after_a_crash_of_ours_between_create_and_start_ends_the_same(
    docker_engine: Engine, docker_runtime: DockerRuntime, spec: ContainerSpec, tmp_path: Path
) -> None:
    def dies_before_start(request: str) -> bool:
        return not request.endswith("/start")

    tap = TappedSocket(tmp_path, engine=docker_engine.socket, on_request=dies_before_start)
    dying = DockerRuntime(type(docker_runtime).config_type(socket=tap.address))
    with pytest.raises(TransientError):
        dying.start(spec)
    dying.close()
    tap.close()
    (left,) = mine(docker_runtime, spec)
    assert left.state is ContainerState.CREATED

    assert docker_runtime.start(spec) == left.container_id

    (found,) = mine(docker_runtime, spec)
    assert found.state is ContainerState.RUNNING


FAULTS: dict[str, tuple[Callable[[ContainerSpec], ContainerSpec], str]] = {
    "device": (lambda spec: replace(spec, devices=("/dev/no-such-chip",)), "/dev/no-such-chip"),
    "mount": (
        lambda spec: replace(spec, mounts=(Mount(source="/no/such/file", target="/x"),)),
        "/no/such/file",
    ),
    "runtime": (lambda spec: replace(spec, runtime="no-such-runtime"), "no-such-runtime"),
    "no device": (lambda spec: replace(spec, devices=("/etc/hostname",)), "no device"),
    "folder on a file": (
        lambda spec: replace(spec, mounts=(Mount(source="/etc", target="/bin/busybox"),)),
        "as it is",
    ),
    "capability": (lambda spec: replace(spec, capabilities=("NO_SUCH",)), "NO_SUCH"),
    "memory": (lambda spec: replace(spec, memory_bytes=4096), "memory"),
    "cpus": (lambda spec: replace(spec, cpus=100000.0), "CPU"),
    "target": (
        lambda spec: replace(spec, mounts=(Mount(source="/etc/hostname", target="x"),)),
        "mount path",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_an_operator_has_to_mend_is_permanent_named_and_leaves_nothing(
    docker_runtime: DockerRuntime, spec: ContainerSpec, fault: str
) -> None:
    spoil, word = FAULTS[fault]

    with pytest.raises(PermanentError) as caught:
        docker_runtime.start(spoil(spec))

    assert word in caught.value.reason
    assert mine(docker_runtime, spec) == []


def test_a_missing_image_is_never_fetched(
    docker_engine: Engine, docker_runtime: DockerRuntime, spec: ContainerSpec
) -> None:
    # A name whose registry would answer nobody for minutes: a documentation address.
    image = "192.0.2.1/computility-agent-test/none:1"

    with pytest.raises(TransientError, match="no image"):
        docker_runtime.start(replace(spec, image=image))

    assert mine(docker_runtime, spec) == []


# Containers of others


def test_containers_of_others_are_never_listed_and_never_touched(
    docker_engine: Engine, docker_runtime: DockerRuntime, spec: ContainerSpec
) -> None:
    with docker_engine.api() as api:
        made = api.create_container(
            spec.image, name=spec.name, command=["/bin/sleep", "1000"], labels={"x": "y"}
        )
        other = made["Id"]
        api.start(other)
        touches: list[Callable[[], object]] = [
            lambda: docker_runtime.start(spec),
            lambda: docker_runtime.recover(other),
            lambda: docker_runtime.inspect(other),
            lambda: docker_runtime.stop(other, timeout_seconds=0),
            lambda: docker_runtime.logs(other, tail_lines=1, follow=False),
            lambda: docker_runtime.usage(other),
            lambda: docker_runtime.stop(spec.name, timeout_seconds=0),
        ]
        for touch in touches:
            with pytest.raises(PermanentError):
                touch()
        assert other not in [each.container_id for each in docker_runtime.list_owned()]
        before = api.inspect_container(other)["State"]
        assert before["Running"] is True


def test_the_beginning_of_an_id_is_no_name(
    docker_engine: Engine, docker_runtime: DockerRuntime, spec: ContainerSpec
) -> None:
    with docker_engine.api() as api:
        other = api.create_container(spec.image, name=docker_engine.name(), labels={})["Id"]
        short = other[:12]
        try:
            container_id = docker_runtime.start(replace(spec, name=short))
            assert container_id != other
            (found,) = mine(docker_runtime, spec)
            assert found.name == short
        finally:
            for each in mine(docker_runtime, spec):
                docker_runtime.stop(each.container_id, timeout_seconds=0)


# Logs


def test_logs_are_output_and_errors_in_their_order(
    docker_runtime: DockerRuntime, spec: ContainerSpec
) -> None:
    lines = "for i in 1 2 3; do echo out $i; sleep 0.05; echo err $i >&2; sleep 0.05; done"
    container_id = docker_runtime.start(shell(spec, f"{lines}; sleep 1000"))

    def read(tail_lines: int) -> bytes:
        return b"".join(docker_runtime.logs(container_id, tail_lines=tail_lines, follow=False))

    wait_until(lambda: b"err 3" in read(1), what="the last line")
    assert read(100) == b"out 1\nerr 1\nout 2\nerr 2\nout 3\nerr 3\n"
    assert read(2) == b"out 3\nerr 3\n"
    assert read(0) == b""
    assert read(-1) == b""


def test_followed_logs_can_be_closed_from_another_thread(
    docker_runtime: DockerRuntime, spec: ContainerSpec
) -> None:
    container_id = docker_runtime.start(shell(spec, "echo once; sleep 1000"))
    stream = docker_runtime.logs(container_id, tail_lines=10, follow=True)
    told, ended = threading.Event(), threading.Event()

    def listen() -> None:
        for _ in stream:
            told.set()
        ended.set()

    threading.Thread(target=listen, daemon=True).start()
    assert told.wait(PATIENCE_SECONDS)

    stream.close()  # type: ignore[attr-defined]  # what every runtime's stream has

    assert ended.wait(PATIENCE_SECONDS)
    assert list(stream) == []


# Figures


def test_usage_is_what_the_engine_itself_measures(
    docker_engine: Engine, docker_runtime: DockerRuntime, spec: ContainerSpec
) -> None:
    busy = shell(spec, "dd if=/dev/zero of=/tmp/x bs=1M count=8; while :; do :; done")
    container_id = docker_runtime.start(replace(busy, memory_bytes=64 * _MIB, cpus=0.2))

    with docker_engine.api() as api:
        wait_until(
            lambda: (docker_runtime.usage(container_id).cpu_seconds or 0) > 0.05, what="CPU time"
        )
        before = docker_runtime.usage(container_id)
        measured = api.stats(container_id, stream=False)
        after = docker_runtime.usage(container_id)

    assert before.unknown == {}
    assert before.memory_limit_bytes == measured["memory_stats"]["limit"] == 64 * _MIB
    assert before.cpu_seconds is not None
    assert after.cpu_seconds is not None
    engine_seconds = measured["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9
    assert before.cpu_seconds <= engine_seconds <= after.cpu_seconds
    memory = measured["memory_stats"]
    idle = memory["stats"].get("total_inactive_file", memory["stats"].get("inactive_file", 0))
    assert after.memory_used_bytes is not None
    # The kernel counts in batches for each CPU.
    assert abs(after.memory_used_bytes - (memory["usage"] - idle)) < 4 * _MIB


def test_the_processes_of_a_container_are_those_of_this_node(
    docker_runtime: DockerRuntime, spec: ContainerSpec
) -> None:
    container_id = docker_runtime.start(shell(spec, "sleep 4321 & exec sleep 4322"))

    def commands() -> set[str]:
        found = docker_runtime.usage(container_id).process_ids or ()
        return {Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ") for pid in found}

    wait_until(
        lambda: {"sleep 4321 ", "sleep 4322 "} <= commands(), what="both processes of the container"
    )


def test_usage_follows_a_container_that_was_started_again(
    docker_engine: Engine, docker_runtime: DockerRuntime, spec: ContainerSpec
) -> None:
    container_id = docker_runtime.start(shell(spec, "exec sleep 4323"))
    before = docker_runtime.usage(container_id).process_ids
    with docker_engine.api() as api:
        api.restart(container_id, timeout=0)
        now = api.inspect_container(container_id)["State"]["Pid"]

    found = docker_runtime.usage(container_id).process_ids

    assert found is not None
    assert now in found
    assert found != before


def test_a_container_that_ended_uses_nothing_and_says_why(
    docker_engine: Engine, docker_runtime: DockerRuntime, spec: ContainerSpec
) -> None:
    container_id = docker_runtime.start(spec)
    with docker_engine.api() as api:
        api.stop(container_id, timeout=0)

    stopped = docker_runtime.usage(container_id)
    docker_runtime.stop(container_id, timeout_seconds=0)
    gone = docker_runtime.usage(container_id)

    for usage in (stopped, gone):
        assert usage.process_ids is None
        assert set(usage.unknown) == {
            *("cpu_seconds", "memory_used_bytes", "memory_limit_bytes", "process_ids")
        }


# Changes


@pytest.fixture
def change(docker_runtime: DockerRuntime) -> Iterator[threading.Semaphore]:
    """Return what is released at each change, once the engine tells."""
    told = threading.Semaphore(0)

    def listen() -> None:
        for _ in docker_runtime.changes():
            told.release()

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    assert told.acquire(timeout=PATIENCE_SECONDS)
    yield told
    docker_runtime.close()
    thread.join(PATIENCE_SECONDS)


def quiet(change: threading.Semaphore) -> None:
    """Take what was told until nothing comes for a moment."""
    while change.acquire(timeout=0.3):
        pass


def test_starts_ends_and_removed_images_are_told(
    docker_engine: Engine,
    docker_runtime: DockerRuntime,
    spec: ContainerSpec,
    change: threading.Semaphore,
) -> None:
    container_id = docker_runtime.start(spec)
    assert change.acquire(timeout=PATIENCE_SECONDS)
    quiet(change)

    with docker_engine.api() as api:
        api.kill(container_id)
    assert change.acquire(timeout=PATIENCE_SECONDS)
    quiet(change)

    docker_runtime.stop(container_id, timeout_seconds=0)
    assert change.acquire(timeout=PATIENCE_SECONDS)
    quiet(change)

    docker_runtime.remove_image(spec.image)
    assert change.acquire(timeout=PATIENCE_SECONDS)


# Ports


def test_a_port_that_is_taken_is_named_and_leaves_nothing(
    docker_runtime: DockerRuntime, spec: ContainerSpec
) -> None:
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        number = taken.getsockname()[1]
        wanted = replace(spec, ports=(Port(container_port=80, host_port=number),))

        with pytest.raises(PermanentError, match=f"port {number}/tcp"):
            docker_runtime.start(wanted)
    assert mine(docker_runtime, spec) == []

    docker_runtime.start(wanted)

    assert [each.state for each in mine(docker_runtime, spec)] == [ContainerState.RUNNING]
