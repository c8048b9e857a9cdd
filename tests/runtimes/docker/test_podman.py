"""Podman's docker-compatible socket."""

from __future__ import annotations

import pytest

from agent.model.workloads import ContainerSpec, ContainerState
from tests.docker_engine import Podman, docker_archive

pytestmark = pytest.mark.docker


def test_a_container_lives_and_ends_under_podman(podman_engine: Podman) -> None:
    runtime = podman_engine.runtime()
    reference = podman_engine.reference()
    labels = {"computility-agent.service": "s", "computility-agent.replica": "0"}
    spec = ContainerSpec(
        name=podman_engine.name(),
        image=reference,
        labels=labels,
        command=("/bin/sh", "-c", "echo out; echo err >&2; exec sleep 1000"),
        memory_bytes=64 << 20,
        processes_maximum=50,
        read_only_root=True,
    )
    try:
        assert not runtime.has_image(reference)
        runtime.load_image([docker_archive(reference=reference)], reference=reference)
        assert runtime.has_image(reference)
        changes = runtime.changes()
        next(changes)

        container_id = runtime.start(spec)
        assert runtime.start(spec) == container_id
        next(changes)

        (container,) = runtime.list_owned()
        assert container.container_id == container_id
        assert container.name == spec.name
        assert container.image == reference
        assert container.state is ContainerState.RUNNING
        assert container.labels == labels
        usage = runtime.usage(container_id)
        assert usage.unknown == {}
        assert usage.memory_limit_bytes == 64 << 20
        assert usage.process_ids
        written = b"".join(runtime.logs(container_id, tail_lines=10, follow=False))
        assert sorted(written.split()) == [b"err", b"out"]

        runtime.stop(container_id, timeout_seconds=0)
        assert runtime.inspect(container_id) is None
        assert runtime.list_owned() == ()
        runtime.remove_image(reference)
        assert not runtime.has_image(reference)
    finally:
        runtime.close()
