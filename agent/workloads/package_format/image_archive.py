"""What an image archive says of its image: `docker save` of any age, or an OCI layout.

Sources: the Docker image specification 1.2 (manifest.json), the OCI image format 1.1 (index.json,
blobs). Every document's digest is checked where its name tells one.
"""

from __future__ import annotations

import hashlib
import re
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import msgspec

from agent.workloads.package_format.architectures import architecture_name
from agent.workloads.package_format.errors import PackageRefused
from agent.workloads.package_format.image_survey import Survey, SurveyedFile
from agent.workloads.package_format.names import clean_name, shown
from agent.workloads.package_format.sources import GZIP_MAGIC

_DIGEST = re.compile("sha256:([0-9a-f]{64})")
_BLOB = re.compile("blobs/sha256/([0-9a-f]{64})")
_CONFIG_NAME = re.compile(r"(?:.*/)?([0-9a-f]{64})(?:\.json)?")
MOST_LAYERS = 127  # what overlay2 takes
_MOST_DESCRIPTORS = 1000
_DEEPEST_INDEX = 3
_MOST_TAGS = 100
_LONGEST_TAG = 256
_TAG_ANNOTATIONS = ("io.containerd.image.name", "org.opencontainers.image.ref.name")
_REFUSED_LAYERS = (
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\xfd7zXZ", "xz"),
    (b"BZh", "bzip2"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """Is a layer of an image, `sha256` what its file has to be; None where nothing tells it."""

    file: SurveyedFile
    sha256: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedImage:
    """Is the one image of an archive, with `config` as it is written.

    `image_id` is the SHA-256 of `config` in hex, by which engines know an image. `tags` are those
    that the archive carries; nothing is done with them.
    """

    form: Literal["docker", "oci"]
    image_id: str
    config: bytes
    architecture: str
    operating_system: str
    layers: tuple[Layer, ...]
    tags: tuple[str, ...]


class _DockerImage(msgspec.Struct):
    config: str = msgspec.field(name="Config")
    layers: list[str] = msgspec.field(name="Layers")
    tags: list[str] | None = msgspec.field(name="RepoTags", default=None)


class _Platform(msgspec.Struct):
    architecture: str = ""
    os: str = ""


class _Descriptor(msgspec.Struct):
    digest: str
    media_type: str = msgspec.field(name="mediaType", default="")
    platform: _Platform | None = None
    annotations: dict[str, str] | None = None


class _Index(msgspec.Struct):
    manifests: list[_Descriptor]


class _ImageManifest(msgspec.Struct):
    config: _Descriptor
    layers: list[_Descriptor]


class _RootFileSystem(msgspec.Struct):
    diff_ids: list[str]


class _Config(msgspec.Struct):
    rootfs: _RootFileSystem
    architecture: str = ""
    os: str = ""


_Document = TypeVar("_Document")


def find_image(survey: Survey, *, architecture: str) -> ArchivedImage:
    """Return the image of an archive for an architecture, in the word that images use.

    Raises:
        PackageRefused: there is none or more than one, or it is damaged or for other machines.
    """
    if survey.find("manifest.json") is not None:
        image = _docker_image(survey)
    elif survey.find("index.json") is not None:
        image = _oci_image(survey, architecture=architecture)
    else:
        raise PackageRefused(
            f"{survey.what} is no image: it has neither manifest.json (docker save) nor index.json "
            "(OCI layout)"
        )
    _check_platform(image.architecture, image.operating_system, survey.what, architecture)
    return image


def _check_platform(found: str, system: str, what: str, architecture: str) -> None:
    if architecture_name(found) != architecture or system.lower() != "linux":
        for_what = shown(f"{system or 'unknown'}/{found or 'unknown'}")
        raise PackageRefused(f"{what} is for {for_what}, not for linux/{architecture}")


def _docker_image(survey: Survey) -> ArchivedImage:
    images = _decode(survey, "manifest.json", list[_DockerImage])
    if len(images) != 1:
        raise PackageRefused(f"{survey.what} holds {len(images)} images, not one")
    image = images[0]
    name = clean_name(image.config, what=survey.what)
    config = survey.document(name)
    named = _CONFIG_NAME.fullmatch(name)
    if named is not None and named[1] != hashlib.sha256(config).hexdigest():
        raise PackageRefused(f"{survey.what}: {shown(name)} is damaged: its digest is another")
    names = [clean_name(layer, what=survey.what) for layer in image.layers]
    return _image(survey, "docker", name, config, names, tags=image.tags or ())


def _oci_image(survey: Survey, *, architecture: str) -> ArchivedImage:
    index = _decode(survey, "index.json", _Index)
    tags = [
        tag
        for descriptor in index.manifests
        for annotation in _TAG_ANNOTATIONS
        if (tag := (descriptor.annotations or {}).get(annotation)) is not None
    ]
    # The same image may stand there under several tags.
    manifests: dict[str, _Platform | None] = {}
    for descriptor in _manifests(survey, index, depth=0):
        manifests.setdefault(descriptor.digest, descriptor.platform)
    if len(manifests) > 1:
        manifests = {
            digest: platform
            for digest, platform in manifests.items()
            if _is_for(survey, digest, platform, architecture=architecture)
        }
        if not manifests:
            raise PackageRefused(f"{survey.what} has no image for linux/{architecture}")
    if len(manifests) != 1:
        raise PackageRefused(
            f"{survey.what} holds {len(manifests)} images for linux/{architecture}, not one"
        )
    manifest = _decode_blob(survey, next(iter(manifests)), _ImageManifest)
    for layer in manifest.layers:
        if layer.media_type.endswith(("+zstd", "+encrypted")):
            raise PackageRefused(
                f"{survey.what}: a layer is {shown(layer.media_type)}, which not every engine "
                "takes; compress layers with gzip or not at all"
            )
    name = _blob_name(manifest.config.digest, what=survey.what)
    config = _blob(survey, manifest.config.digest)
    names = [_blob_name(layer.digest, what=survey.what) for layer in manifest.layers]
    return _image(survey, "oci", name, config, names, tags=tags)


def _manifests(survey: Survey, index: _Index, *, depth: int) -> Iterator[_Descriptor]:
    """Yield the descriptors of images, from indexes in indexes too."""
    if len(index.manifests) > _MOST_DESCRIPTORS:
        raise PackageRefused(f"{survey.what} has an index of more than {_MOST_DESCRIPTORS} images")
    for descriptor in index.manifests:
        # What BuildKit attests of an image stands beside it as an image for "unknown".
        if descriptor.platform is not None and descriptor.platform.os == "unknown":
            continue
        if descriptor.media_type.endswith(("image.index.v1+json", "manifest.list.v2+json")):
            if depth >= _DEEPEST_INDEX:
                raise PackageRefused(f"{survey.what} has indexes in indexes in indexes")
            nested = _decode_blob(survey, descriptor.digest, _Index)
            yield from _manifests(survey, nested, depth=depth + 1)
        else:
            yield descriptor


def _is_for(survey: Survey, digest: str, platform: _Platform | None, *, architecture: str) -> bool:
    """Tell whether an image is for this machine; its config says it where its index does not."""
    if platform is None:
        manifest = _decode_blob(survey, digest, _ImageManifest)
        config = _decode_blob(survey, manifest.config.digest, _Config)
        platform = _Platform(architecture=config.architecture, os=config.os)
    return platform.os == "linux" and architecture_name(platform.architecture) == architecture


def _image(
    survey: Survey,
    form: Literal["docker", "oci"],
    config_name: str,
    config: bytes,
    layer_names: Sequence[str],
    *,
    tags: Sequence[str],
) -> ArchivedImage:
    read = _convert(config, _Config, what=survey.what, name=config_name)
    diff_ids = read.rootfs.diff_ids
    if not 1 <= len(layer_names) <= MOST_LAYERS:
        raise PackageRefused(
            f"{survey.what}: the image has {len(layer_names)} layers, not 1 to {MOST_LAYERS}"
        )
    if len(diff_ids) != len(layer_names):
        raise PackageRefused(
            f"{survey.what}: the image has {len(layer_names)} layers, its config {len(diff_ids)}"
        )
    return ArchivedImage(
        form=form,
        image_id=hashlib.sha256(config).hexdigest(),
        config=config,
        architecture=read.architecture,
        operating_system=read.os or "linux",  # as engines take it, too
        layers=tuple(
            _layer(survey, name, diff_id)
            for name, diff_id in zip(layer_names, diff_ids, strict=True)
        ),
        tags=tuple(dict.fromkeys(tag[:_LONGEST_TAG] for tag in tags[:_MOST_TAGS])),
    )


def _layer(survey: Survey, name: str, diff_id: str) -> Layer:
    file = survey.find(name)
    if file is None:
        raise PackageRefused(f"{survey.what} has no layer {shown(name)}")
    for magic, compression in _REFUSED_LAYERS:
        if file.head.startswith(magic):
            raise PackageRefused(
                f"{survey.what}: the layer {shown(name)} is compressed with {compression}, which "
                "not every engine takes; use gzip or none"
            )
    digest = _digest(diff_id, what=survey.what)
    is_compressed = file.head.startswith(GZIP_MAGIC)
    if not is_compressed and file.head and not _begins_tar(file.head):
        raise PackageRefused(f"{survey.what}: the layer {shown(name)} is no tar")
    blob = _BLOB.fullmatch(file.name)
    # A layer's id is the digest of its tar without compression.
    return Layer(file=file, sha256=blob[1] if blob else None if is_compressed else digest)


def _begins_tar(head: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape")
    except tarfile.TarError:
        return not head.strip(b"\0")
    except (ValueError, ArithmeticError):
        return False
    return True


def _digest(written: str, *, what: str) -> str:
    found = _DIGEST.fullmatch(written)
    if found is None:
        raise PackageRefused(f"{what}: {shown(written)} is no SHA-256 digest")
    return found[1]


def _blob_name(digest: str, *, what: str) -> str:
    return f"blobs/sha256/{_digest(digest, what=what)}"


def _blob(survey: Survey, digest: str) -> bytes:
    name = _blob_name(digest, what=survey.what)
    content = survey.document(name)
    if hashlib.sha256(content).hexdigest() != _digest(digest, what=survey.what):
        raise PackageRefused(f"{survey.what}: {shown(name)} is damaged: its digest is another")
    return content


def _decode_blob(survey: Survey, digest: str, kind: type[_Document]) -> _Document:
    return _convert(_blob(survey, digest), kind, what=survey.what, name=digest)


def _decode(survey: Survey, name: str, kind: type[_Document]) -> _Document:
    return _convert(survey.document(name), kind, what=survey.what, name=name)


def _convert(content: bytes, kind: type[_Document], *, what: str, name: str) -> _Document:
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise PackageRefused(
            f"{what}: {shown(name)} is not what stands there in an image: {error}"
        ) from error
