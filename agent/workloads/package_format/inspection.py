"""Checks the file of a package before anything is done with it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from agent.model.workloads import Manifest, PackageType
from agent.workloads.package_format import manifest as manifests
from agent.workloads.package_format.architectures import architecture_name, machine_architecture
from agent.workloads.package_format.archive import Member, MemberKind
from agent.workloads.package_format.image_archive import ArchivedImage, find_image
from agent.workloads.package_format.image_survey import Survey, survey
from agent.workloads.package_format.limits import InspectionLimits
from agent.workloads.package_format.names import shown
from agent.workloads.package_format.package_archive import find_member, open_package, read_contents
from agent.workloads.package_format.sources import FileRegion

__all__ = ["ImageSummary", "Inspection", "InspectionLimits", "PackageMember", "inspect"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageMember:
    """Is a file in a package."""

    name: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSummary:
    """Is what a package's image archive says of its image.

    `image_id` is `sha256:` and 64 hex digits, as engines show it. `size_bytes` is what its layers
    take without their compression, as far as they are in gzip together with all other files of
    the archive. `tags` are those that the archive carries; the agent drops them.
    """

    image_id: str
    form: Literal["docker", "oci"]
    is_compressed: bool
    architecture: str
    operating_system: str
    layers: int
    size_bytes: int
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """Is what is in a package that can be taken; `image` is None for an artifact."""

    manifest: Manifest
    size_bytes: int
    image: ImageSummary | None
    members: tuple[PackageMember, ...]


def inspect(path: Path, *, limits: InspectionLimits, architecture: str | None = None) -> Inspection:
    """Return what is in a package.

    The contents of a plain image archive are passed over; what is in gzip is inflated once to see
    that it is whole and how large it is. The digests of layers are checked when the image is
    streamed out. `architecture` is that of the machine that the package is for, in the words of the
    kernel or of images; None is this machine.

    Raises:
        PackageRefused: no agent takes it; says why.
        TransientError: the file cannot be read.
    """
    with open_package(path) as region:
        size_bytes = region.remaining_bytes
        contents = read_contents(region, limits=limits)
        manifest = manifests.parse(contents.manifest)
        member = find_member(contents, manifest)
        image = None
        if manifest.type is PackageType.IMAGE:
            image = _image(region, member, limits=limits, architecture=architecture)
        return Inspection(
            manifest=manifest,
            size_bytes=size_bytes,
            image=image,
            members=tuple(
                PackageMember(name=one.name, size_bytes=one.size_bytes)
                for one in contents.members
                if one.kind is MemberKind.FILE
            ),
        )


def _image(
    region: FileRegion, member: Member, *, limits: InspectionLimits, architecture: str | None
) -> ImageSummary:
    found, image = survey_image(
        region, member, limits=limits, architecture=architecture, measures=True
    )
    return ImageSummary(
        image_id=f"sha256:{image.image_id}",
        form=image.form,
        is_compressed=found.is_compressed,
        architecture=image.architecture,
        operating_system=image.operating_system,
        layers=len(image.layers),
        size_bytes=found.inflated_bytes or 0,
        tags=image.tags,
    )


def survey_image(
    region: FileRegion,
    member: Member,
    *,
    limits: InspectionLimits,
    architecture: str | None,
    measures: bool,
) -> tuple[Survey, ArchivedImage]:
    """Return what stands in a package's image archive, and which image it holds.

    Raises:
        PackageRefused: it cannot be used; says why.
    """
    archive = region.part(offset_bytes=member.offset_bytes, size_bytes=member.size_bytes)
    wanted = machine_architecture() if architecture is None else architecture_name(architecture)
    found = survey(archive, what=shown(member.name), limits=limits, measures=measures)
    return found, find_image(found, architecture=wanted)
