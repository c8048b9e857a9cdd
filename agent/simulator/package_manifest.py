"""What the platform reads in a package for its lists: a few fields of algo.yaml, no judgement."""

from __future__ import annotations

import tarfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

_MANIFEST_NAME = "algo.yaml"
_MANIFEST_BYTES_MAXIMUM = 1024 * 1024
_MEMBERS_MAXIMUM = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageManifest:
    """Holds what table A.5 asks of a package; `problem` says why algo.yaml gave nothing.

    A package without a readable algo.yaml is taken all the same: a device is to be tried with
    such packages too.
    """

    name: str
    version: str
    type: str
    provider: str | None = None
    problem: str | None = None


def read_manifest(path: Path, *, name: str) -> PackageManifest:
    """Return the manifest of a package; `name` stands in where the package has none."""
    try:
        fields = yaml.safe_load(_manifest_text(path))
    except (OSError, tarfile.TarError, EOFError, LookupError, ValueError, yaml.YAMLError) as error:
        return _unknown(name, problem=f"algo.yaml cannot be read: {_words(error)}")
    except RecursionError:
        return _unknown(name, problem="algo.yaml is nested too deep")
    if not isinstance(fields, dict):
        return _unknown(name, problem="algo.yaml holds no fields")
    provider = fields.get("provider")
    return PackageManifest(
        name=_text(fields.get("name"), default=name),
        version=_text(fields.get("version"), default="unknown"),
        type="artifact" if "artifact" in fields and "image" not in fields else "image",
        provider=None if provider is None else _text(provider, default=""),
    )


def _manifest_text(path: Path) -> bytes:
    with tarfile.open(path, mode="r:") as archive:
        for count, member in enumerate(archive):
            if count >= _MEMBERS_MAXIMUM:
                break
            place = PurePosixPath(member.name)
            if place.name != _MANIFEST_NAME or len(place.parts) > 2 or not member.isreg():
                continue
            file = archive.extractfile(member)
            if file is None:
                break
            return file.read(_MANIFEST_BYTES_MAXIMUM)
    raise LookupError("there is none")


def _unknown(name: str, *, problem: str) -> PackageManifest:
    return PackageManifest(name=name, version="unknown", type="image", problem=problem)


def _text(value: Any, *, default: str) -> str:
    text = default if value is None or isinstance(value, dict | list) else str(value)
    return text[:256] or default


def _words(error: Exception) -> str:
    return str(error).partition("\n")[0][:120] or type(error).__name__
