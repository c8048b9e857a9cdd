"""Asks the accelerator plugins, while the agent runs, what a container needs for its chips."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Protocol

from agent.app import grant
from agent.config.settings import AcceleratorSettings
from agent.errors import BadInput, ReadingUnavailable, TransientError
from agent.model.accelerator import ContainerGrant
from agent.model.clock import Clock

# A plugin that could not tell may only have been busy.
_ASK_AGAIN_SECONDS = 60.0


class Ask(Protocol):
    """Asks a plugin once, as `grant.grant` does."""

    def __call__(
        self, sections: Mapping[str, AcceleratorSettings], *, plugin: str, chips: Sequence[str]
    ) -> ContainerGrant:
        """Return the grant; raises BadInput or ReadingUnavailable."""


class Grants:
    """Asks a plugin in a process of its own, so that a driver that hangs costs one container.

    `sections` are the settings of the plugins. Every method blocks for some seconds at most and is
    safe in every thread.
    """

    def __init__(
        self,
        sections: Mapping[str, AcceleratorSettings],
        *,
        clock: Clock,
        ask: Ask = grant.grant,
    ) -> None:
        self._sections = sections
        self._clock = clock
        self._ask = ask
        self._lock = threading.Lock()
        self._able: dict[str, tuple[bool, float]] = {}

    def can_grant(self, vendor: str) -> bool:
        """Tell whether a plugin hands chips to containers; one that does is asked once."""
        with self._lock:
            is_able, asked_at = self._able.get(vendor, (False, float("-inf")))
            if is_able or self._clock.monotonic() - asked_at < _ASK_AGAIN_SECONDS:
                return is_able
            try:
                self.grant(vendor, ())
            except TransientError:
                is_able = False
            else:
                is_able = True
            self._able[vendor] = is_able, self._clock.monotonic()
            return is_able

    def grant(self, vendor: str, uuids: Sequence[str]) -> ContainerGrant:
        """Return what a container needs for these chips.

        Raises:
            TransientError: the plugin cannot tell now, or a chip has gone.
        """
        try:
            return self._ask(self._sections, plugin=vendor, chips=uuids)
        except (BadInput, ReadingUnavailable) as error:
            raise TransientError(f"no accelerator can be given: {error}") from error
