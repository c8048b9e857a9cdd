"""The image of a package on its way into an engine, under a name of ours."""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

from agent.model.workloads import Manifest
from agent.workloads.package_format.archive import BLOCK_BYTES, Member
from agent.workloads.package_format.errors import PackageRefused
from agent.workloads.package_format.image_archive import ArchivedImage
from agent.workloads.package_format.image_survey import SurveyedFile, open_source
from agent.workloads.package_format.inspection import survey_image
from agent.workloads.package_format.limits import InspectionLimits
from agent.workloads.package_format.names import shown
from agent.workloads.package_format.package_archive import find_member, open_package, read_contents
from agent.workloads.package_format.sources import CHUNK_BYTES, FileRegion, Source


def open_image(
    path: Path,
    manifest: Manifest,
    *,
    reference: str,
    limits: InspectionLimits | None = None,
    architecture: str | None = None,
) -> Iterator[bytes]:
    """Return the image of a package as a `docker save` archive, in parts of at most 256 KiB.

    The archive holds one image, tagged `reference` and nothing else: its config and its layers as
    they are in the package, and a manifest.json of ours at its end. Nothing is written to the disk.
    The package is checked before this returns, the digest of each layer as it passes: a layer that
    is another than its name or the image's config says ends the stream with an error before there
    is a manifest. `limits` None are the usual ones, `architecture` None is that of this machine.

    Raises:
        PackageRefused: the package cannot be used; while it is read, too.
        TransientError: the file cannot be read; while it is read, too.
    """
    bounds = limits or InspectionLimits()
    with open_package(path) as region:
        contents = read_contents(region, limits=bounds)
        member = find_member(contents, manifest)
        found, image = survey_image(
            region, member, limits=bounds, architecture=architecture, measures=False
        )
    return _stream(path, member, found.what, image, reference=reference, limits=bounds)


def _stream(
    path: Path,
    member: Member,
    what: str,
    image: ArchivedImage,
    *,
    reference: str,
    limits: InspectionLimits,
) -> Iterator[bytes]:
    config_name = f"{image.image_id}.json"
    files = {layer.file.name: layer for layer in image.layers}
    in_order = sorted(files.values(), key=lambda layer: layer.file.offset_bytes)
    names = {layer.file.name: f"layer-{index}.tar" for index, layer in enumerate(in_order)}
    manifest = [
        {
            "Config": config_name,
            "RepoTags": [reference],
            "Layers": [names[layer.file.name] for layer in image.layers],
        }
    ]
    yield _small_member(config_name, image.config)
    with open_package(path) as region:
        source = open_source(_part(region, member), what=what, limits=limits)
        for layer in in_order:
            yield _header(names[layer.file.name], layer.file.size_bytes)
            yield from _content(source, layer.file, what=what, sha256=layer.sha256)
    yield _small_member("manifest.json", json.dumps(manifest).encode())
    yield bytes(2 * BLOCK_BYTES)


def _part(region: FileRegion, member: Member) -> FileRegion:
    return region.part(offset_bytes=member.offset_bytes, size_bytes=member.size_bytes)


def _content(
    source: Source, file: SurveyedFile, *, what: str, sha256: str | None
) -> Iterator[bytes]:
    """Yield a file and the zeros behind it, and check its digest."""
    source.skip(file.offset_bytes - source.position)
    digest = hashlib.sha256()
    left_bytes = file.size_bytes
    while left_bytes > 0:
        chunk = source.read(min(CHUNK_BYTES, left_bytes))
        if not chunk:
            raise PackageRefused(f"{what} became shorter while it was read")
        left_bytes -= len(chunk)
        if sha256 is not None:
            digest.update(chunk)
        yield chunk
    if sha256 is not None and digest.hexdigest() != sha256:
        raise PackageRefused(f"{what}: {shown(file.name)} is damaged: its digest is another")
    padding = -file.size_bytes % BLOCK_BYTES
    if padding:
        yield bytes(padding)


def _small_member(name: str, content: bytes) -> bytes:
    return _header(name, len(content)) + content + bytes(-len(content) % BLOCK_BYTES)


def _header(name: str, size_bytes: int) -> bytes:
    """Return a tar header; sizes beyond 8 GiB are in GNU's form, which every engine reads."""
    header = tarfile.TarInfo(name)
    header.size = size_bytes
    return header.tobuf(tarfile.GNU_FORMAT)
