"""A thread that does one piece of work each time it is asked."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from agent.model.clock import Clock

_log = logging.getLogger(__name__)


class Worker:
    """Runs `work` in a thread of its own, never twice at once, and sleeps without a timer.

    A request that comes while it works is dropped: work that is slower than its requests must not
    pile up. `on_done` is called in the worker's thread after each piece; `clean_up` once, last.
    """

    def __init__(
        self,
        *,
        name: str,
        clock: Clock,
        work: Callable[[], None],
        clean_up: Callable[[], None],
        on_done: Callable[[], None],
    ) -> None:
        self._clock = clock
        self._work = work
        self._clean_up = clean_up
        self._on_done = on_done
        self._asked = threading.Event()
        self._stopping = False
        self._busy_since: float | None = None
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread, which waits for the first request."""
        self._thread.start()

    def request(self) -> None:
        """Ask for the work to be done once; returns at once."""
        with self._lock:
            if self._busy_since is None:
                self._busy_since = self._clock.monotonic()
                self._asked.set()

    def busy_seconds(self) -> float | None:
        """Return how long ago the request was made that is not done yet, None if there is none."""
        since = self._busy_since
        return None if since is None else self._clock.monotonic() - since

    def stop(self, *, timeout_seconds: float) -> bool:
        """Let the thread end, and return whether it did; one that is stuck is left behind."""
        self._stopping = True
        self._asked.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            self._asked.wait()
            self._asked.clear()
            if self._stopping:
                break
            try:
                self._work()
            except Exception:  # noqa: BLE001 - the thread must outlive every mistake
                _log.exception("thread=%s event=work_failed", self._thread.name)
            with self._lock:
                self._busy_since = None
            self._on_done()
        try:
            self._clean_up()
        except Exception:  # noqa: BLE001 - likewise
            _log.exception("thread=%s event=clean_up_failed", self._thread.name)
