"""Packages and image archives in every form, good and hostile, made of a few bytes."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.workloads.package_format.architectures import machine_architecture

ALGO = b"""\
name: person-structure
version: 1.0.0
image: image.tar
env:
  - {name: AUTH_SERVER_ADDR, value: ""}
"""
OCI = "application/vnd.oci.image"


def tar(members: Sequence[tuple[str, bytes] | tarfile.TarInfo], **options: Any) -> bytes:
    """Return a tar; a TarInfo is written without a content."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", **options) as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
                continue
            name, content = member
            header = tarfile.TarInfo(name)
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))
    return buffer.getvalue()


def special(name: str, kind: bytes, *, link: str = "") -> tarfile.TarInfo:
    """Return a member that is no file."""
    header = tarfile.TarInfo(name)
    header.type = kind
    header.linkname = link
    return header


def header(name: str, *, size: int, kind: bytes = b"0") -> bytes:
    """Return a header that says what it likes."""
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


def padded(content: bytes) -> bytes:
    """Return a content as it stands in a tar."""
    return content + bytes(-len(content) % 512)


def with_size_field(block: bytes, field: bytes) -> bytes:
    """Return a header with another size field, and with the check sum that belongs to it."""
    block = block[:124] + field.ljust(12, b"\0")[:12] + block[136:]
    blank = block[:148] + b" " * 8 + block[156:]
    return block[:148] + b"%06o\0 " % sum(blank) + block[156:]


def sha256(content: bytes) -> str:
    """Return a digest in hex."""
    return hashlib.sha256(content).hexdigest()


def layer(salt: str, *, size: int = 3000) -> bytes:
    """Return a layer with one file."""
    content = (salt.encode() * (size // len(salt) + 1))[:size]
    return tar([(f"etc/{salt}", content)])


def config(layers: Sequence[bytes], **changes: Any) -> bytes:
    """Return the config of an image of these layers, which are not compressed."""
    document = {
        "architecture": machine_architecture(),
        "os": "linux",
        "config": {"Cmd": ["/bin/sh"], "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{sha256(one)}" for one in layers]},
        **changes,
    }
    return json.dumps({key: value for key, value in document.items() if value is not None}).encode()


@dataclass(frozen=True)
class Image:
    """Is an image archive as its members, and what has to come out of it."""

    members: Mapping[str, bytes | tarfile.TarInfo]
    config: bytes
    layers: tuple[bytes, ...]

    def archive(self, **changes: bytes | tarfile.TarInfo | None) -> bytes:
        """Return the archive; a change of None leaves a member out."""
        members = {**self.members, **changes}
        return tar(
            [
                content if isinstance(content, tarfile.TarInfo) else (name, content)
                for name, content in members.items()
                if content is not None
            ]
        )


def docker_image(
    *layers: bytes, tags: Sequence[str] | None = ("nginx:latest",), **changes: Any
) -> Image:
    """Return an image as `docker save` wrote it before version 25, repeated layers as links."""
    layers = layers or (layer("one"), layer("two"))
    about = config(layers, **changes)
    members: dict[str, bytes | tarfile.TarInfo] = {}
    paths = []
    first: dict[bytes, str] = {}
    for index, one in enumerate(layers):
        folder = sha256(f"{index}".encode())
        path = f"{folder}/layer.tar"
        paths.append(path)
        members[f"{folder}/"] = special(f"{folder}/", tarfile.DIRTYPE)
        members[f"{folder}/VERSION"] = b"1.0"
        members[f"{folder}/json"] = json.dumps({"id": folder}).encode()
        if one in first:
            members[path] = special(path, tarfile.SYMTYPE, link=f"../{first[one]}")
        else:
            members[path] = one
            first[one] = path
    members[f"{sha256(about)}.json"] = about
    members["manifest.json"] = json.dumps(
        [{"Config": f"{sha256(about)}.json", "RepoTags": tags, "Layers": paths}]
    ).encode()
    members["repositories"] = b'{"nginx":{"latest":"x"}}'
    return Image(members, about, layers)


def oci_image(
    *layers: bytes,
    compresses: bool = False,
    with_docker: bool = False,
    platform: Mapping[str, str] | None = None,
    **changes: Any,
) -> Image:
    """Return an OCI layout; `with_docker` is what `docker save` writes since version 25."""
    layers = layers or (layer("one"), layer("two"))
    about = config(layers, **changes)
    stored = [gzip.compress(one, mtime=0) if compresses else one for one in layers]
    suffix = "layer.v1.tar+gzip" if compresses else "layer.v1.tar"
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": f"{OCI}.manifest.v1+json",
            "config": descriptor(about, "config.v1+json"),
            "layers": [descriptor(one, suffix) for one in stored],
        }
    ).encode()
    entry = descriptor(manifest, "manifest.v1+json")
    entry["annotations"] = {"org.opencontainers.image.ref.name": "nginx:latest"}
    if platform is not None:
        entry["platform"] = dict(platform)
    members: dict[str, bytes | tarfile.TarInfo] = {
        "blobs/": special("blobs/", tarfile.DIRTYPE),
        **{blob_name(one): one for one in (about, *stored, manifest)},
        "index.json": json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode(),
        "oci-layout": b'{"imageLayoutVersion": "1.0.0"}',
    }
    if with_docker:
        paths = [blob_name(one) for one in stored]
        members["manifest.json"] = json.dumps(
            [{"Config": blob_name(about), "RepoTags": ["nginx:latest"], "Layers": paths}]
        ).encode()
    return Image(members, about, tuple(stored))


def multi_platform_image(*images: tuple[str, Image], nested: bool = False) -> bytes:
    """Return an OCI layout of images for several architectures, and what BuildKit attests."""
    members: dict[str, bytes | tarfile.TarInfo] = {}
    entries = []
    for architecture, image in images:
        members |= {name: one for name, one in image.members.items() if name.startswith("blobs/s")}
        index = image.members["index.json"]
        assert isinstance(index, bytes)
        entry = json.loads(index)["manifests"][0]
        entries.append({**entry, "platform": {"architecture": architecture, "os": "linux"}})
    attested = b'{"config": {"digest": "x"}, "layers": []}'
    members[blob_name(attested)] = attested
    unknown = {"architecture": "unknown", "os": "unknown"}
    entries.append({**descriptor(attested, "manifest.v1+json"), "platform": unknown})
    index = json.dumps({"schemaVersion": 2, "manifests": entries}).encode()
    if nested:
        members[blob_name(index)] = index
        index = json.dumps({"manifests": [descriptor(index, "index.v1+json")]}).encode()
    members["index.json"] = index
    return Image(members, b"", ()).archive()


def descriptor(content: bytes, kind: str) -> dict[str, Any]:
    """Return the descriptor of a blob."""
    digest = f"sha256:{sha256(content)}"
    return {"mediaType": f"{OCI}.{kind}", "digest": digest, "size": len(content)}


def blob_name(content: bytes) -> str:
    """Return where a blob stands."""
    return f"blobs/sha256/{sha256(content)}"


def package(image: bytes, *, algo: bytes = ALGO, name: str = "image.tar") -> bytes:
    """Return a package."""
    return tar([("algo.yaml", algo), (name, image)])


def write(folder: Path, content: bytes) -> Path:
    """Write a package's file and return its path."""
    path = folder / "package.tar"
    path.write_bytes(content)
    return path


@dataclass(frozen=True)
class Streamed:
    """Is what an engine would be given."""

    names: tuple[str, ...]
    manifest: Any
    config: bytes
    layers: tuple[bytes, ...]


def read_stream(content: bytes) -> Streamed:
    """Read a stream as an engine would."""
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        files = {}
        for member in archive.getmembers():
            opened = archive.extractfile(member)
            assert opened is not None
            files[member.name] = opened.read()
    manifest = json.loads(files["manifest.json"])
    return Streamed(
        names=tuple(files),
        manifest=manifest,
        config=files[manifest[0]["Config"]],
        layers=tuple(files[name] for name in manifest[0]["Layers"]),
    )
