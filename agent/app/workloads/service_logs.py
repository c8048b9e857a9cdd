"""Reads what the containers of a service printed, from the engine itself: no agent need run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from agent.app.workloads import runtime_choice
from agent.config.settings import RuntimeSettings
from agent.contracts import Runtime
from agent.errors import NotFoundError
from agent.model.workloads import Container
from agent.workloads import labels


@contextmanager
def opened(
    settings: RuntimeSettings,
    service_id: str,
    *,
    replica: int,
    tail_lines: int,
    follow: bool,
    build_runtime: Callable[[RuntimeSettings], Runtime] = runtime_choice.build,
) -> Iterator[Iterator[bytes]]:
    """Give the output of a replica in chunks, to the end of the block.

    `service_id` may be cut short as long as it fits one service.

    Raises:
        NotFoundError: there is no such container, or several services fit.
        TransientError, PermanentError: the engine cannot be asked.
    """
    runtime = build_runtime(settings)
    try:
        container = _find(runtime.list_owned(), service_id, replica=replica)
        yield runtime.logs(container.container_id, tail_lines=tail_lines, follow=follow)
    finally:
        runtime.close()


def _find(containers: Sequence[Container], service_id: str, *, replica: int) -> Container:
    found = [each for each in containers if each.labels[labels.SERVICE].startswith(service_id)]
    services = {each.labels[labels.SERVICE] for each in found}
    if not services:
        raise NotFoundError(f"no container of a service {service_id} is on this node")
    if len(services) > 1:
        raise NotFoundError(f"{service_id} fits several services: {', '.join(sorted(services))}")
    for each in found:
        if each.labels.get(labels.REPLICA) == str(replica):
            return each
    known = sorted(each.labels.get(labels.REPLICA, "?") for each in found)
    raise NotFoundError(f"there is no replica {replica}; there are: {', '.join(known)}")
