"""An engine that dies, comes back and stands still under the runtime."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from agent.errors import TransientError
from agent.model.workloads import ContainerSpec, ContainerState
from runtimes.docker.runtime import DockerConfig, DockerRuntime, Timeouts
from tests.docker_engine import (
    PATIENCE_SECONDS,
    PrivateEngine,
    answers,
    docker_archive,
    private_engine_of,
    wait_until,
)
from tests.runtimes.docker.tapped_socket import TappedSocket

pytestmark = pytest.mark.docker

SERVICE = "computility-agent.service"
# Prints without end, and ends at once when it is told to.
TALKING = ("/bin/sh", "-c", "trap 'exit 0' TERM; while echo tick; do sleep 0.05; done")


@pytest.fixture(scope="module")
def shared_engine() -> Iterator[PrivateEngine]:
    with ExitStack() as stack:
        yield private_engine_of(stack)


@pytest.fixture
def engine(shared_engine: PrivateEngine) -> Iterator[PrivateEngine]:
    """Return an engine that answers, whatever the test before did to it."""
    yield shared_engine
    shared_engine.signal(signal.SIGCONT)
    if not answers(shared_engine.socket):
        shared_engine.start()
    shared_engine.clean()


@pytest.fixture
def runtime(engine: PrivateEngine) -> Iterator[DockerRuntime]:
    runtime = engine.runtime()
    yield runtime
    runtime.close()


@pytest.fixture
def spec(engine: PrivateEngine) -> ContainerSpec:
    return ContainerSpec(
        name=engine.name(), image=engine.busybox_image(), labels={SERVICE: "s"}, command=TALKING
    )


@contextmanager
def tapped(
    folder: Path, *, engine: str, on_request: Callable[[str], bool | None]
) -> Iterator[DockerRuntime]:
    tap = TappedSocket(folder, engine=engine, on_request=on_request)
    runtime = DockerRuntime(DockerConfig(socket=tap.address))
    try:
        yield runtime
    finally:
        runtime.close()
        tap.close()


class Listener:
    """Takes an iterator to its end in a thread of its own."""

    def __init__(self, items: Iterator[object]) -> None:
        self._items = items
        self.seen = threading.Event()
        self.ended_with: BaseException | None = None
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Wait for the end."""
        self._thread.join(PATIENCE_SECONDS)
        assert not self._thread.is_alive(), "the stream does not end"

    def _listen(self) -> None:
        try:
            for _ in self._items:
                self.seen.set()
        except BaseException as error:  # noqa: BLE001 - the test judges it
            self.ended_with = error


def names(runtime: DockerRuntime) -> list[tuple[str, ContainerState]]:
    return [(each.name, each.state) for each in runtime.list_owned()]


# Killed


# The docker SDK leaves the socket of a connection that broke to the collector.
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
def test_the_same_runtime_works_again_after_a_kill(
    engine: PrivateEngine, runtime: DockerRuntime, spec: ContainerSpec
) -> None:
    assert runtime.has_image(spec.image)

    engine.kill()
    for _ in range(2):
        with pytest.raises(TransientError):
            runtime.has_image(spec.image)
        with pytest.raises(TransientError):
            runtime.list_owned()
        with pytest.raises(TransientError):
            runtime.start(spec)
        with pytest.raises(TransientError):
            runtime.changes()
    engine.start()

    assert runtime.has_image(spec.image)
    runtime.start(spec)
    assert names(runtime) == [(spec.name, ContainerState.RUNNING)]


def test_containers_run_again_when_their_engine_is_back(
    engine: PrivateEngine, runtime: DockerRuntime, spec: ContainerSpec
) -> None:
    container_id = runtime.start(spec)

    engine.stop()
    engine.start()

    wait_until(
        lambda: names(runtime) == [(spec.name, ContainerState.RUNNING)],
        what="the engine starts its container again",
    )
    assert runtime.start(spec) == container_id


def test_containers_of_a_killed_engine_can_be_recovered(
    engine: PrivateEngine, runtime: DockerRuntime, spec: ContainerSpec
) -> None:
    container_id = runtime.start(spec)

    engine.restart()

    # An engine that was killed ends what it finds alive, and does not start that again itself.
    runtime.recover(container_id)
    assert names(runtime) == [(spec.name, ContainerState.RUNNING)]
    assert runtime.usage(container_id).process_ids


def test_a_kill_in_the_middle_of_a_load_is_transient(
    engine: PrivateEngine, runtime: DockerRuntime
) -> None:
    reference = engine.reference()
    content = docker_archive(reference=reference)

    def archive() -> Iterator[bytes]:
        yield content[: len(content) // 2]
        engine.kill()
        yield content[len(content) // 2 :]

    with pytest.raises(TransientError):
        runtime.load_image(archive(), reference=reference)

    engine.start()
    assert not runtime.has_image(reference)
    runtime.load_image([content], reference=reference)
    assert runtime.has_image(reference)


@pytest.mark.parametrize("moment", ["/containers/create", "/start"])
def test_a_kill_in_the_middle_of_a_start_is_mended_by_the_next_start(
    engine: PrivateEngine, spec: ContainerSpec, tmp_path: Path, moment: str
) -> None:
    kills = [engine.kill]

    def kill_once(request: str) -> None:
        if request.startswith("POST") and moment in request and kills:
            kills.pop()()

    with tapped(tmp_path, engine=engine.socket, on_request=kill_once) as runtime:
        with pytest.raises(TransientError):
            runtime.start(spec)
        assert kills == []
        engine.start()

        runtime.start(spec)

        assert names(runtime) == [(spec.name, ContainerState.RUNNING)]


def test_followed_logs_end_when_the_engine_is_killed(
    engine: PrivateEngine, runtime: DockerRuntime, spec: ContainerSpec
) -> None:
    listener = Listener(runtime.logs(runtime.start(spec), tail_lines=1, follow=True))
    assert listener.seen.wait(PATIENCE_SECONDS)

    engine.kill()

    listener.wait()
    assert listener.ended_with is None or isinstance(listener.ended_with, TransientError)


def test_changes_end_without_an_error_when_the_engine_is_killed(
    engine: PrivateEngine, runtime: DockerRuntime
) -> None:
    listener = Listener(runtime.changes())
    assert listener.seen.wait(PATIENCE_SECONDS)

    engine.kill()

    listener.wait()
    assert listener.ended_with is None


# Standing still


@contextmanager
def standing_still(engine: PrivateEngine) -> Iterator[None]:
    engine.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        engine.signal(signal.SIGCONT)


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
def test_an_engine_that_stands_still_is_transient_trouble(
    engine: PrivateEngine, spec: ContainerSpec
) -> None:
    short = Timeouts(call_seconds=0.2, send_seconds=0.2, load_seconds=0.2)
    connected, fresh = engine.runtime(timeouts=short), engine.runtime(timeouts=short)
    content = docker_archive(reference=spec.image)
    # Under this clock even an engine that goes may be too slow once.
    patient = engine.runtime()
    container_id = patient.start(spec)
    patient.close()
    wait_until(lambda: _answered(connected, spec.image), what="an answer in time")
    with standing_still(engine):
        questions: list[Callable[[], object]] = [
            lambda: connected.has_image(spec.image),
            lambda: fresh.has_image(spec.image),
            lambda: connected.load_image([content], reference=spec.image),
            lambda: connected.remove_image(spec.image),
            lambda: connected.start(spec),
            lambda: connected.recover(container_id),
            lambda: connected.inspect(container_id),
            connected.list_owned,
            lambda: connected.stop(container_id, timeout_seconds=0),
            lambda: connected.logs(container_id, tail_lines=1, follow=True),
            lambda: connected.usage(container_id),
            fresh.changes,
        ]
        for question in questions:
            with pytest.raises(TransientError):
                question()

    for runtime in (connected, fresh):
        wait_until(lambda runtime=runtime: _answered(runtime, spec.image), what="an answer")
        runtime.close()


def test_an_open_stream_of_a_standing_engine_can_be_closed(
    engine: PrivateEngine, runtime: DockerRuntime
) -> None:
    listener = Listener(runtime.changes())
    assert listener.seen.wait(PATIENCE_SECONDS)

    with standing_still(engine):
        runtime.close()
        listener.wait()

    assert listener.ended_with is None


def _answered(runtime: DockerRuntime, reference: str) -> bool:
    try:
        return runtime.has_image(reference)
    except TransientError:
        return False
