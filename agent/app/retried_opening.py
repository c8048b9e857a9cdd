"""Opens what the agent keeps on its disk, or goes on trying until that can be used."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from agent.errors import NoRoomError, PermanentError, TransientError

logger = logging.getLogger(__name__)

RETRY_SECONDS = 60.0
Opened = TypeVar("Opened")


class RetriedOpening(Generic[Opened]):
    """Holds what was opened; a file that cannot be used stops nothing else.

    `name` stands in the log, `what` in messages. `open_it` raises PermanentError, TransientError or
    NoRoomError where it cannot be used now; `close` gets what was opened and the seconds that it
    may take. Safe in every thread.
    """

    def __init__(
        self,
        open_it: Callable[[], Opened],
        *,
        close: Callable[[Opened, float], None],
        name: str,
        what: str,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        self._open_it = open_it
        self._close = close
        self._name = name
        self._what = what
        self._retry_seconds = retry_seconds
        self._opened: Opened | None = None
        self._trouble: str | None = None
        self._stopping = threading.Event()
        self._changing = threading.Lock()
        self._thread: threading.Thread | None = None

    @property
    def opened(self) -> Opened:
        """What was opened.

        Raises:
            TransientError: it cannot be used now; with the reason.
        """
        opened = self._opened
        if opened is None:
            raise TransientError(
                f"{self._what} cannot be used: {self._trouble or 'not opened yet'}",
                retry_after_seconds=self._retry_seconds,
            )
        return opened

    def start(self) -> None:
        """Open it; where it cannot be used, go on trying."""
        if not self._take_up():
            self._thread = threading.Thread(target=self._retry, name=self._name, daemon=True)
            self._thread.start()

    def stop(self, *, timeout_seconds: float) -> None:
        """Close it; may be called twice."""
        self._stopping.set()
        with self._changing:
            opened, self._opened = self._opened, None
        if opened is not None:
            self._close(opened, timeout_seconds)
        if self._thread is not None:
            self._thread.join(timeout_seconds)

    def _retry(self) -> None:
        while not self._stopping.wait(self._retry_seconds):
            try:
                if self._take_up():
                    logger.info("event=%s_usable_again", self._name)
                    return
            except Exception:  # the border of this thread: the next turn may be well
                logger.exception("event=%s_failed", self._name)

    def _take_up(self) -> bool:
        with self._changing:
            if self._stopping.is_set():
                return True
            try:
                opened = self._open_it()
            except (PermanentError, TransientError, NoRoomError) as error:
                if error.reason != self._trouble:
                    logger.error("event=%s_unusable reason=%s", self._name, error)  # noqa: TRY400
                self._trouble = error.reason
                return False
            self._opened, self._trouble = opened, None
            return True
