"""The file of figures of one platform, read anew whenever it has changed."""

from __future__ import annotations

import logging
import os
import threading
from dataclasses import dataclass

from agent.config import files, yaml_source
from agent.errors import ConfigError, ConfigProblem, PermanentError
from agent.protocols.tc609 import figures_file
from agent.protocols.tc609.figures_file import Figures
from agent.protocols.tc609.report_map import ReportMap

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """Is what one state of the file came to."""

    mark: tuple[int, ...] | None
    figures: Figures
    trouble: str | None


class FiguresSource:
    """Gives the figures of a file; safe in every thread.

    `path` None: the platform has no such file, and nothing is known but what meters give.
    """

    def __init__(self, path: str | None, *, platform: str, report_map: ReportMap) -> None:
        self.path = path
        self._platform = platform
        self._map = report_map
        self._lock = threading.Lock()
        self._read: _Read | None = None

    def read(self) -> Figures:
        """Return the figures.

        Raises:
            PermanentError: the file is broken or gone; with the first of its problems.
        """
        found = self._current()
        if found.trouble is not None:
            raise PermanentError(found.trouble)
        return found.figures

    @property
    def trouble(self) -> str | None:
        """Is what is wrong with the file; None if all is well."""
        return self._current().trouble

    def _current(self) -> _Read:
        with self._lock:
            mark = _mark(self.path)
            before = self._read
            if before is not None and before.mark == mark and mark is not None:
                return before
            found = self._load(mark)
            self._read = found
        if found.trouble != (before.trouble if before else None):
            if found.trouble is not None:
                logger.error(
                    "event=figures_unusable platform=%s reason=%r", self._platform, found.trouble
                )
            else:
                logger.info("event=figures_good_again platform=%s", self._platform)
        return found

    def _load(self, mark: tuple[int, ...] | None) -> _Read:
        if self.path is None:
            return _Read(mark=mark, figures=Figures(), trouble=None)
        try:
            figures = load(self.path, report_map=self._map)
        except ConfigError as error:
            more = len(error.problems) - 1
            trouble = f"{error.problems[0]}" + (f" (and {more} more)" if more else "")
            return _Read(mark=mark, figures=Figures(), trouble=trouble)
        return _Read(mark=mark, figures=figures, trouble=None)


def load(path: str, *, report_map: ReportMap) -> Figures:
    """Read a file of figures.

    Raises:
        ConfigError: every problem of it, each with its place.
    """
    try:
        content = files.read_whole(path, largest=yaml_source.LARGEST_FILE_BYTES + 1)
    except files.UnusableFileError as error:
        raise ConfigError([ConfigProblem(file=path, key="", message=str(error))]) from error
    return figures_file.parse_figures(content, file=path, report_map=report_map)


def _mark(path: str | None) -> tuple[int, ...] | None:
    """Return what tells one state of the file from another; None where it cannot be told."""
    if path is None:
        return (0,)
    try:
        found = os.stat(path)  # noqa: PTH116 - no Path is made for one call
    except (OSError, ValueError):
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino)
