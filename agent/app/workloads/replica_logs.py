"""Finds what a replica printed, and cuts it to what is answered at most."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from agent.contracts import Runtime
from agent.errors import ConflictError, NotFoundError
from agent.model.workloads import Service

MAXIMUM_BYTES = 1024 * 1024


def read(
    services: Sequence[Service],
    service_id: str,
    *,
    replica: int,
    tail_lines: int,
    runtime: Callable[[], Runtime],
) -> bytes:
    """Return the last lines that a replica printed, at most 1 MiB of them.

    Raises:
        NotFoundError: there is no such service or replica.
        ConflictError: the replica has no container.
        TransientError, PermanentError: the engine cannot tell.
    """
    service = next((each for each in services if each.desired.service_id == service_id), None)
    if service is None:
        raise NotFoundError(f"there is no service {service_id}")
    if not 0 <= replica < service.desired.replicas:
        raise NotFoundError(
            f"service {service_id} has the replicas 0 to {service.desired.replicas - 1}"
        )
    found = next((each for each in service.replicas if each.index == replica), None)
    if found is None or found.container_id is None:
        why = (found and found.reason) or service.reason or "it was not made yet"
        raise ConflictError(f"replica {replica} has no container: {why}")
    chunks = runtime().logs(found.container_id, tail_lines=tail_lines, follow=False)
    return tail(chunks, maximum_bytes=MAXIMUM_BYTES)


def tail(chunks: Iterable[bytes], *, maximum_bytes: int) -> bytes:
    """Return the end of a text, cut at the beginning of a line where there is one."""
    kept = bytearray()
    is_cut = False
    for chunk in chunks:
        kept += chunk
        if len(kept) > 2 * maximum_bytes:
            del kept[:-maximum_bytes]
            is_cut = True
    if len(kept) > maximum_bytes:
        del kept[:-maximum_bytes]
        is_cut = True
    if is_cut:
        del kept[: kept.find(b"\n") + 1]
    return bytes(kept)
