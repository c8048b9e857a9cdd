"""Makes the file of a package: the same folder gives the same bytes."""

from __future__ import annotations

import os
import stat
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from agent.errors import BadInput
from agent.model.workloads import Manifest
from agent.workloads.package_format import manifest as manifests
from agent.workloads.package_format.archive import BLOCK_BYTES
from agent.workloads.package_format.errors import PackageRefused
from agent.workloads.package_format.inspection import Inspection, inspect
from agent.workloads.package_format.limits import InspectionLimits
from agent.workloads.package_format.manifest import LARGEST_MANIFEST_BYTES, MANIFEST_NAME
from agent.workloads.package_format.sources import CHUNK_BYTES

_RECORD_BYTES = 20 * BLOCK_BYTES  # what tar fills up to


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """Is a package that was made; `left_out` are the names in the folder that are not in it."""

    path: Path
    inspection: Inspection
    left_out: tuple[str, ...]


def build(
    folder: Path,
    *,
    output: Path | None,
    limits: InspectionLimits,
    architecture: str | None = None,
    on_bytes: Callable[[int], None] = lambda _: None,
) -> Built:
    """Pack algo.yaml and the file that it names, and inspect what came out.

    `output` None is `<name>-<version>.tar` in the working folder; what stood there is replaced only
    by a package that is whole and good. `on_bytes` is told how many more bytes were written.

    Raises:
        BadInput: the folder or the output cannot be used.
        PackageRefused: an agent would not take the package; nothing is left behind.
    """
    with _open(folder / MANIFEST_NAME) as file:
        text = file.read(LARGEST_MANIFEST_BYTES + 1)
    manifest = manifests.parse(text)
    target = output or Path(f"{_file_name(manifest)}.tar")
    member = folder / manifest.member
    with _open(member) as source:
        if target.exists() and (
            not target.is_file()
            or target.samefile(member)
            or target.samefile(folder / MANIFEST_NAME)
        ):
            raise BadInput(f"{target} would be overwritten; choose another --output")
        with _replacing(target) as (made, file):
            _write(file, text, manifest.member, source, on_bytes=on_bytes)
            file.flush()
            os.fsync(file.fileno())
            inspection = inspect(made, limits=limits, architecture=architecture)
    return Built(
        path=target,
        inspection=inspection,
        left_out=_left_out(folder, packed={MANIFEST_NAME, manifest.member}, made=target),
    )


def _file_name(manifest: Manifest) -> str:
    name = f"{manifest.name}-{manifest.version}"
    return "".join(one if one.isalnum() or one in "._-" else "_" for one in name)[:80].lstrip(".")


@contextmanager
def _open(path: Path) -> Iterator[BinaryIO]:
    """Open a regular file; a named pipe without a writer does not block."""
    try:
        file = open(path, "rb", opener=_open_without_waiting)  # noqa: SIM115 - closed below
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "this is no path"
        raise BadInput(f"{path}: {reason}") from error
    with file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise BadInput(f"{path} is no regular file")
        yield file


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)


@contextmanager
def _replacing(target: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """Give a file that takes the target's place at the end, or goes away."""
    try:
        descriptor, name = tempfile.mkstemp(
            dir=target.parent, prefix=f".{target.name[:80]}.", suffix=".part"
        )
    except OSError as error:
        raise BadInput(f"{target} cannot be written: {error.strerror}") from error
    made = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield made, file
            os.fchmod(descriptor, 0o666 & ~_creation_mask())
        made.replace(target)
    except BaseException:
        made.unlink(missing_ok=True)
        raise


def _creation_mask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _write(
    made: BinaryIO,
    manifest: bytes,
    member: str,
    source: BinaryIO,
    *,
    on_bytes: Callable[[int], None],
) -> None:
    made.write(_header(MANIFEST_NAME, len(manifest)) + manifest + _padding(len(manifest)))
    size_bytes = os.fstat(source.fileno()).st_size
    made.write(_header(member, size_bytes))
    left_bytes = size_bytes
    while left_bytes > 0:
        chunk = source.read(min(CHUNK_BYTES, left_bytes))
        if not chunk:
            raise PackageRefused(f"{member} became shorter while it was read")
        made.write(chunk)
        left_bytes -= len(chunk)
        on_bytes(len(chunk))
    made.write(_padding(size_bytes) + bytes(2 * BLOCK_BYTES))
    made.write(bytes(-made.tell() % _RECORD_BYTES))


def _header(name: str, size_bytes: int) -> bytes:
    """Return the header of a file that belongs to nobody and has no age."""
    header = tarfile.TarInfo(name)
    header.size = size_bytes
    return header.tobuf(tarfile.GNU_FORMAT, "utf-8", "strict")


def _padding(size_bytes: int) -> bytes:
    return bytes(-size_bytes % BLOCK_BYTES)


def _left_out(folder: Path, *, packed: set[str], made: Path) -> tuple[str, ...]:
    top = {name.partition("/")[0] for name in packed}
    return tuple(
        sorted(
            one.name
            for one in folder.iterdir()
            if one.name not in top and one.absolute() != made.absolute()
        )
    )
