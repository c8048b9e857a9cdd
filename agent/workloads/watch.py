"""Listens to the runtime, so that a container that ends is seen at once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from agent.contracts import Runtime
from agent.errors import AgentError
from agent.model.clock import Clock
from agent.workloads.attempts import Attempts
from agent.workloads.jobs import Spawn, spawn_daemon

logger = logging.getLogger(__name__)

_STREAM = "stream"


class ChangeWatch:
    """Calls `on_change` whenever something may have changed, from a thread of its own.

    The thread starts with the first `listen`. A stream that ends is opened again with a backoff of
    15 s at most, and counts as a change: nobody knows what was missed. The thread waits in the
    runtime, so it ends only when the runtime is closed.
    """

    def __init__(
        self,
        runtime: Callable[[], Runtime],
        *,
        on_change: Callable[[], None],
        clock: Clock,
        spawn: Spawn = spawn_daemon,
    ) -> None:
        self._runtime = runtime
        self._on_change = on_change
        self._spawn = spawn
        self._attempts = Attempts(clock=clock, most_seconds=15.0)
        self.is_started = False
        self._stopping = threading.Event()
        self._now = threading.Event()

    def listen(self) -> None:
        """Listen from now on; where a stream has ended, open the next one without waiting."""
        self._now.set()
        if not self.is_started:
            self.is_started = True
            self._spawn("workloads-changes", self._run)

    def stop(self) -> None:
        """Open no more streams."""
        self._stopping.set()
        self._now.set()

    def _run(self) -> None:
        had_failed = False
        while not self._stopping.is_set():
            self._now.clear()
            failed = False
            try:
                for _ in self._runtime().changes():
                    if self._stopping.is_set():
                        return
                    self._attempts.forget(_STREAM)
                    self._on_change()
            except AgentError:
                failed = True  # the next pass finds the same, and says so
            except Exception:
                failed = True
                logger.exception("event=runtime_stream_failed")
            if not (failed and had_failed):
                self._on_change()
            had_failed = failed
            self._attempts.count(_STREAM)
            self._now.wait(self._attempts.wait_seconds(_STREAM))
