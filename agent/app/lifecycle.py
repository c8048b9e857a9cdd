"""Runs the agent: starts its parts, watches them, reloads the configuration and stops.

Everything here happens in the main thread, which sleeps between signals.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType

from agent.app import build, logs
from agent.app.notify import ServiceNotifier
from agent.app.parts import Parts
from agent.app.wiring import Wiring
from agent.config.load import Loaded
from agent.errors import AgentError
from agent.model.clock import SystemClock

logger = logging.getLogger(__name__)

LoadConfiguration = Callable[[Path], Loaded]


class Daemon:
    """Is the running agent; `run` returns when it was told to stop."""

    def __init__(
        self, config_path: Path, *, load: LoadConfiguration, environment: Mapping[str, str]
    ) -> None:
        self._config_path = config_path
        self._load = load
        self._notifier = ServiceNotifier(environment)
        self._parts = Parts()
        # Signals wake the main thread through a pipe: the lock of an Event could be held by this
        # very thread at the moment when the handler wants it.
        self._wake_reader, self._wake_writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._stop_requested = False
        self._reload_requested = False

    def run(self) -> None:
        """Run until SIGTERM or SIGINT; SIGHUP reads the configuration again.

        Raises:
            ConfigError: the configuration cannot be used.
            AgentError: a part could not be started; its text says what to do.
        """
        loaded = self._load(self._config_path)
        settings = loaded.settings
        logs.configure(settings.log)
        _log_warnings(loaded)
        signal.set_wakeup_fd(self._wake_writer, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        wiring = Wiring(clock=SystemClock())
        self._parts.start(build.plan(settings, wiring=wiring))
        logger.info("event=ready %s", wiring.summary())
        self._notifier.ready(wiring.summary())
        try:
            self._watch(wiring)
        finally:
            self._notifier.stopping()
            self._parts.stop()
            logger.info("event=stopped")

    def _watch(self, wiring: Wiring) -> None:
        watchdog_seconds = self._notifier.watchdog_seconds
        # Three signs of life in each period leave room for a busy machine.
        period_seconds = watchdog_seconds / 3 if watchdog_seconds else None
        while not self._stop_requested:
            if self._reload_requested:
                self._reload_requested = False
                self._reload(wiring)
            if period_seconds is not None:
                faults = wiring.stale_loops()
                if faults:
                    logger.error("event=watchdog_withheld loops=%s", ",".join(faults))
                else:
                    self._notifier.watchdog()
            select.select([self._wake_reader], [], [], period_seconds)
            with contextlib.suppress(BlockingIOError):
                os.read(self._wake_reader, 4096)

    def _reload(self, wiring: Wiring) -> None:
        self._notifier.reloading()
        try:
            loaded = self._load(self._config_path)
            settings = loaded.settings
            plans = build.plan(settings, wiring=wiring)
        except AgentError as error:
            for line in str(error).splitlines():
                logger.error("event=reload_refused %s", line)  # noqa: TRY400 - no fault of ours
            self._notifier.ready("configuration refused, the old one stays in force")
            return
        logs.configure(settings.log)
        _log_warnings(loaded)
        for line in self._parts.change(plans) or ("nothing changed",):
            logger.info("event=reloaded %s", line)
        self._notifier.ready(wiring.summary())

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            self._reload_requested = True
        else:
            self._stop_requested = True


def _log_warnings(loaded: Loaded) -> None:
    for warning in loaded.warnings:
        logger.warning("event=config_warning %s", warning)
