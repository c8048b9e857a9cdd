"""The file systems of this node and how full they are.

psutil does not serve here: its disk_partitions gives no device number to tell a bind mount by, and
in some versions asks every mount, as disk_usage does, and so waits for a dead one without end.
"""

from __future__ import annotations

import logging
import os
import posixpath
import stat
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from agent.contracts import Collector
from agent.errors import NotPresent, ReadingUnavailable
from agent.model.readings import DiskReading
from collectors.system import mounts

_log = logging.getLogger(__name__)

DEADLINE_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskConfig:
    """Says which file systems are read: every real one, or those mounted at these paths."""

    disks: Literal["auto"] | tuple[str, ...] = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSystemSize:
    """Holds how big a file system is and how much of it is taken."""

    total_bytes: int
    used_bytes: int


Measure = Callable[[str], "FileSystemSize | None"]


def measure(path: str) -> FileSystemSize | None:
    """Return the size of the file system at a path; None if the path is no directory.

    Total is all its blocks and used is what is not free, the share reserved for root counted as
    free: `df`'s columns 1K-blocks and Used. May block for as long as the device does.

    Raises:
        OSError: the file system did not tell.
        ReadingUnavailable: what it told makes no sense.
    """
    if not stat.S_ISDIR(os.stat(path).st_mode):  # noqa: PTH116 - a path may be no text
        return None
    figures = os.statvfs(path)
    return file_system_size(
        blocks=figures.f_blocks, free_blocks=figures.f_bfree, block_bytes=figures.f_frsize
    )


def file_system_size(*, blocks: int, free_blocks: int, block_bytes: int) -> FileSystemSize:
    """Return sizes in bytes.

    Raises:
        ReadingUnavailable: the file system has no size, or more free than there is.
    """
    if blocks <= 0 or block_bytes <= 0:
        raise ReadingUnavailable("the file system tells no size")
    if not 0 <= free_blocks <= blocks:
        raise ReadingUnavailable("the file system tells more free space than it has")
    return FileSystemSize(
        total_bytes=blocks * block_bytes, used_bytes=(blocks - free_blocks) * block_bytes
    )


class DiskCollector:
    """Reads file systems, each in a thread of its own with one deadline for all.

    A dead disk or server leaves whoever asks it waiting, in the kernel, where nothing can end
    the wait. So its thread is left behind and the file system is listed as unknown; it is asked
    again only once that thread has come back, so that there is never more than one of them.
    """

    name: ClassVar[str] = "disks"
    config_type: ClassVar[type[DiskConfig]] = DiskConfig

    def __init__(
        self,
        config: DiskConfig,
        *,
        proc: Path = Path("/proc"),
        measure: Measure = measure,
        deadline_seconds: float = DEADLINE_SECONDS,
    ) -> None:
        self._configured = config.disks
        self._mountinfo = proc / "self/mountinfo"
        self._measure = measure
        self._deadline_seconds = deadline_seconds
        self._stuck: dict[str, _Question] = {}

    def probe(self) -> None:
        """Return if the kernel's list of mounts can be read.

        Raises:
            NotPresent: /proc is not mounted.
        """
        if not self._mountinfo.exists():
            raise NotPresent(f"{self._mountinfo} does not exist", hint="mount /proc")

    def collect(self) -> Sequence[DiskReading]:
        """Return one reading for each file system, within the deadline.

        Configured paths come in their own order, real file systems sorted by path.

        Raises:
            ReadingUnavailable: the list of mounts cannot be read.
        """
        try:
            listed = mounts.parse_mountinfo(self._mountinfo.read_bytes())
        except OSError as error:
            raise ReadingUnavailable(
                f"{self._mountinfo}: {error.strerror}", hint="mount /proc"
            ) from error
        if self._configured == "auto":
            return self._ask(mounts.real_file_systems(listed))
        return self._configured_disks(self._configured, mounted=mounts.reachable(listed))

    def close(self) -> None:
        """Do nothing: a thread that is stuck in the kernel cannot be ended, and is a daemon's."""

    def _configured_disks(
        self, paths: Sequence[str], *, mounted: dict[str, mounts.Mount]
    ) -> list[DiskReading]:
        # Without its mount, a path would give the figures of the file system around it.
        wanted = dict.fromkeys(_normalized(path) for path in paths)
        found = {
            reading.mount_path: reading
            for reading in self._ask([(path,) for path in wanted if path in mounted])
        }
        return [
            found.get(_printable(path))
            or _unknown(
                path,
                "not a directory" if path in mounted else "nothing is mounted there",
            )
            for path in wanted
        ]

    def _ask(self, groups: Sequence[tuple[str, ...]]) -> list[DiskReading]:
        deadline = time.monotonic() + self._deadline_seconds
        questions = [self._question(paths) for paths in groups]
        for question in questions:
            if self._stuck.get(question.mount_path) is not question:
                question.answered.wait(max(deadline - time.monotonic(), 0))
        readings = [self._result(question) for question in questions]
        return [reading for reading in readings if reading is not None]

    def _question(self, paths: tuple[str, ...]) -> _Question:
        stuck = self._stuck.get(paths[0])
        if stuck is not None and not stuck.answered.is_set():
            return stuck
        question = _Question(paths=paths, measure=self._measure)
        question.start()
        return question

    def _result(self, question: _Question) -> DiskReading | None:
        path = question.mount_path
        if question.answered.is_set():
            if self._stuck.pop(path, None) is not None:
                _log.info("file system answers again mount_path=%s", _printable(path))
            return question.reading
        waited_seconds = time.monotonic() - question.asked_at
        if path not in self._stuck:
            _log.warning(
                "file system hangs mount_path=%s waited_seconds=%.1f",
                _printable(path),
                waited_seconds,
            )
        self._stuck[path] = question
        return _unknown(path, f"has not answered for {waited_seconds:.0f} s")


@dataclass(slots=True, kw_only=True)
class _Question:
    """Is one call that may never come back; `reading` is there once `answered` is set.

    `reading` stays None if none of the paths is a directory: container runtimes bind single
    files, and a disk of the host would be listed as /etc/hosts.
    """

    paths: tuple[str, ...]
    measure: Measure
    answered: threading.Event = field(default_factory=threading.Event)
    asked_at: float = field(default_factory=time.monotonic)
    reading: DiskReading | None = None

    @property
    def mount_path(self) -> str:
        return self.paths[0]

    def start(self) -> None:
        threading.Thread(
            target=self._run, name=f"disk {_printable(self.mount_path)}"[:64], daemon=True
        ).start()

    def _run(self) -> None:
        try:
            self.reading = self._answer()
        finally:
            self.answered.set()

    def _answer(self) -> DiskReading | None:
        for path in self.paths:
            try:
                size = self.measure(path)
            except OSError as error:
                return _unknown(path, error.strerror or type(error).__name__)
            except ReadingUnavailable as error:
                return _unknown(path, error.reason)
            if size is not None:
                return DiskReading(
                    mount_path=_printable(path),
                    total_bytes=size.total_bytes,
                    used_bytes=size.used_bytes,
                )
        return None


def _unknown(path: str, reason: str) -> DiskReading:
    return DiskReading(
        mount_path=_printable(path),
        total_bytes=None,
        used_bytes=None,
        unknown={"total_bytes": reason, "used_bytes": reason},
    )


def _normalized(path: str) -> str:
    # POSIX keeps two slashes at the start apart from one; the kernel's list does not.
    return "/" + posixpath.normpath(path).lstrip("/")


def _printable(path: str) -> str:
    """Return a path as text for people: bytes that are no text become question marks."""
    return path.encode("utf-8", "replace").decode("utf-8")


_conforms: type[Collector] = DiskCollector
