"""A recording on the disk: a folder for each plugin and `machine.json`, or a .tar.gz of both.

What is read comes from a stranger by mail: nothing is unpacked, no link is followed, no path leaves
the folder, and number and length of what is taken are bounded.
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any

from agent.errors import BadInput
from agent.sampling.file_messages import MAX_CHARACTERS, is_file_name

MACHINE = "machine.json"
INDEX = "index.json"
ARCHIVE_SUFFIX = ".tar.gz"
_MAX_BYTES = 4 * MAX_CHARACTERS


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingFolder:
    """Holds the files of each plugin by its name, and what is told of the machine."""

    plugins: Mapping[str, Mapping[str, str]]
    machine: Mapping[str, Any] = field(default_factory=dict)


def require_free(folder: Path) -> Path:
    """Return the archive's path beside a folder that may be made.

    Raises:
        BadInput: one of the two exists.
    """
    archive = folder.with_name(folder.name + ARCHIVE_SUFFIX)
    for path in (folder, archive):
        if path.exists() or path.is_symlink():
            raise BadInput(f"{path} exists already, and a recording overwrites nothing")
    return archive


def write(recording: RecordingFolder, folder: Path) -> Path:
    """Write the folder, and the archive beside it; return the archive's path.

    Raises:
        BadInput: one of the two exists, or they cannot be written.
    """
    archive = require_free(folder)
    files = {MACHINE: json.dumps(recording.machine, indent=2, ensure_ascii=False) + "\n"}
    for name, texts in recording.plugins.items():
        files |= {f"{name}/{file}": text for file, text in texts.items()}
    try:
        folder.mkdir(parents=True)
        with tarfile.open(archive, "x:gz") as tar:
            for name, text in files.items():
                # Half of a surrogate pair has no UTF-8; its escape is the same in JSON.
                content = text.encode("utf-8", "backslashreplace")
                path = folder / name
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(content)
                member = tarfile.TarInfo(f"{folder.name}/{name}")  # nobody's name and no owner
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    except OSError as error:
        raise BadInput(f"{error.filename or folder} cannot be written: {error.strerror}") from error
    return archive


def read(path: Path) -> RecordingFolder:
    """Read what `write` wrote, the folder or the archive, or the folder of one plugin in it.

    Raises:
        BadInput: there is nothing of the kind, or it is more than a recording can be.
    """
    try:
        contents = dict(_members(path) if path.is_file() else _files(path))
    except (OSError, EOFError, ValueError, tarfile.TarError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise BadInput(f"{path} cannot be read: {reason}") from error
    plugins: dict[str, dict[str, str]] = {}
    for (plugin, name), content in contents.items():
        if plugin:
            plugins.setdefault(plugin, {})[name] = content
    plugins = {name: files for name, files in plugins.items() if INDEX in files}
    if not plugins:
        raise BadInput(f"{path} is no recording: there is no {INDEX} of any plugin in it")
    return RecordingFolder(plugins=plugins, machine=_machine(path, contents.get(("", MACHINE))))


def _machine(path: Path, text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    try:
        machine = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path}: {MACHINE} is not JSON: {error}") from error
    if not isinstance(machine, dict):
        raise BadInput(f"{path}: {MACHINE} is no JSON object")
    return machine


def _files(folder: Path) -> Iterator[tuple[tuple[str, str], str]]:
    """Give the texts in a folder by plugin and name; "" is the plugin of what lies on top."""
    if not folder.is_dir():
        raise BadInput(f"{folder} is not there")
    left = _MAX_BYTES
    if (folder / INDEX).is_file():
        folder = folder.resolve()
        places = [(folder.name, folder)]
    else:
        below = [each for each in sorted(folder.iterdir()) if is_file_name(each.name)]
        places = [("", folder)]
        places += [(each.name, each) for each in below if each.is_dir() and not each.is_symlink()]
    for plugin, place in places:
        for file in sorted(place.iterdir()):
            if file.is_symlink() or not file.is_file() or not is_file_name(file.name):
                continue
            with file.open("rb") as stream:
                content = stream.read(left + 1)
            left -= len(content)
            if left < 0:
                raise BadInput(f"{folder} is larger than a recording can be")
            yield (plugin, file.name), content.decode("utf-8", "replace")


def _members(archive: Path) -> Iterator[tuple[tuple[str, str], str]]:
    """Give the texts in an archive likewise; it is read in one go and never unpacked."""
    with archive.open("rb") as file:
        is_packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        stream = gzip.GzipFile(fileobj=file) if is_packed else file
        bounded = _BoundedStream(archive, stream)
        # The stubs ask for a method `write` that reading never calls.
        with tarfile.open(fileobj=bounded, mode="r|") as tar:  # type: ignore[call-overload]
            for member in tar:
                parts = [each for each in PurePosixPath(member.name).parts if each != "."]
                place = _place(parts)
                if not member.isfile() or place is None:
                    continue
                content = tar.extractfile(member)
                if content is not None:
                    yield place, content.read().decode("utf-8", "replace")


def _place(parts: Sequence[str]) -> tuple[str, str] | None:
    """Return plugin and name of an archive's member, None for one that is no part of it.

    The folder on top of the archive may be missing.
    """
    if not all(map(is_file_name, parts)):
        return None
    if len(parts) in {1, 2} and parts[-1] == MACHINE:
        return "", MACHINE
    return (parts[-2], parts[-1]) if len(parts) in {2, 3} else None


class _BoundedStream:
    """Gives out so many bytes and no more: a small archive can unpack to a huge one."""

    def __init__(self, path: Path, stream: IO[bytes] | gzip.GzipFile) -> None:
        self._path = path
        self._stream = stream
        self._left = _MAX_BYTES

    def read(self, size: int) -> bytes:
        content = self._stream.read(size)
        self._left -= len(content)
        if self._left < 0:
            raise BadInput(f"{self._path} is larger than a recording can be")
        return content
