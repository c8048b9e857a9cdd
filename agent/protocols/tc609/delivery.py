"""Delivers what waits for one platform, in a thread of its own."""

from __future__ import annotations

import logging
import threading
from typing import Protocol

from agent.errors import AgentError

logger = logging.getLogger(__name__)

# A command in another process may have put something into the outbox.
_LONGEST_WAIT_SECONDS = 60.0
_WAIT_AFTER_TROUBLE_SECONDS = 10.0


class Deliverer(Protocol):
    """Delivers messages one by one."""

    def deliver_due(self) -> bool:
        """Deliver the first message if its time has come; True where the next may be asked for."""

    def wait_seconds(self) -> float | None:
        """Return how long until there is something to do; None: nothing waits."""


class DeliveryThread:
    """Runs the deliveries to one platform; a slow platform costs the others nothing.

    `start` once; `stop` may be called twice and waits for what is under way, so the client of the
    platform has to be closed before.
    """

    def __init__(
        self,
        deliverer: Deliverer,
        *,
        platform: str,
        longest_wait_seconds: float = _LONGEST_WAIT_SECONDS,
    ) -> None:
        self._deliverer = deliverer
        self._platform = platform
        self._longest_wait_seconds = longest_wait_seconds
        self._woken = threading.Event()
        self._is_stopping = False
        self._trouble: str | None = None
        self._thread = threading.Thread(target=self._run, name=f"report-{platform}", daemon=True)

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

    def wake(self) -> None:
        """Look at once for something to deliver."""
        self._woken.set()

    def stop(self, *, timeout_seconds: float) -> None:
        """End after the message that is under way, or leave the thread behind at the timeout."""
        self._is_stopping = True
        self._woken.set()
        if self._thread.is_alive():
            self._thread.join(timeout_seconds)

    def _run(self) -> None:
        while not self._is_stopping:
            self._woken.clear()
            wait_seconds = self._deliver()
            if wait_seconds > 0 and not self._is_stopping:
                self._woken.wait(wait_seconds)

    def _deliver(self) -> float:
        """Deliver at most one message and return how long to wait."""
        try:
            if self._deliverer.deliver_due():
                return 0.0
            wait_seconds = self._deliverer.wait_seconds()
        except AgentError as error:
            # The disk, not the platform: that is the reporter's own matter.
            self._note(str(error))
            return min(_WAIT_AFTER_TROUBLE_SECONDS, self._longest_wait_seconds)
        except Exception:
            logger.exception("event=delivery_failed platform=%s", self._platform)
            return self._longest_wait_seconds
        self._note(None)
        longest = self._longest_wait_seconds
        # A message that came in just now is due at once, and no reason to turn without a rest.
        return longest if wait_seconds is None else min(max(wait_seconds, 0.05), longest)

    def _note(self, trouble: str | None) -> None:
        if trouble == self._trouble:
            return
        self._trouble = trouble
        if trouble is None:
            logger.info("event=outbox_works_again platform=%s", self._platform)
        else:
            logger.error("event=outbox_failed platform=%s reason=%r", self._platform, trouble)
