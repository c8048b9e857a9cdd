"""Turns rows into what the rest of the agent sees of packages."""

from __future__ import annotations

from pathlib import Path

import msgspec

from agent.model.workloads import (
    InstalledPackage,
    Manifest,
    Package,
    PackageState,
    PackageType,
)
from agent.store.packages import InstalledRow, PackageRow, PushRow
from agent.transport import addresses
from agent.workloads.download_queue import Download

_IMAGE = "computility-agent/package"


def encode_manifest(manifest: Manifest) -> str:
    """Return a manifest as a row keeps it."""
    return msgspec.json.encode(manifest).decode("utf-8")


def decode_manifest(text: str) -> Manifest:
    """Return the manifest that a row keeps."""
    return msgspec.json.decode(text, type=Manifest)


def installed(package_id: str, row: InstalledRow, *, file: Path) -> InstalledPackage:
    """Return a package in force."""
    manifest = decode_manifest(row.manifest)
    return InstalledPackage(
        package_id=package_id,
        generation=row.generation,
        file=str(file),
        manifest=manifest,
        image=f"{_IMAGE}:{row.generation}" if manifest.type is PackageType.IMAGE else None,
    )


def package(row: PackageRow, download: Download | None) -> Package:
    """Return a package as it stands now; `download` is what fetches it, None for nothing."""
    if row.push is not None:
        return _on_its_way(row, row.push, download)
    found = row.installed
    if found is None:
        raise ValueError(f"the row of {row.package_id} has neither a file nor a push")
    return Package(
        package_id=row.package_id,
        state=PackageState.READY,
        created_at=row.created_at,
        progress_at=row.progress_at,
        received_bytes=found.size_bytes,
        size_bytes=found.size_bytes,
        progress_ratio=1.0,
        source=found.source,
        manifest=decode_manifest(found.manifest),
        digests=found.digests,
    )


def _on_its_way(row: PackageRow, push: PushRow, download: Download | None) -> Package:
    received_bytes, size_bytes, error = push.synced_bytes, push.size_bytes, push.error
    progress_at = row.progress_at
    if download is not None:
        received_bytes, size_bytes = download.received_bytes, download.size_bytes
        error, progress_at = download.error, download.progress_at
    return Package(
        package_id=row.package_id,
        state=PackageState.FAILED if push.state == "failed" else PackageState.DOWNLOADING,
        created_at=row.created_at,
        progress_at=progress_at,
        received_bytes=received_bytes,
        size_bytes=size_bytes,
        progress_ratio=_ratio(received_bytes, size_bytes),
        error=error,
        source=None if push.url is None else addresses.masked(push.url),
        digests=push.digests,
    )


def _ratio(received_bytes: int, size_bytes: int | None) -> float | None:
    if size_bytes is None:
        return None
    return 1.0 if size_bytes == 0 else min(1.0, received_bytes / size_bytes)
