"""Packages and services as JSON, for `status`, `packages list` and `services list`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from agent.app.collect import timestamp
from agent.model.workloads import Container, Package, Replica, Service, ServiceUsage


def package(each: Package) -> dict[str, Any]:
    """Return a package; name, version and type are None until algo.yaml was read."""
    manifest = each.manifest
    return {
        "package_id": each.package_id,
        "state": each.state.value,
        "name": manifest and manifest.name,
        "version": manifest and manifest.version,
        "type": manifest and manifest.type.value,
        "provider": manifest and manifest.provider,
        "size_bytes": each.size_bytes,
        "received_bytes": each.received_bytes,
        "progress_ratio": each.progress_ratio,
        "error": each.error,
        "source": each.source,
        "md5": each.digests.md5,
        "created_at": timestamp(each.created_at),
        "progress_at": timestamp(each.progress_at),
    }


def service(each: Service) -> dict[str, Any]:
    """Return a service; the values of its variables are left out, since they may be secret."""
    desired = each.desired
    return {
        "service_id": desired.service_id,
        "package_id": desired.package_id,
        "state": each.state.value,
        "reason": each.reason,
        "env": [variable.name for variable in desired.env],
        "replicas_wanted": desired.replicas,
        "replicas": [_replica(replica) for replica in each.replicas],
        "usage": _usage(each.usage),
        "created_at": timestamp(desired.created_at),
    }


def orphans(found: Sequence[Container] | None) -> list[dict[str, Any]] | None:
    """Return the containers of services that this agent did not make; None for unknown."""
    if found is None:
        return None
    return [
        {
            "container_id": each.container_id,
            "name": each.name,
            "image": each.image,
            "state": each.state.value,
        }
        for each in found
    ]


def _replica(each: Replica) -> dict[str, Any]:
    return {
        "index": each.index,
        "container_id": each.container_id,
        "state": each.state and each.state.value,
        "reason": each.reason,
        "restarts": each.restarts,
        "started_at": _optional(each.started_at),
        "accelerators": [f"{chip.vendor}:{chip.uuid}" for chip in each.accelerators],
    }


def _usage(usage: ServiceUsage) -> dict[str, Any]:
    return {
        "cpu_ratio": usage.cpu_ratio,
        "memory_used_bytes": usage.memory_used_bytes,
        "accelerator_memory_total_bytes": usage.accelerator_memory_total_bytes,
        "accelerator_memory_used_bytes": usage.accelerator_memory_used_bytes,
        "accelerator_utilization_ratio": usage.accelerator_utilization_ratio,
        "unknown": dict(usage.unknown),
    }


def _optional(moment: datetime | None) -> str | None:
    return None if moment is None else timestamp(moment)
