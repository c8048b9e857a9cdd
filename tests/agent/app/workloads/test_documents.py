"""Packages and services as JSON: what is unknown is null, and what may be secret is left out."""

from __future__ import annotations

import json
from datetime import datetime, timezone

from agent.app.workloads import documents
from agent.model.workloads import (
    AcceleratorAssignment,
    Container,
    ContainerState,
    DesiredService,
    EnvironmentVariable,
    Package,
    PackageState,
    Replica,
    Service,
    ServiceState,
    ServiceUsage,
)

NOON = datetime(2026, 1, 1, 12, 0, tzinfo=timezone.utc)


def test_a_package_that_is_on_its_way_has_no_name_yet():
    package = Package(
        package_id="p", state=PackageState.DOWNLOADING, created_at=NOON, progress_at=NOON
    )
    document = json.loads(json.dumps(documents.package(package)))
    assert (document["state"], document["received_bytes"]) == ("downloading", 0)
    for unknown in ("name", "version", "type", "provider", "size_bytes", "progress_ratio", "md5"):
        assert document[unknown] is None


def test_a_service_shows_names_of_variables_and_no_values():
    service = Service(
        desired=DesiredService(
            service_id="s",
            package_id="p",
            generation="g",
            env=(EnvironmentVariable(name="TOKEN", value="my-secret"),),
            replicas=2,
            created_at=NOON,
            licence_url="http://u:my-secret@host/licence",
        ),
        state=ServiceState.INIT,
        reason="it is about to start",
        replicas=(
            Replica(
                index=0,
                container_id="c",
                state=ContainerState.RUNNING,
                started_at=NOON,
                accelerators=(AcceleratorAssignment(vendor="acme", uuid="u1"),),
            ),
            Replica(index=1, reason="it is about to start"),
        ),
        usage=ServiceUsage(cpu_ratio=0.5, unknown={"memory_used_bytes": "not told"}),
    )
    text = json.dumps(documents.service(service))
    assert "my-secret" not in text
    document = json.loads(text)
    assert (document["state"], document["env"]) == ("INIT", ["TOKEN"])
    first, second = document["replicas"]
    assert (first["state"], first["accelerators"]) == ("running", ["acme:u1"])
    assert first["started_at"].startswith("2026-01-01T12:00:00")
    assert (second["state"], second["container_id"], second["started_at"]) == (None, None, None)
    assert document["usage"]["cpu_ratio"] == 0.5
    assert document["usage"]["memory_used_bytes"] is None
    assert document["usage"]["unknown"] == {"memory_used_bytes": "not told"}


def test_no_orphans_are_something_else_than_unknown_ones():
    orphan = Container(
        container_id="c", name="n", image="i", labels={}, state=ContainerState.EXITED
    )
    assert documents.orphans(None) is None
    assert documents.orphans([]) == []
    assert documents.orphans([orphan]) == [
        {"container_id": "c", "name": "n", "image": "i", "state": "exited"}
    ]
