"""The state of one plugin, told to the log once for each change."""

from __future__ import annotations

import logging
import threading

from agent.model.clock import Clock
from agent.model.view import PluginState, PluginStatus

_log = logging.getLogger(__name__)

_LEVELS = {
    PluginState.BROKEN: logging.ERROR,
    PluginState.FAILING: logging.WARNING,
    PluginState.STALLED: logging.WARNING,
}


class StatusKeeper:
    """Keeps the state of one plugin; safe in every thread.

    `since` is when the state was entered: a new detail of the same state neither moves it nor is
    logged, so that a plugin that fails every few seconds fills no disk.
    """

    def __init__(self, *, group: str, name: str, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._status = PluginStatus(
            group=group, name=name, state=PluginState.STARTING, since=clock.now()
        )

    @property
    def status(self) -> PluginStatus:
        """Is the state of now."""
        return self._status

    def set(self, state: PluginState, detail: str | None = None) -> None:
        """Enter a state; `detail` says why in words, None if all is well."""
        with self._lock:
            before = self._status
            changed = state is not before.state
            self._status = PluginStatus(
                group=before.group,
                name=before.name,
                state=state,
                detail=detail,
                since=self._clock.now() if changed else before.since,
            )
        if changed:
            level = _LEVELS.get(state, logging.INFO)
            if state is PluginState.ABSENT and before.state is PluginState.STARTING:
                # Most vendors' cards are in no machine: a start must not tell of each.
                level = logging.DEBUG
            _log.log(
                level,
                "plugin=%s/%s state=%s before=%s detail=%s",
                before.group,
                before.name,
                state.value,
                before.state.value,
                detail,
            )
