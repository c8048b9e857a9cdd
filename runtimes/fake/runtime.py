"""A runtime in memory that behaves as the contract says, and whose engine a test can break."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import itertools
import json
import tarfile
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from agent.contracts import Runtime
from agent.errors import PermanentError, TransientError
from agent.model.clock import Clock, SystemClock
from agent.model.workloads import (
    Container,
    ContainerHealth,
    ContainerSpec,
    ContainerState,
    ContainerUsage,
)

SERVICE_LABEL = "computility-agent.service"
_UNKNOWN_USAGE = ContainerUsage(
    unknown=dict.fromkeys(
        ("cpu_seconds", "memory_used_bytes", "memory_limit_bytes", "process_ids"),
        "nothing runs in a container of this runtime",
    )
)
_ALIVE = (ContainerState.RUNNING, ContainerState.RESTARTING, ContainerState.PAUSED)


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeConfig:
    """Holds no settings."""


@dataclass(slots=True)
class _Held:
    """Is a container in the engine's memory."""

    seen: Container
    was_stopped_by_hand: bool = False


class FakeRuntime:
    """Is a client and its engine in one; what is not in the contract is for the test.

    `unreachable` is why nothing answers, None while the engine is there. `refusals` maps the name
    of a method to the error that it raises. `stuck` holds the names of methods that do not answer
    until `release`. `calls` counts what was asked, by method.
    """

    name: ClassVar[str] = "fake"
    config_type: ClassVar[type[Any]] = FakeConfig

    def __init__(self, config: FakeConfig | None = None, *, clock: Clock | None = None) -> None:
        self.config = config or FakeConfig()
        self.unreachable: str | None = None
        self.refusals: dict[str, Exception] = {}
        self.stuck: set[str] = set()
        self.calls: dict[str, int] = {}
        self.images: set[str] = set()
        self.usages: dict[str, ContainerUsage] = {}
        self.starts_and_dies = False
        self._clock = clock or SystemClock()
        self._containers: dict[str, _Held] = {}
        self._numbers = itertools.count(1)
        self._changed = threading.Condition(threading.RLock())
        self._change = 0
        self._stream = 0
        self._closed = False

    # What a plugin is.

    def probe(self) -> None:
        """Return: it is always here."""

    def close(self) -> None:
        """End the streams, and let go whoever is stuck."""
        with self._changed:
            self._closed = True
            self._stream += 1
            self.stuck.clear()
            self._changed.notify_all()

    # The contract.

    def has_image(self, reference: str) -> bool:
        """Tell whether an image was loaded under this reference."""
        with self._asked("has_image"):
            return reference in self.images

    def load_image(self, archive: Iterable[bytes], *, reference: str) -> None:
        """Load a docker archive; its one image must carry the reference."""
        content = b"".join(archive)
        with self._asked("load_image"):
            if reference not in _tags(content):
                raise PermanentError(f"the archive holds no image {reference}")
            self.images.add(reference)
            self._tell()

    def remove_image(self, reference: str) -> None:
        """Forget a reference; one that is not there is fine."""
        with self._asked("remove_image"):
            self.images.discard(reference)
            self._tell()

    def start(self, spec: ContainerSpec) -> str:
        """Make and start a container, or start the one of this name and these labels."""
        with self._asked("start", checks_refusal=False):
            held = self._named(spec.name)
            if held is not None and dict(held.seen.labels) != dict(spec.labels):
                raise PermanentError(f"the name {spec.name} is taken by another container")
            if held is None and spec.image not in self.images:
                raise PermanentError(f"no such image: {spec.image}")
            if (refusal := self.refusals.get("start")) is not None:
                # What was made and could not be started does not stay behind.
                self._containers.pop(held.seen.container_id if held is not None else "", None)
                raise refusal
            if held is None:
                held = self._make(spec)
            if held.seen.state not in _ALIVE:
                self._run(held)
            return held.seen.container_id

    def recover(self, container_id: str) -> None:
        """Start a container that is there."""
        with self._asked("recover"):
            held = self._containers.get(container_id)
            if held is None or held.seen.state is ContainerState.DEAD:
                raise PermanentError("it is gone or dead")
            if held.seen.state is not ContainerState.RUNNING:
                self._run(held)

    def inspect(self, container_id: str) -> Container | None:
        """Return a container, None where it is gone."""
        with self._asked("inspect"):
            held = self._containers.get(container_id)
            return None if held is None else held.seen

    def list_owned(self) -> Sequence[Container]:
        """Return every container with the label of a service."""
        with self._asked("list_owned"):
            return [
                held.seen for held in self._containers.values() if SERVICE_LABEL in held.seen.labels
            ]

    def stop(self, container_id: str, *, timeout_seconds: float) -> None:  # noqa: ARG002
        """Stop and remove a container."""
        with self._asked("stop"):
            if self._containers.pop(container_id, None) is not None:
                self._tell()

    def logs(self, container_id: str, *, tail_lines: int, follow: bool) -> Iterator[bytes]:
        """Yield what the fake printed: one line for each of its starts."""
        with self._asked("logs"):
            held = self._containers.get(container_id)
            if held is None:
                raise PermanentError("it is gone")
            lines = [b"started\n"] * (held.seen.restarts + 1)
        yield from lines[len(lines) - tail_lines if tail_lines < len(lines) else 0 :]
        with self._changed:
            while follow and self._is_running(container_id) and not self._closed:
                self._changed.wait()

    def usage(self, container_id: str) -> ContainerUsage:
        """Return what the test put into `usages`."""
        with self._asked("usage"):
            if container_id not in self._containers:
                raise PermanentError("it is gone")
            return self.usages.get(container_id, _UNKNOWN_USAGE)

    def changes(self) -> Iterator[None]:
        """Yield at each change, until the engine is killed or the runtime is closed."""
        with self._asked("changes"):
            stream, change = self._stream, self._change
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda seen=change: self._stream != stream or self._change != seen  # type: ignore[misc]
                )
                if self._stream != stream:
                    return
                change = self._change
            yield None

    def describe(self, spec: ContainerSpec) -> Mapping[str, Any]:
        """Return the specification itself."""
        described: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(spec)))
        return described

    # What happens to an engine.

    def release(self) -> None:
        """Let every method answer that is stuck."""
        with self._changed:
            self.stuck.clear()
            self._changed.notify_all()

    def kill_engine(self) -> None:
        """End the engine and its containers; its streams end without an error."""
        with self._changed:
            self.unreachable = "the engine is not there"
            self._stream += 1
            for held in self._containers.values():
                if held.seen.state in _ALIVE:
                    held.seen = replace(held.seen, state=ContainerState.EXITED, exit_code=137)
            self._changed.notify_all()

    def start_engine(self) -> None:
        """Bring the engine back; it starts again what nobody stopped."""
        with self._changed:
            self.unreachable = None
            for held in self._containers.values():
                if held.seen.state is ContainerState.EXITED and not held.was_stopped_by_hand:
                    self._run(held)
            self._tell()

    def stop_by_hand(self, container_id: str, *, exit_code: int = 0) -> None:
        """Stop a container as an operator does: the engine does not start it again."""
        self._end(container_id, state=ContainerState.EXITED, exit_code=exit_code)

    def pause_by_hand(self, container_id: str) -> None:
        """Freeze a container."""
        self._change_container(container_id, state=ContainerState.PAUSED)

    def remove_by_hand(self, container_id: str) -> None:
        """Lose a container."""
        with self._changed:
            self._containers.pop(container_id, None)
            self._tell()

    def break_container(self, container_id: str) -> None:
        """Leave of a container what cannot be started again."""
        self._end(container_id, state=ContainerState.DEAD, exit_code=255)

    def crash(
        self, container_id: str, *, exit_code: int = 1, was_killed_for_memory: bool = False
    ) -> None:
        """End what runs in a container; the engine starts it again at once."""
        with self._changed:
            held = self._containers[container_id]
            held.seen = replace(
                held.seen,
                restarts=held.seen.restarts + 1,
                exit_code=exit_code,
                was_killed_for_memory=was_killed_for_memory,
                finished_at=self._clock.now(),
            )
            self._run(held)

    def set_health(self, container_id: str, health: ContainerHealth, *, output: str = "") -> None:
        """Say what a container's health check found."""
        self._change_container(container_id, health=health, health_output=output)

    def leave_behind(self, spec: ContainerSpec) -> str:
        """Make a container and do not start it, as an agent killed between the two does."""
        with self._changed:
            return self._make(spec).seen.container_id

    def prune_images(self) -> None:
        """Remove every image that no container uses."""
        with self._changed:
            self.images &= {held.seen.image for held in self._containers.values()}
            self._tell()

    def wipe(self) -> None:
        """Lose everything, as an engine whose disk was replaced."""
        with self._changed:
            self._containers.clear()
            self.images.clear()
            self._tell()

    def all_containers(self) -> Sequence[Container]:
        """Return every container, those of others too; answers always."""
        with self._changed:
            return [held.seen for held in self._containers.values()]

    def inspect_always(self, container_id: str) -> Container:
        """Return a container, whoever made it; answers always."""
        with self._changed:
            return self._containers[container_id].seen

    # Its own memory.

    @contextlib.contextmanager
    def _asked(self, method: str, *, checks_refusal: bool = True) -> Iterator[None]:
        """Hold the engine's memory for one question, which may be stuck first, or be refused."""
        with self._changed:
            self.calls[method] = self.calls.get(method, 0) + 1
            self._changed.notify_all()  # a test may wait for a call
            self._changed.wait_for(lambda: method not in self.stuck)
            if self._closed:
                raise TransientError("the runtime is closed")
            if self.unreachable is not None:
                raise TransientError(self.unreachable)
            if checks_refusal and (refusal := self.refusals.get(method)) is not None:
                raise refusal
            yield

    def _named(self, name: str) -> _Held | None:
        return next((each for each in self._containers.values() if each.seen.name == name), None)

    def _make(self, spec: ContainerSpec) -> _Held:
        container_id = f"{next(self._numbers):064x}"
        held = _Held(
            Container(
                container_id=container_id,
                name=spec.name,
                image=spec.image,
                labels=dict(spec.labels),
                state=ContainerState.CREATED,
            )
        )
        self._containers[container_id] = held
        self._tell()
        return held

    def _run(self, held: _Held) -> None:
        held.was_stopped_by_hand = False
        held.seen = replace(
            held.seen, state=ContainerState.RUNNING, started_at=self._clock.now(), error=None
        )
        if self.starts_and_dies:
            held.was_stopped_by_hand = True
            held.seen = replace(held.seen, state=ContainerState.EXITED, exit_code=1)
        self._tell()

    def _end(self, container_id: str, *, state: ContainerState, exit_code: int) -> None:
        with self._changed:
            self._containers[container_id].was_stopped_by_hand = True
            self._change_container(
                container_id, state=state, exit_code=exit_code, finished_at=self._clock.now()
            )

    def _change_container(self, container_id: str, **values: Any) -> None:
        with self._changed:
            held = self._containers[container_id]
            held.seen = replace(held.seen, **values)
            self._tell()

    def _is_running(self, container_id: str) -> bool:
        held = self._containers.get(container_id)
        return held is not None and held.seen.state is ContainerState.RUNNING

    def _tell(self) -> None:
        self._change += 1
        self._changed.notify_all()


def _tags(archive: bytes) -> list[str]:
    """Return what the images of a docker archive are called."""
    try:
        with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
            manifest = opened.extractfile("manifest.json")
            entries = json.load(manifest) if manifest is not None else []
    except (tarfile.TarError, KeyError, ValueError, EOFError) as error:
        raise PermanentError(f"this is no docker archive: {error}") from error
    return [tag for entry in entries for tag in entry.get("RepoTags") or ()]


_conforms: type[Runtime] = FakeRuntime
