"""The lines that `packages inspect` and `packages build` print."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from agent.app.workloads.package_file import InspectedFile
from agent.model.workloads import Digests, Manifest
from agent.workloads.package_format.building import Built
from agent.workloads.package_format.inspection import ImageSummary
from agent.workloads.package_format.names import shown

_GIB = 1024**3
_UNITS = ((1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB"))


def inspected_lines(inspected: InspectedFile) -> Iterator[str]:
    """Yield what is in a package, a line each."""
    inspection = inspected.inspection
    yield f"file         {inspected.path}"
    yield f"size         {size(inspection.size_bytes)}"
    yield from digest_lines(inspected.digests)
    yield from _manifest_lines(inspection.manifest)
    if inspection.image is not None:
        yield from _image_lines(inspection.image)
    for member in inspection.members:
        yield f"member       {member.name}  {size(member.size_bytes)}"
    for key in inspection.manifest.unknown_keys:
        yield f"unknown key  {key}  (means nothing to this agent)"


def built_lines(built: Built, digests: Digests) -> Iterator[str]:
    """Yield what was made, a line each."""
    for name in built.left_out:
        yield f"left out     {shown(name)}"
    for key in built.inspection.manifest.unknown_keys:
        yield f"unknown key  {key}  (means nothing to this agent)"
    yield f"package      {built.path}"
    yield f"size         {size(built.inspection.size_bytes)}"
    yield from digest_lines(digests)


def digest_lines(digests: Digests) -> Iterator[str]:
    """Yield the digests, a line each."""
    for name, digest in (("MD5", digests.md5), ("SHA-256", digests.sha256), ("SM3", digests.sm3)):
        yield f"{name:<12} {digest or 'unknown: the OpenSSL of this Python does not have it'}"


def _manifest_lines(manifest: Manifest) -> Iterator[str]:
    yield f"name         {manifest.name}"
    yield f"version      {manifest.version}"
    if manifest.provider is not None:
        yield f"provider     {manifest.provider}"
    yield f"type         {manifest.type.value}, {manifest.member}"
    for one in manifest.env:
        yield f"env          {one.name}={shlex.quote(one.value) if one.value else ''}"
    if manifest.command is not None:
        yield f"command      {shlex.join(manifest.command)}"
    for port in manifest.ports:
        host = f", on this node {port.host_port}" if port.host_port is not None else ""
        yield f"port         {port.container_port}/{port.protocol}{host}"
    health = manifest.health
    if health is not None:
        yield (
            f"health       {shlex.join(health.command)}  every {health.interval_seconds:g} s, "
            f"at most {health.timeout_seconds:g} s, {health.retries} tries, "
            f"{health.start_seconds:g} s to start"
        )
    yield from _resource_lines(manifest)
    if manifest.licence_path is not None:
        yield f"licence      {manifest.licence_path}"
    if manifest.read_only_root:
        yield "root         read-only"


def _resource_lines(manifest: Manifest) -> Iterator[str]:
    wanted = manifest.resources
    parts = []
    if wanted.cpus is not None:
        parts.append(f"{wanted.cpus:g} CPUs")
    if wanted.memory_bytes is not None:
        parts.append(f"{wanted.memory_bytes / _GIB:g} GiB of memory")
    if wanted.shared_memory_bytes is not None:
        parts.append(f"{wanted.shared_memory_bytes / _GIB:g} GiB of shared memory")
    if wanted.accelerators is not None:
        parts.append(f"{wanted.accelerators} accelerators")
    if parts:
        yield f"resources    {', '.join(parts)}"


def _image_lines(image: ImageSummary) -> Iterator[str]:
    form = "docker save" if image.form == "docker" else "OCI layout"
    gzip = ", in gzip" if image.is_compressed else ""
    yield f"image        {image.image_id}"
    yield f"image form   {form}{gzip}, {image.layers} layers, {size(image.size_bytes)}"
    yield f"image for    {image.operating_system}/{image.architecture}"
    for tag in image.tags:
        yield f"image tag    {shown(tag)}  (is dropped)"


def size(size_bytes: int) -> str:
    """Return a size in words, with the bytes."""
    for unit_bytes, unit in _UNITS:
        if size_bytes >= unit_bytes:
            return f"{size_bytes / unit_bytes:.1f} {unit} ({size_bytes} bytes)"
    return f"{size_bytes} bytes"
