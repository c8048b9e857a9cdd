"""What the commands `packages inspect` and `packages build` do with a package's file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.errors import TransientError
from agent.model.workloads import Digests, Manifest
from agent.workloads.package_format import building
from agent.workloads.package_format.building import Built
from agent.workloads.package_format.inspection import Inspection, InspectionLimits, inspect

_CHUNK_BYTES = 1024 * 1024
_GIB = 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectedFile:
    """Is a package that an agent would take; a digest is None where this Python cannot make it."""

    path: Path
    inspection: Inspection
    digests: Digests


def inspect_file(
    path: Path, *, architecture: str | None, on_bytes: Callable[[int], None]
) -> InspectedFile:
    """Check a package as an agent would, and return what is in it.

    Raises:
        PackageRefused: an agent would not take it.
        TransientError: the file cannot be read.
    """
    inspection = inspect(path, limits=InspectionLimits(), architecture=architecture)
    return InspectedFile(path=path, inspection=inspection, digests=_digests(path, on_bytes))


def build(
    folder: Path,
    *,
    output: Path | None,
    architecture: str | None,
    on_bytes: Callable[[int], None],
) -> tuple[Built, Digests]:
    """Make a package of a folder and return it with its digests.

    Raises:
        BadInput: the folder or the output cannot be used.
        PackageRefused: an agent would not take the package.
        TransientError: the disk is full, or fails.
    """
    try:
        built = building.build(
            folder,
            output=output,
            limits=InspectionLimits(),
            architecture=architecture,
            on_bytes=on_bytes,
        )
    except OSError as error:
        raise TransientError(f"the package cannot be written: {error.strerror}") from error
    return built, _digests(built.path, on_bytes)


def _digests(path: Path, on_bytes: Callable[[int], None]) -> Digests:
    running = {name: _digest(name) for name in ("md5", "sha256", "sm3")}
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                for digest in running.values():
                    if digest is not None:
                        digest.update(chunk)
                on_bytes(len(chunk))
    except OSError as error:
        raise TransientError(f"{path} cannot be read: {error.strerror}") from error
    return Digests(
        **{name: None if one is None else one.hexdigest() for name, one in running.items()}
    )


def _digest(name: str) -> Any:
    """Return a running digest; None where this build of OpenSSL, or its policy, has none."""
    try:
        return hashlib.new(name, usedforsecurity=False)
    except ValueError:
        return None


def document(inspected: InspectedFile) -> dict[str, Any]:
    """Return what is in a package as plain values for JSON."""
    inspection, image = inspected.inspection, inspected.inspection.image
    return {
        "file": str(inspected.path),
        "size_bytes": inspection.size_bytes,
        "digests": {
            "md5": inspected.digests.md5,
            "sha256": inspected.digests.sha256,
            "sm3": inspected.digests.sm3,
        },
        "manifest": _manifest(inspection.manifest),
        "image": None
        if image is None
        else {
            "id": image.image_id,
            "form": image.form,
            "compressed": image.is_compressed,
            "architecture": image.architecture,
            "os": image.operating_system,
            "layers": image.layers,
            "size_bytes": image.size_bytes,
            "tags": list(image.tags),
        },
        "members": [
            {"name": member.name, "size_bytes": member.size_bytes} for member in inspection.members
        ],
    }


def _manifest(manifest: Manifest) -> dict[str, Any]:
    health, resources = manifest.health, manifest.resources
    return {
        "name": manifest.name,
        "version": manifest.version,
        "provider": manifest.provider,
        "type": manifest.type.value,
        "member": manifest.member,
        "env": [{"name": one.name, "value": one.value} for one in manifest.env],
        "command": None if manifest.command is None else list(manifest.command),
        "ports": [
            {
                "container_port": port.container_port,
                "host_port": port.host_port,
                "protocol": port.protocol,
            }
            for port in manifest.ports
        ],
        "health": None
        if health is None
        else {
            "command": list(health.command),
            "interval_seconds": health.interval_seconds,
            "timeout_seconds": health.timeout_seconds,
            "start_seconds": health.start_seconds,
            "retries": health.retries,
        },
        "resources": {
            "cpus": resources.cpus,
            "memory_gib": _gib(resources.memory_bytes),
            "shared_memory_gib": _gib(resources.shared_memory_bytes),
            "accelerators": resources.accelerators,
        },
        "licence_path": manifest.licence_path,
        "read_only_root": manifest.read_only_root,
        "unknown_keys": list(manifest.unknown_keys),
    }


def _gib(size_bytes: int | None) -> float | None:
    return None if size_bytes is None else round(size_bytes / _GIB, 6)
