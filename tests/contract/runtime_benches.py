"""Engines for the contract suite of runtimes, each with what happens to one behind its back."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Protocol

from agent.contracts import Runtime
from agent.errors import PermanentError
from agent.model.workloads import ContainerSpec
from runtimes.fake.runtime import FakeRuntime
from tests.agent.workloads.reconciler_bench import archive

# Prints, then lives until it is told to end, so that a test can crash it.
COMMAND = (
    "/bin/sh",
    "-c",
    "echo first; echo started; while ! test -e /tmp/end; do sleep 0.1; done; exit 3",
)


class RuntimeBench(Protocol):
    """Is a runtime under test, and an operator with a root shell beside it."""

    runtime: Runtime

    def another(self) -> Runtime:
        """Return a second client of the same engine."""

    def away(self) -> Runtime:
        """Return a client whose engine is not there."""

    def reference(self) -> str:
        """Return a new reference of an image."""

    def name(self) -> str:
        """Return a new name of a container."""

    def archive(self, reference: str) -> bytes:
        """Return a docker archive with one image of this reference."""

    def unstartable(self, spec: ContainerSpec) -> ContainerSpec:
        """Return one that is made and then cannot be started."""

    def leave_behind(self, spec: ContainerSpec) -> str:
        """Make a container without starting it; return its id."""

    def crash(self, container_id: str) -> None:
        """Let what runs in a container of `COMMAND` end with 3."""

    def stop_by_hand(self, container_id: str) -> None:
        """Stop a container."""

    def pause_by_hand(self, container_id: str) -> None:
        """Freeze a container."""

    def remove_by_hand(self, container_id: str) -> None:
        """Remove a container, running or not."""

    def is_there(self, container_id: str) -> bool:
        """Tell whether a container is there, whoever's it is."""


class FakeBench:
    """Has the runtime in memory."""

    def __init__(self) -> None:
        self.runtime = FakeRuntime()
        self._numbers = itertools.count()

    def another(self) -> Runtime:
        return self.runtime

    def away(self) -> Runtime:
        runtime = FakeRuntime()
        runtime.unreachable = "no such socket"
        return runtime

    def reference(self) -> str:
        return f"test/image:{next(self._numbers)}"

    def name(self) -> str:
        return f"test-{next(self._numbers)}"

    def archive(self, reference: str) -> bytes:
        return archive(reference)

    def unstartable(self, spec: ContainerSpec) -> ContainerSpec:
        self.runtime.refusals["start"] = PermanentError("no such file")
        return spec

    def leave_behind(self, spec: ContainerSpec) -> str:
        return self.runtime.leave_behind(spec)

    def crash(self, container_id: str) -> None:
        self.runtime.crash(container_id, exit_code=3)

    def stop_by_hand(self, container_id: str) -> None:
        self.runtime.stop_by_hand(container_id)

    def pause_by_hand(self, container_id: str) -> None:
        self.runtime.pause_by_hand(container_id)

    def remove_by_hand(self, container_id: str) -> None:
        self.runtime.remove_by_hand(container_id)

    def is_there(self, container_id: str) -> bool:
        return any(each.container_id == container_id for each in self.runtime.all_containers())


class DockerBench:
    """Has a docker engine, or podman's socket; `engine` removes what was made."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self._clients = [engine.runtime()]
        self.runtime: Runtime = self._clients[0]

    def close(self) -> None:
        for client in self._clients:
            client.close()

    def another(self) -> Runtime:
        self._clients.append(self._engine.runtime())
        runtime: Runtime = self._clients[-1]
        return runtime

    def away(self) -> Runtime:
        from runtimes.docker.runtime import DockerConfig, DockerRuntime

        self._clients.append(DockerRuntime(DockerConfig(socket="unix:///nowhere/docker.sock")))
        runtime: Runtime = self._clients[-1]
        return runtime

    def reference(self) -> str:
        return str(self._engine.reference())

    def name(self) -> str:
        return str(self._engine.name())

    def archive(self, reference: str) -> bytes:
        from tests.docker_engine import docker_archive

        return docker_archive(reference=reference, command=COMMAND, salt=reference.encode())

    def unstartable(self, spec: ContainerSpec) -> ContainerSpec:
        return replace(spec, devices=("/dev/no-such-device",))

    def leave_behind(self, spec: ContainerSpec) -> str:
        made = self._api(
            lambda api: api.create_container(spec.image, name=spec.name, labels=dict(spec.labels))
        )
        return str(made["Id"])

    def crash(self, container_id: str) -> None:
        def touch(api: Any) -> None:
            api.exec_start(api.exec_create(container_id, ["/bin/touch", "/tmp/end"])["Id"])

        self._api(touch)

    def stop_by_hand(self, container_id: str) -> None:
        self._api(lambda api: api.stop(container_id, timeout=0))

    def pause_by_hand(self, container_id: str) -> None:
        self._api(lambda api: api.pause(container_id))

    def remove_by_hand(self, container_id: str) -> None:
        self._api(lambda api: api.remove_container(container_id, force=True))

    def is_there(self, container_id: str) -> bool:
        listed = self._api(lambda api: api.containers(all=True))
        return any(each["Id"] == container_id for each in listed)

    def _api(self, question: Callable[[Any], Any]) -> Any:
        with self._engine.api() as api:
            return question(api)


@contextmanager
def docker_bench() -> Iterator[RuntimeBench]:
    """Give a bench on this machine's engine; skip the test where none answers."""
    from tests import docker_engine
    from tests.conftest import missing

    if not docker_engine.answers(docker_engine.SOCKET):
        missing(f"no docker engine answers at {docker_engine.SOCKET}; .ci/run starts one")
    with bench_on(docker_engine.Engine(socket=docker_engine.SOCKET)) as bench:
        yield bench


@contextmanager
def bench_on(engine: Any) -> Iterator[RuntimeBench]:
    """Give a bench on an engine that runs; what the test makes there is removed."""
    bench = DockerBench(engine)
    try:
        yield bench
    finally:
        bench.close()
        engine.clean()
