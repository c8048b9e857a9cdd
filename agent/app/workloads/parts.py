"""The algorithm packages and services of the running agent, as one part of it.

A reload of the settings puts other packages and another reconciler in place of the old ones, over
the same database; containers notice nothing. Whoever asks meanwhile is told to try again.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from agent.app.workloads import replica_logs
from agent.app.workloads.lazy_runtime import LazyRuntime
from agent.config.settings import Settings
from agent.errors import NoRoomError, PermanentError, TransientError
from agent.model.workloads import Container, Service
from agent.store.database import Database
from agent.workloads.packages import Packages
from agent.workloads.reconciler import Reconciler
from agent.workloads.services import Services

logger = logging.getLogger(__name__)

# A pass asks the engine once and the database some times; the engine's deadline is a minute.
STALE_SECONDS = 120.0
RETRY_SECONDS = 30.0
_RELOAD_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class Running:
    """Holds what one set of settings made."""

    packages: Packages
    services: Services
    reconciler: Reconciler
    runtime: LazyRuntime

    def start(self) -> None:
        """Take up what was asked for; errors as those of `Packages.start`."""
        self.packages.start()
        self.reconciler.start()

    def stop(self, *, timeout_seconds: float) -> None:
        """End, at most in three times the time given; containers go on."""
        self.packages.stop(timeout_seconds=timeout_seconds)
        # Before the reconciler is waited for: what hangs in the engine ends by it.
        self.runtime.close()
        self.reconciler.stop(timeout_seconds=timeout_seconds)

    @property
    def is_alive(self) -> bool:
        """Tell whether its loops work."""
        return self.packages.is_alive and self.reconciler.is_alive(STALE_SECONDS)


Assemble: TypeAlias = Callable[[Settings, Database], Running]


class Workloads:
    """Is the part of the agent that keeps packages and runs services.

    A database or folder that cannot be used is told to whoever asks, and in the log: it is no
    reason for the platform to lose the node. It is tried again every half minute.

    `start`, `stop` and `reload` belong to the main thread; everything else is safe in every thread.
    """

    def __init__(
        self, settings: Settings, *, assemble: Assemble, retry_seconds: float = RETRY_SECONDS
    ) -> None:
        self.folder = Path(settings.node.state_dir)
        self._settings = settings
        self._assemble = assemble
        self._retry_seconds = retry_seconds
        self._changing = threading.Lock()
        self._database: Database | None = None
        self._unusable: str | None = None
        self._running: Running | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Open the database and take up what was asked for."""
        # One for each life: a thread that outlasts its stop must not take the next one's for its.
        self._stopping = stopping = threading.Event()
        self._take_up(stopping)
        self._thread = threading.Thread(
            target=self._watch, args=(stopping,), name="workload-usage", daemon=True
        )
        self._thread.start()

    def reload(self, settings: Settings) -> None:
        """Go on under other settings; downloads are cut and taken up again."""
        self._end(timeout_seconds=_RELOAD_SECONDS)
        self._settings = settings
        self.start()

    def stop(self, *, timeout_seconds: float) -> None:
        """End; every container goes on, and every download at the next start."""
        self._end(timeout_seconds=timeout_seconds)
        self._close()

    def is_alive(self) -> bool:
        """Tell whether its loops work; one that was not started has none that could have ended."""
        running = self._running
        return running is None or running.is_alive

    @property
    def packages(self) -> Packages:
        """Return the packages; raises TransientError while there are none to be had."""
        return self._now().packages

    @property
    def services(self) -> Services:
        """Return what should run; raises TransientError while that cannot be told."""
        return self._now().services

    def seen(self) -> Sequence[Service]:
        """Return the services as they were last seen; raises TransientError."""
        return self._now().reconciler.services()

    def orphans(self) -> Sequence[Container] | None:
        """Return the containers of services that this agent did not make.

        None while the engine is not asked, or does not answer. Raises TransientError.
        """
        return self._now().reconciler.orphans()

    def logs(self, service_id: str, *, replica: int, tail_lines: int) -> bytes:
        """Return the last lines that a replica printed; errors as those of `replica_logs.read`."""
        running = self._now()
        return replica_logs.read(
            running.reconciler.services(),
            service_id,
            replica=replica,
            tail_lines=tail_lines,
            runtime=running.runtime,
        )

    def _now(self) -> Running:
        running = self._running
        if running is not None:
            return running
        if self._unusable is not None:
            raise TransientError(self._unusable, retry_after_seconds=self._retry_seconds)
        raise TransientError(
            "the agent is taking up other settings; try again", retry_after_seconds=5
        )

    def _take_up(self, stopping: threading.Event) -> None:
        with self._changing:
            if stopping.is_set():
                return
            try:
                if self._database is None:
                    self._database = Database(self.folder)
                running = self._assemble(self._settings, self._database)
                running.start()
            except (PermanentError, TransientError, NoRoomError) as error:
                # Somebody may put another file in place of this one.
                self._close()
                if error.reason != self._unusable:
                    logger.error("event=workloads_unusable reason=%s", error)  # noqa: TRY400
                self._unusable = error.reason
            else:
                self._running, self._unusable = running, None

    def _end(self, *, timeout_seconds: float) -> None:
        self._stopping.set()
        with self._changing:
            running, self._running = self._running, None
        if running is not None:
            running.stop(timeout_seconds=timeout_seconds)
        if self._thread is not None:
            self._thread.join(timeout_seconds)

    def _close(self) -> None:
        database, self._database = self._database, None
        if database is not None:
            database.close()

    def _watch(self, stopping: threading.Event) -> None:
        """Measure what runs; where nothing can run, try again to begin."""
        while not stopping.wait(self._pause_seconds()):
            try:
                running = self._running
                if running is None:
                    self._take_up(stopping)
                else:
                    running.reconciler.measure()
            except Exception:  # the border of this thread: the next turn may be well
                logger.exception("event=workloads_failed")

    def _pause_seconds(self) -> float:
        return (
            self._retry_seconds
            if self._running is None
            else self._settings.collect.interval_seconds
        )
