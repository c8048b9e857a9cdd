"""Puts off the loading of a runtime until there is something to run."""

from __future__ import annotations

import threading
from collections.abc import Callable

from agent.contracts import Runtime
from agent.errors import TransientError


class LazyRuntime:
    """Builds the runtime when it is first wanted: its library weighs as much as half the agent."""

    def __init__(self, build: Callable[[], Runtime]) -> None:
        self._build = build
        self._lock = threading.Lock()
        self._runtime: Runtime | None = None
        self._is_closed = False

    def __call__(self) -> Runtime:
        """Return the runtime; safe in every thread.

        Raises:
            TransientError: it was closed.
            PermanentError: it cannot be loaded.
        """
        with self._lock:
            if self._is_closed:
                raise TransientError("the agent stops")
            if self._runtime is None:
                self._runtime = self._build()
            return self._runtime

    def close(self) -> None:
        """End what goes on with the engine; may be called twice."""
        with self._lock:
            self._is_closed = True
            runtime = self._runtime
        if runtime is not None:
            runtime.close()
