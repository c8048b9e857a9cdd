"""Runs downloads, so many at a time, each as often as it takes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from agent.model.clock import Clock
from agent.model.workloads import Digests
from agent.transport.download import Cancellation
from agent.workloads.attempts import Attempts
from agent.workloads.part_file import PartFile

logger = logging.getLogger(__name__)

_HOUSEKEEPING_SECONDS = 3600.0


@dataclass(slots=True, kw_only=True, eq=False)
class Download:
    """Is a package's file on its way in: what is known of it, beyond what is on the disk.

    `furthest_bytes` is the most that was ever here, at `progress_at`; `silent_since` is the same
    moment on the monotonic clock. `started_at` is monotonic, too. `not_below_bytes` is the room
    that a file of unknown size is known not to fit into. `not_before` is when the server
    wants to be asked again, monotonic. Between attempts `part` keeps what was computed of its
    digests.
    """

    package_id: str
    generation: str
    url: str = field(repr=False)
    digests: Digests
    kept_bytes: int
    size_bytes: int | None
    validator: str | None
    error: str | None
    progress_at: datetime
    silent_since: float
    started_at: float
    furthest_bytes: int = 0
    not_below_bytes: int = 0
    not_before: float = 0.0
    mismatches: int = 0
    part: PartFile | None = None
    cancellation: Cancellation = field(default_factory=Cancellation)
    is_dropped: bool = False

    @property
    def received_bytes(self) -> int:
        """Return how much of it is here."""
        part = self.part
        return self.kept_bytes if part is None else part.size_bytes


class DownloadQueue:
    """Owns the worker threads, and says which download is tried when; safe in every thread.

    `attempt` is called in a worker's thread. It returns True when the download is done with,
    False when it is to be tried again with a pause; after a redirection of the download there is
    none. `forget` is called once the last attempt of a download that was dropped is over.
    """

    def __init__(
        self,
        *,
        parallel: int,
        clock: Clock,
        attempts: Attempts,
        attempt: Callable[[Download], bool],
        forget: Callable[[Download], None],
        keep_house: Callable[[], None],
    ) -> None:
        self._clock = clock
        self._attempts = attempts
        self._attempt = attempt
        self._forget = forget
        self._keep_house = keep_house
        self._condition = threading.Condition()
        self._downloads: dict[str, Download] = {}
        self._running: set[str] = set()
        self._is_stopping = False
        self._house_at = clock.monotonic() + _HOUSEKEEPING_SECONDS
        self._threads = [
            threading.Thread(target=self._work, name=f"package-{number}", daemon=True)
            for number in range(parallel)
        ]

    def start(self) -> None:
        """Start the workers."""
        for thread in self._threads:
            thread.start()

    def stop(self, *, timeout_seconds: float) -> None:
        """Cut what is running and wait for the workers; a thread in the disk is left behind."""
        with self._condition:
            self._is_stopping = True
            for download in self._downloads.values():
                download.cancellation.cancel("the agent stops")
            self._condition.notify_all()
        end = self._clock.monotonic() + timeout_seconds
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(max(0.0, end - self._clock.monotonic()))
        with self._condition:
            for generation, download in self._downloads.items():
                if generation not in self._running and download.part is not None:
                    download.part.close()

    @property
    def is_alive(self) -> bool:
        """Tell whether every worker runs."""
        return all(thread.is_alive() for thread in self._threads)

    @property
    def is_stopping(self) -> bool:
        """Tell whether `stop` was called."""
        return self._is_stopping

    def find(self, generation: str | None) -> Download | None:
        """Return a download that is not done with."""
        with self._condition:
            return None if generation is None else self._downloads.get(generation)

    def add(self, download: Download) -> None:
        """Take a download on; the next free worker tries it."""
        with self._condition:
            self._downloads[download.generation] = download
            self._condition.notify()

    def redirect(self, download: Download, *, url: str, digests: Digests) -> None:
        """Go on at once from another address for the same file."""
        with self._condition:
            if url != download.url:
                download.validator = None
            download.url = url
            download.digests = digests
            download.error = None
            download.silent_since = self._clock.monotonic()
            download.mismatches = 0
            download.not_before = 0.0
            self._attempts.forget(download.generation)
            download.cancellation.cancel("another address took its place")
            self._condition.notify()

    def drop(self, generation: str | None) -> None:
        """Let go of a download and of its file; unknown ones are no error."""
        with self._condition:
            download = self._downloads.pop(generation, None) if generation is not None else None
            if download is None:
                return
            download.is_dropped = True
            download.cancellation.cancel("it is not wanted any more")
            is_running = download.generation in self._running
            self._attempts.forget(download.generation)
        if not is_running:
            self._forget(download)

    def _work(self) -> None:
        while (download := self._next()) is not None:
            is_done = False
            before_bytes = download.furthest_bytes
            try:
                is_done = self._attempt(download)
            except Exception:
                # The border of a worker: whatever it was, the other downloads go on.
                logger.exception("event=package_error package=%s", download.package_id)
                download.error = "this program failed, see its log"
            self._finish(
                download, is_done=is_done, got_further=download.furthest_bytes > before_bytes
            )

    def _finish(self, download: Download, *, is_done: bool, got_further: bool) -> None:
        with self._condition:
            self._running.discard(download.generation)
            was_cut = download.cancellation.is_cancelled
            # One that had failed when a push took it up again has something left to do.
            is_done = is_done and not was_cut
            if is_done:
                if self._downloads.get(download.generation) is download:
                    del self._downloads[download.generation]
                self._attempts.forget(download.generation)
            elif not was_cut:
                if got_further:
                    self._attempts.forget(download.generation)
                self._attempts.count(download.generation)
            is_over = is_done or download.is_dropped or self._is_stopping
            self._condition.notify()
        if not is_over:
            return
        if download.part is not None:
            download.part.close()
        if download.is_dropped:
            self._forget(download)

    def _next(self) -> Download | None:
        """Wait for a download that may be tried, and return it; None at the end."""
        while True:
            with self._condition:
                if self._is_stopping:
                    return None
                now = self._clock.monotonic()
                waiting = [
                    (max(self._attempts.wait_seconds(each.generation), each.not_before - now), each)
                    for each in self._downloads.values()
                    if each.generation not in self._running
                ]
                due = next((each for seconds, each in waiting if seconds <= 0.0), None)
                if due is not None:
                    self._running.add(due.generation)
                    due.cancellation = Cancellation()
                    return due
                is_housekeeping = now >= self._house_at
                if is_housekeeping:
                    self._house_at = now + _HOUSEKEEPING_SECONDS
                else:
                    pause = min((seconds for seconds, _ in waiting), default=self._house_at - now)
                    self._condition.wait(max(0.0, min(pause, self._house_at - now)))
                    continue
            self._tidy()

    def _tidy(self) -> None:
        try:
            self._keep_house()
        except Exception:
            logger.exception("event=package_error")
