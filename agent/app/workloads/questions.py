"""What the commands `packages` and `services` may ask the running daemon on its local socket."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from agent.app.local_socket import Answer, Question
from agent.app.workloads import documents
from agent.errors import PermanentError, RequestError, TransientError
from agent.model.workloads import Container, Digests, EnvironmentVariable, Service
from agent.workloads.packages import PackagePush, Packages
from agent.workloads.services import ServiceLoad, Services

LIST_PACKAGES = "packages"
PUSH_PACKAGE = "push package"
DELETE_PACKAGE = "delete package"
LIST_SERVICES = "services"
LOAD_SERVICE = "load service"
UNLOAD_SERVICE = "unload service"


class Workloads(Protocol):
    """Is what is asked: the packages and services of the running agent."""

    @property
    def packages(self) -> Packages:
        """Return the packages."""

    @property
    def services(self) -> Services:
        """Return the services that are asked for."""

    def seen(self) -> Sequence[Service]:
        """Return the services as they were last seen."""

    def orphans(self) -> Sequence[Container] | None:
        """Return the containers of services that this agent did not make; None for unknown."""


def answers(
    workloads: Callable[[], Workloads | None], *, are_wanted: Callable[[], bool]
) -> Mapping[str, Answer]:
    """Return what answers each question; `workloads` returns None while none run.

    `are_wanted` tells whether the settings want any.
    """

    def running() -> Workloads:
        found = workloads()
        if found is not None:
            return found
        if are_wanted():
            raise TransientError("the agent starts or stops; try again", retry_after_seconds=5)
        raise PermanentError("this agent runs no algorithm services: runtime.kind is none")

    return {
        LIST_PACKAGES: lambda _: {
            "packages": [documents.package(each) for each in running().packages.list()]
        },
        PUSH_PACKAGE: lambda asked: _push(running(), asked),
        DELETE_PACKAGE: lambda asked: _delete(running(), asked),
        LIST_SERVICES: lambda _: {
            "services": [documents.service(each) for each in running().seen()],
            "orphans": documents.orphans(running().orphans()),
        },
        LOAD_SERVICE: lambda asked: _load(running(), asked),
        UNLOAD_SERVICE: lambda asked: _unload(running(), asked),
    }


def _push(workloads: Workloads, asked: Question) -> Mapping[str, Any]:
    package_id = _text(asked, "package_id")
    digests = Digests(
        md5=_optional_text(asked, "md5"),
        sha256=_optional_text(asked, "sha256"),
        sm3=_optional_text(asked, "sm3"),
    )
    if asked.file is not None:
        workloads.packages.receive(package_id, file=asked.file, digests=digests)
    else:
        workloads.packages.push(
            PackagePush(package_id=package_id, url=_text(asked, "url"), digests=digests)
        )
    return documents.package(workloads.packages.get(package_id))


def _delete(workloads: Workloads, asked: Question) -> Mapping[str, Any]:
    workloads.packages.delete(_text(asked, "package_id"))
    return {}


def _load(workloads: Workloads, asked: Question) -> Mapping[str, Any]:
    env = asked.fields.get("env", {})
    if not isinstance(env, dict) or not all(isinstance(value, str) for value in env.values()):
        raise RequestError("env is no object of texts")
    replicas = asked.fields.get("replicas", 1)
    if not isinstance(replicas, int) or isinstance(replicas, bool):
        raise RequestError("replicas is no whole number")
    service_id = workloads.services.load(
        ServiceLoad(
            package_id=_text(asked, "package_id"),
            env=tuple(EnvironmentVariable(name=name, value=env[name]) for name in env),
            licence_url=_optional_text(asked, "licence_url"),
            replicas=replicas,
        )
    )
    return {"service_id": service_id}


def _unload(workloads: Workloads, asked: Question) -> Mapping[str, Any]:
    workloads.services.unload(
        package_id=_text(asked, "package_id"), service_id=_optional_text(asked, "service_id")
    )
    return {}


def _text(asked: Question, name: str) -> str:
    value = _optional_text(asked, name)
    if value is None:
        raise RequestError(f"{name} is missing")
    return value


def _optional_text(asked: Question, name: str) -> str | None:
    value = asked.fields.get(name)
    if value is not None and not isinstance(value, str):
        raise RequestError(f"{name} is no text")
    return value
