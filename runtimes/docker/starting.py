"""Making and starting containers, so that a call repeated after a crash ends in the same state."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from agent.errors import PermanentError, TransientError
from agent.model.workloads import ContainerSpec, ContainerState
from runtimes.docker import causes, container_config, readings
from runtimes.docker.connection import EngineConnection, EngineRefusal

if TYPE_CHECKING:
    import docker

_LOG = logging.getLogger(__name__)
_INIT_PROGRAM = "docker-init"
# Whoever can talk to one of these is root on this node.
_ENGINE_SOCKETS = (
    "/var/run/docker.sock",
    "/run/docker.sock",
    "/run/containerd/containerd.sock",
    "/run/podman/podman.sock",
)
# With these the engine says that what it was to run or to mount does not fit the image.
_DOES_NOT_FIT = (126, 127)


class ContainerStarter:
    """Makes, finds and starts containers; keeps nothing, safe in every thread.

    `socket` is the engine's own address, which no container may see.
    """

    def __init__(self, connection: EngineConnection, *, socket: str) -> None:
        self._connection = connection
        self._sockets = (*_ENGINE_SOCKETS, socket.removeprefix("unix://"))

    def start(self, spec: ContainerSpec) -> str:
        """Make and start a container; return its id.

        Raises:
            PermanentError: the engine refuses it, or another container has this name.
            TransientError: it cannot be made now.
        """
        self._refuse_what_is_never_made(spec)
        found = self._named(spec.name)
        if found is not None and not self._is_same(found, spec):
            raise PermanentError(
                f"a container {spec.name} with other labels is there already: if nobody needs it, "
                f"remove it (docker rm -f {spec.name})"
            )
        if found is not None:
            if readings.container_state(found["State"]) is not ContainerState.DEAD:
                return self._start_found(found, spec=spec)
            self._remove(found["Id"])
        return self._make(spec)

    def recover(self, document: Mapping[str, Any]) -> None:
        """Start a container that is there and does not run.

        Raises:
            PermanentError: it cannot be started as it is.
            TransientError: it cannot be started now.
        """
        container_id = document["Id"]
        state = readings.container_state(document["State"])
        if state in (ContainerState.RUNNING, ContainerState.RESTARTING):
            return
        if state is ContainerState.DEAD:
            raise PermanentError(
                f"the container {readings.name(document)} is dead and cannot be started"
            )
        try:
            if state is ContainerState.PAUSED:
                self._connection.call(lambda api: api.unpause(container_id))
            else:
                self._connection.call(lambda api: api.start(container_id))
        except EngineRefusal as refusal:
            if refusal.status == 404:
                raise PermanentError(
                    f"the container {readings.name(document)} is gone"
                ) from refusal
            devices, sources = readings.host_paths(document)
            # A port that is taken is waited for: another container would not get it either.
            raise self._explained(
                refusal,
                doing=f"starting {readings.name(document)}",
                container_id=container_id,
                cause=causes.bad_device(devices) or causes.missing_source(sources),
                runtime=readings.runtime(document),
            ) from refusal

    def _refuse_what_is_never_made(self, spec: ContainerSpec) -> None:
        if readings.SERVICE_LABEL not in spec.labels:
            raise PermanentError(
                f"{spec.name}: a container without the label {readings.SERVICE_LABEL} would be "
                "lost: nobody would find it again"
            )
        for mount in spec.mounts:
            for socket in self._sockets:
                if shows(mount.source, secret=socket):
                    raise PermanentError(
                        f"{spec.name}: the mount of {mount.source} would show it the engine's "
                        f"socket {socket}"
                    )

    def _named(self, name: str) -> dict[str, Any] | None:
        try:
            document = self._connection.call(
                lambda api: readings.inspected(api.inspect_container(name))
            )
        except EngineRefusal as refusal:
            if refusal.status == 404:
                return None
            raise refusal.as_error(doing=f"looking for {name}") from refusal
        # The engine also takes the beginning of an id for a name.
        return document if readings.name(document) == name else None

    def _is_same(self, document: Mapping[str, Any], spec: ContainerSpec) -> bool:
        found = readings.labels(document["Config"].get("Labels"))
        return all(found.get(name) == value for name, value in spec.labels.items())

    def _start_found(self, document: Mapping[str, Any], *, spec: ContainerSpec) -> str:
        try:
            self.recover(document)
        except PermanentError:
            self._remove(document["Id"])
            return self._make(spec)
        return str(document["Id"])

    def _make(self, spec: ContainerSpec) -> str:
        body = container_config.create_body(spec)
        try:
            return self._create_and_start(spec, body)
        except (PermanentError, TransientError) as error:
            # Its own small init is a program that some distributions pack apart.
            if not isinstance(error.__cause__, EngineRefusal) or self._connection.call(_has_init):
                raise
        _LOG.warning("engine_has_no_init container=%s: it runs without one", spec.name)
        return self._create_and_start(spec, container_config.without_init(body))

    def _create_and_start(self, spec: ContainerSpec, body: dict[str, Any]) -> str:
        doing = f"making {spec.name}"
        try:
            # With `create` a missing image is an error; nothing is fetched from a registry.
            container_id = self._connection.call(
                lambda api: readings.identifier(
                    api.create_container_from_config(body, spec.name)  # type: ignore[no-untyped-call]
                )
            )
        except EngineRefusal as refusal:
            if refusal.status == 404:
                raise TransientError(
                    f"{doing}: the engine has no image {spec.image}: it has to be loaded first"
                ) from refusal
            raise self._explained(
                refusal,
                doing=doing,
                container_id=None,
                cause=_cause(spec),
                runtime=spec.runtime,
            ) from refusal
        try:
            self._connection.call(lambda api: api.start(container_id))
        except EngineRefusal as refusal:
            try:
                error = self._explained(
                    refusal,
                    doing=f"starting {spec.name}",
                    container_id=container_id,
                    cause=_cause(spec),
                    runtime=spec.runtime,
                )
            finally:
                self._remove(container_id)
            raise error from refusal
        return container_id

    def _remove(self, container_id: str) -> None:
        try:
            self._connection.call(
                lambda api: api.remove_container(container_id, force=True, v=True)
            )
        except EngineRefusal as refusal:
            if refusal.status != 404:
                raise refusal.as_error(doing=f"removing {container_id[:12]}") from refusal

    def _explained(
        self,
        refusal: EngineRefusal,
        *,
        doing: str,
        container_id: str | None,
        cause: str | None,
        runtime: str | None,
    ) -> PermanentError | TransientError:
        """Return the error of a container that was not made, with its cause where that shows.

        `cause` is what was seen on this node, None where nothing is wrong there.
        """
        if cause is not None:
            return PermanentError(f"{doing}: {cause}. The engine said: {refusal.message}")
        if runtime is not None and runtime not in self._connection.call(_runtimes):
            return PermanentError(
                f"{doing}: the engine does not know the runtime {runtime}: install the vendor's "
                "container toolkit and restart docker"
            )
        if container_id is not None and self._exit_code(container_id) in _DOES_NOT_FIT:
            return PermanentError(f"{doing}: it cannot be started as it is: {refusal.message}")
        return refusal.as_error(doing=doing)

    def _exit_code(self, container_id: str) -> int | None:
        try:
            document = self._connection.call(
                lambda api: readings.inspected(api.inspect_container(container_id))
            )
        except EngineRefusal:
            return None
        code = document["State"].get("ExitCode")
        return code if isinstance(code, int) else None


def shows(source: str, *, secret: str) -> bool:
    """Tell whether a mount of a path would show a file, links followed."""
    folder, file = os.path.realpath(source), os.path.realpath(secret)
    return file == folder or file.startswith(folder.rstrip("/") + "/")


def _cause(spec: ContainerSpec) -> str | None:
    devices = [container_config.split_device(device)[0] for device in spec.devices]
    return (
        causes.bad_device(devices)
        or causes.missing_source(mount.source for mount in spec.mounts)
        or causes.taken_port(spec.ports)
    )


def _has_init(api: docker.APIClient) -> bool:
    components = api.version(api_version=False).get("Components") or ()
    return any(component.get("Name") == _INIT_PROGRAM for component in components)


def _runtimes(api: docker.APIClient) -> Iterable[str]:
    return tuple(api.info().get("Runtimes") or ())
