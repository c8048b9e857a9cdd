"""The packages that the platform holds: files on a shelf, each with its id and its MD5."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import secrets
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from agent.errors import PermanentError
from agent.simulator.package_manifest import PackageManifest, read_manifest
from agent.simulator.refusal import Refusal, ResultCode

_CHUNK_BYTES = 1024 * 1024
_INDEX_NAME = ".shelf.json"
_PACKAGE_ID = re.compile(r"[0-9A-Za-z_-][0-9A-Za-z_.-]{0,39}", re.ASCII)
# The code of a device (20 digits), the time (14) and a serial number (6), as the examples have it.
_CODE = "11010800005050000001"


class ByteSource(Protocol):
    """Is where a package comes from."""

    def read(self, size: int = ..., /) -> bytes:
        """Return at most `size` bytes, b"" at the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShelvedPackage:
    """Is one package of the platform.

    `created_at` is local time as the standard prints it. `is_own` says that the simulator wrote
    the file, and so removes it with the package.
    """

    package_id: str
    path: Path
    size_bytes: int
    md5: str
    manifest: PackageManifest
    created_at: str
    is_own: bool


class PackageShelf:
    """Holds packages by their ids; safe in every thread.

    `folder` keeps what is imported, and every *.tar in it is a package; None keeps imports in a
    temporary folder until `close`.

    Raises:
        PermanentError: the folder cannot be used.
    """

    def __init__(self, folder: Path | None, *, now: Callable[[], datetime]) -> None:
        self._folder = folder
        self._now = now
        self._lock = threading.Lock()
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._serial = 100
        self._packages: dict[str, ShelvedPackage] = {}
        if folder is not None:
            try:
                self._scan(folder)
            except OSError as error:
                raise PermanentError(
                    f"{folder} cannot be used as the folder of packages: {error.strerror}"
                ) from error

    def packages(self) -> list[ShelvedPackage]:
        """Return every package, oldest first."""
        with self._lock:
            return sorted(
                self._packages.values(), key=lambda each: (each.created_at, each.package_id)
            )

    def get(self, package_id: str) -> ShelvedPackage:
        """Return a package.

        Raises:
            Refusal: there is none of this id.
        """
        with self._lock:
            package = self._packages.get(package_id)
        if package is None:
            raise Refusal(
                f"the platform has no package {package_id[:40]!r}: import it first",
                code=ResultCode.UNKNOWN_PACKAGE,
            )
        return package

    def add(self, path: Path, *, package_id: str | None = None) -> ShelvedPackage:
        """Shelve a file where it lies; it is read once for its MD5.

        Raises:
            OSError: the file cannot be read.
            Refusal: the id cannot be one.
        """
        path = path.absolute()
        with path.open("rb") as file:
            md5, size_bytes = _copy(file, None)
        return self._shelve(
            path, package_id=package_id, md5=md5, size_bytes=size_bytes, is_own=False
        )

    def receive(
        self, source: ByteSource, *, md5: str | None, package_id: str | None = None
    ) -> ShelvedPackage:
        """Write a package to the disk as it comes, and shelve it.

        Raises:
            Refusal: `md5` is given and is not the file's, or the id cannot be one.
            OSError: the disk does not take it, or the source ends too soon.
        """
        chosen = self._package_id(package_id)
        folder = self._writable_folder()
        part = folder / f".{secrets.token_hex(8)}.part"
        try:
            with part.open("xb") as file:
                own_md5, size_bytes = _copy(source, file)
            if md5 is not None and md5.lower() != own_md5:
                raise Refusal(
                    f"table A.1 row 3, MD5: is {md5[:40]}, the file's is {own_md5}",
                    code=ResultCode.TABLE_VIOLATED,
                )
            path = folder / f"{chosen}.tar"
            # A file of the same name that somebody else put there stays whole for who reads it.
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        return self._shelve(
            path, package_id=chosen, md5=own_md5, size_bytes=size_bytes, is_own=True
        )

    def delete(self, package_id: str) -> None:
        """Take a package off the shelf; the file goes with it where the simulator wrote it.

        Raises:
            Refusal: there is none of this id.
        """
        package = self.get(package_id)
        with self._lock:
            self._packages.pop(package_id, None)
            self._save()
        if package.is_own:
            package.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Remove what was kept for this run alone; may be called twice."""
        with self._lock:
            if self._temporary is not None:
                self._temporary.cleanup()
                self._temporary = None

    def _shelve(
        self, path: Path, *, package_id: str | None, md5: str, size_bytes: int, is_own: bool
    ) -> ShelvedPackage:
        package = ShelvedPackage(
            package_id=self._package_id(package_id),
            path=path,
            size_bytes=size_bytes,
            md5=md5,
            manifest=read_manifest(path, name=path.stem),
            created_at=_local(self._now()),
            is_own=is_own,
        )
        with self._lock:
            replaced = self._packages.get(package.package_id)
            self._packages[package.package_id] = package
            self._save()
        if replaced is not None and replaced.is_own and replaced.path != path:
            replaced.path.unlink(missing_ok=True)
        return package

    def _package_id(self, wanted: str | None) -> str:
        if wanted is not None:
            if _PACKAGE_ID.fullmatch(wanted) is None:
                raise Refusal(
                    "AlgoFilePackageID must be 1 to 40 letters, digits, '_', '.' and '-'",
                    code=ResultCode.TABLE_VIOLATED,
                )
            return wanted
        with self._lock:
            while True:
                self._serial = self._serial % 999_999 + 1
                made = f"{_CODE}{self._now().astimezone():%Y%m%d%H%M%S}{self._serial:06}"
                if made not in self._packages:
                    return made

    def _writable_folder(self) -> Path:
        with self._lock:
            if self._folder is not None:
                return self._folder
            if self._temporary is None:
                self._temporary = tempfile.TemporaryDirectory(prefix="simulator-packages-")
            return Path(self._temporary.name)

    def _scan(self, folder: Path) -> None:
        known = _read_index(folder / _INDEX_NAME)
        for path in sorted(folder.iterdir()):
            if path.suffix != ".tar" or not path.is_file():
                continue
            status = path.stat()
            entry = known.get(path.name, {})
            fitting = _PACKAGE_ID.fullmatch(path.stem) and path.stem.isdigit()
            named = path.stem if fitting and len(path.stem) == 40 else None
            package_id = self._package_id(entry.get("package_id") or named)
            if entry.get("stamp") == [status.st_size, status.st_mtime_ns]:
                md5 = str(entry["md5"])
            else:
                with path.open("rb") as file:
                    md5, _ = _copy(file, None)
            self._packages[package_id] = ShelvedPackage(
                package_id=package_id,
                path=path,
                size_bytes=status.st_size,
                md5=md5,
                manifest=read_manifest(path, name=path.stem),
                created_at=entry.get("created_at") or _local(self._now()),
                is_own=bool(entry.get("is_own", False)),
            )
        self._save()

    def _save(self) -> None:
        """Keep ids and sums over a restart, so that a large file is not read again."""
        if self._folder is None:
            return
        entries = {}
        for package in self._packages.values():
            if package.path.parent != self._folder:
                continue
            with contextlib.suppress(OSError):
                status = package.path.stat()
                entries[package.path.name] = {
                    "package_id": package.package_id,
                    "md5": package.md5,
                    "stamp": [status.st_size, status.st_mtime_ns],
                    "created_at": package.created_at,
                    "is_own": package.is_own,
                }
        target = self._folder / _INDEX_NAME
        part = target.with_suffix(".part")
        part.write_text(json.dumps(entries, indent=1), encoding="ascii")
        part.replace(target)


def _copy(source: ByteSource, target: object) -> tuple[str, int]:
    digest = hashlib.md5(usedforsecurity=False)
    size_bytes = 0
    write = getattr(target, "write", None)
    while chunk := source.read(_CHUNK_BYTES):
        digest.update(chunk)
        size_bytes += len(chunk)
        if write is not None:
            write(chunk)
    return digest.hexdigest(), size_bytes


def _read_index(path: Path) -> dict[str, dict[str, Any]]:
    try:
        entries = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    if not isinstance(entries, dict):
        return {}
    return {name: entry for name, entry in entries.items() if isinstance(entry, dict)}


def _local(moment: datetime) -> str:
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S}"
