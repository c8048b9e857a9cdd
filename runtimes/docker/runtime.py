"""The docker engine as the agent's runtime; podman's docker-compatible socket works too."""

from __future__ import annotations

import json
import math
import os
import stat
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from agent.contracts import Runtime
from agent.errors import NotPresent, PermanentError, TransientError
from agent.model.workloads import Container, ContainerSpec, ContainerUsage
from runtimes.docker import container_config, image_loading, readings
from runtimes.docker.cgroups import CgroupReader
from runtimes.docker.connection import EngineConnection, EngineRefusal
from runtimes.docker.exchange import Exchange
from runtimes.docker.starting import ContainerStarter
from runtimes.docker.streams import ChangeStream, LogStream, OpenExchanges

_FIGURES = ("cpu_seconds", "memory_used_bytes", "memory_limit_bytes", "process_ids")
# The engine removes a container in seconds; on a slow disk it takes its time.
_REMOVAL_LOOKS = 100
_REMOVAL_LOOK_SECONDS = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerConfig:
    """Says where the engine listens."""

    socket: str = "unix:///var/run/docker.sock"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Limits each wait for the engine.

    `call_seconds` is for one answer, `send_seconds` for a part of an image to be taken,
    `load_seconds` for an image to be unpacked, which takes minutes on a slow disk.
    """

    call_seconds: float = 60.0
    send_seconds: float = 120.0
    load_seconds: float = 1800.0


class DockerRuntime:
    """Runs containers in a docker engine.

    Nothing is asked before the first call, and nothing is kept of the engine but its connection:
    it may be stopped, restarted and replaced at any time. Safe in every thread.
    """

    name: ClassVar[str] = "docker"
    config_type: ClassVar[type[DockerConfig]] = DockerConfig

    def __init__(
        self,
        config: DockerConfig,
        *,
        timeouts: Timeouts | None = None,
        cgroups: CgroupReader | None = None,
    ) -> None:
        self._socket = config.socket
        self._timeouts = timeouts if timeouts is not None else Timeouts()
        self._cgroups = cgroups if cgroups is not None else CgroupReader()
        self._connection = EngineConnection(
            config.socket, timeout_seconds=self._timeouts.call_seconds
        )
        self._starter = ContainerStarter(self._connection, socket=config.socket)
        self._exchanges = OpenExchanges()
        self._closed = threading.Event()
        # A process of each container that was measured: the kernel says whether it still is one.
        self._processes: dict[str, int] = {}

    def probe(self) -> None:
        """Return if the engine's socket is there; whether it answers is not asked.

        Raises:
            NotPresent: it is not.
        """
        path = self._socket.removeprefix("unix://")
        try:
            is_socket = stat.S_ISSOCK(os.stat(path).st_mode)  # noqa: PTH116 - one call, no object
        except OSError:
            is_socket = False
        if not is_socket:
            raise NotPresent(f"{path} is no socket", hint="install docker and start it")

    def close(self) -> None:
        """End everything that is under way; later calls raise TransientError."""
        self._closed.set()
        self._exchanges.close()
        self._connection.close()

    # Images

    def has_image(self, reference: str) -> bool:
        """Tell whether the engine has an image under this reference; never asks a registry."""
        try:
            self._connection.call(lambda api: api.inspect_image(reference))  # type: ignore[no-untyped-call]
        except EngineRefusal as refusal:
            if refusal.status == 404:
                return False
            raise refusal.as_error(doing=f"looking for the image {reference}") from refusal
        return True

    def load_image(self, archive: Iterable[bytes], *, reference: str) -> None:
        """Load a docker archive whose one image is tagged `reference`; return once it is there.

        An error of `archive` comes through as it is, and the engine drops what it got.
        """
        exchange = self._exchange(timeout_seconds=self._timeouts.send_seconds)
        try:
            image_loading.load(
                exchange,
                archive,
                answer_seconds=self._timeouts.load_seconds,
                is_there=lambda: self.has_image(reference),
                wait=self._closed.wait,
                data_root=self._data_root,
            )
        finally:
            self._end(exchange)

    def remove_image(self, reference: str) -> None:
        """Take the reference away, and the image with it where nothing else uses it."""
        try:
            self._remove_image(reference, force=False)
        except EngineRefusal as refusal:
            if refusal.status != 409:
                raise refusal.as_error(doing=f"removing the image {reference}") from refusal
        else:
            return
        # A container uses it: with force the engine takes the name alone, and what the container
        # stands on stays.
        try:
            self._remove_image(reference, force=True)
        except EngineRefusal as refusal:
            raise refusal.as_error(doing=f"removing the image {reference}") from refusal

    # Containers

    def start(self, spec: ContainerSpec) -> str:
        """Make and start a container; return its id.

        One of this name with these labels is started, and made anew where that cannot be.
        """
        try:
            return self._starter.start(spec)
        except EngineRefusal as refusal:
            raise refusal.as_error(doing=f"starting {spec.name}") from refusal

    def recover(self, container_id: str) -> None:
        """Start a container that is there and does not run.

        Raises:
            PermanentError: it is gone or dead, or cannot be started as it is: make another.
        """
        document = self._own(container_id)
        if document is None:
            raise PermanentError(f"the container {container_id[:12]} is gone")
        try:
            self._starter.recover(document)
        except EngineRefusal as refusal:
            raise refusal.as_error(doing=f"starting {container_id[:12]}") from refusal

    def inspect(self, container_id: str) -> Container | None:
        """Return what a container of ours does now, None where it is gone."""
        document = self._own(container_id)
        return None if document is None else readings.container(document)

    def list_owned(self) -> Sequence[Container]:
        """Return every container with the label `computility-agent.service`, stopped ones too.

        The engine's list tells neither restarts nor health: one call more for each container.
        """
        filters = {"label": readings.SERVICE_LABEL}
        try:
            found = self._connection.call(
                lambda api: readings.identifiers(api.containers(all=True, filters=filters))
            )
        except EngineRefusal as refusal:
            raise refusal.as_error(doing="listing the containers") from refusal
        for forgotten in self._processes.copy().keys() - set(found):
            self._processes.pop(forgotten, None)
        # One that vanished meanwhile is no fault.
        documents = (self._own(identifier) for identifier in found)
        return tuple(readings.container(document) for document in documents if document is not None)

    def stop(self, container_id: str, *, timeout_seconds: float) -> None:
        """Stop a container, after the timeout by force, and remove it; one that is gone is fine."""
        if self._own(container_id) is None:
            return
        seconds = max(0, math.ceil(timeout_seconds))
        try:
            self._connection.call(lambda api: api.stop(container_id, timeout=seconds))
        except EngineRefusal as refusal:
            if refusal.status == 404:
                return
            # One that cannot be stopped, because it is dead or paused, is removed by force.
        try:
            self._connection.call(
                lambda api: api.remove_container(container_id, force=True, v=True)
            )
        except EngineRefusal as refusal:
            if refusal.status == 409:
                self._wait_until_removed(container_id)
            elif refusal.status != 404:
                raise refusal.as_error(doing=f"removing {container_id[:12]}") from refusal

    def logs(self, container_id: str, *, tail_lines: int, follow: bool) -> Iterator[bytes]:
        """Yield the last lines of output and of errors, in their order, as chunks of bytes.

        What is returned has `close()`, which any thread may call.

        Raises:
            PermanentError: the container is gone.
        """
        document = self._own(container_id)
        if document is None:
            raise PermanentError(f"the container {container_id[:12]} is gone")
        parameters = {
            "stdout": "1",
            "stderr": "1",
            "tail": str(max(0, tail_lines)),
            "follow": "1" if follow else "0",
        }
        exchange = self._exchange(timeout_seconds=self._timeouts.call_seconds)
        path = f"/containers/{document['Id']}/logs"
        self._open(exchange, path, parameters=parameters, doing="reading the log")
        if follow:
            exchange.wait_at_most(None)
        has_terminal = document["Config"].get("Tty") is True
        return LogStream(exchange, is_framed=not has_terminal, on_end=self._exchanges.remove)

    def usage(self, container_id: str) -> ContainerUsage:
        """Return what a container uses now, from the kernel's own files.

        The engine is asked only where no process of the container is known, or that one ended.
        """
        known = self._processes.pop(container_id, None)
        if known is not None:
            usage = self._cgroups.usage(pid=known, container_id=container_id)
            if usage.process_ids:
                self._processes[container_id] = known
                return usage
        document = self._own(container_id)
        state = {} if document is None else document["State"]
        pid = state.get("Pid")
        if document is None or not isinstance(pid, int) or pid <= 0:
            reason = "the container is gone" if document is None else "the container does not run"
            return ContainerUsage(unknown=dict.fromkeys(_FIGURES, reason))
        if document["Id"] == container_id:
            self._processes[container_id] = pid
        return self._cgroups.usage(pid=pid, container_id=document["Id"])

    def changes(self) -> Iterator[None]:
        """Yield each time that something may have changed with containers of ours, or with images.

        The first comes at once, when the engine has begun to tell. Ends when its stream ends, or
        by `close()` of the runtime or of what is returned. An engine that stands still without
        ending (SIGSTOP) is not noticed here: whoever listens also looks from time to time.
        """
        filters = {
            "type": ["container", "image"],
            "event": [*readings.CONTAINER_ACTIONS, *readings.IMAGE_ACTIONS],
        }
        exchange = self._exchange(timeout_seconds=self._timeouts.call_seconds)
        self._open(
            exchange,
            "/events",
            parameters={"filters": json.dumps(filters)},
            doing="listening for events",
        )
        exchange.wait_at_most(None)
        return ChangeStream(exchange, matters=readings.is_change, on_end=self._exchanges.remove)

    def describe(self, spec: ContainerSpec) -> Mapping[str, Any]:
        """Return, as JSON, exactly what the engine would be sent; asks nobody.

        `name` is the parameter of POST /containers/create, `body` its body. An engine without an
        init program of its own is sent the same with `Init` false, after it refused this.
        """
        return {"name": spec.name, "body": container_config.create_body(spec)}

    def _own(self, container_id: str) -> dict[str, Any] | None:
        """Return what the engine says of a container of ours, None where it is gone.

        Raises:
            PermanentError: it is not ours.
        """
        try:
            document: dict[str, Any] = self._connection.call(
                lambda api: readings.inspected(api.inspect_container(container_id))
            )
        except EngineRefusal as refusal:
            if refusal.status == 404:
                return None
            raise refusal.as_error(doing=f"looking at {container_id[:12]}") from refusal
        if readings.SERVICE_LABEL not in readings.labels(document["Config"].get("Labels")):
            raise PermanentError(f"the container {container_id[:12]} is not one of this program")
        return document

    def _remove_image(self, reference: str, *, force: bool) -> None:
        try:
            self._connection.call(lambda api: api.remove_image(reference, force=force))
        except EngineRefusal as refusal:
            if refusal.status != 404:
                raise

    def _wait_until_removed(self, container_id: str) -> None:
        """Wait for a removal that somebody else began."""
        for _ in range(_REMOVAL_LOOKS):
            if self._own(container_id) is None:
                return
            if self._closed.wait(_REMOVAL_LOOK_SECONDS):
                break
        raise TransientError(f"the engine is still removing the container {container_id[:12]}")

    def _data_root(self) -> str | None:
        try:
            root = self._connection.call(lambda api: api.info().get("DockerRootDir"))
        except (EngineRefusal, TransientError):
            return None
        return root if isinstance(root, str) else None

    def _exchange(self, *, timeout_seconds: float) -> Exchange:
        return self._exchanges.add(Exchange(self._socket, timeout_seconds=timeout_seconds))

    def _open(
        self, exchange: Exchange, path: str, *, parameters: Mapping[str, str], doing: str
    ) -> None:
        try:
            exchange.open("GET", path, parameters=parameters)
        except EngineRefusal as refusal:
            self._end(exchange)
            if refusal.status == 404:
                raise PermanentError(f"{doing}: it is gone") from refusal
            raise refusal.as_error(doing=doing) from refusal
        except BaseException:
            self._end(exchange)
            raise

    def _end(self, exchange: Exchange) -> None:
        exchange.close()
        self._exchanges.remove(exchange)


_conforms: type[Runtime] = DockerRuntime
