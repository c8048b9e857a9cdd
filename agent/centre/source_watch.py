"""Asks one source of a centre's figures again and again, so that no question waits for it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from agent.errors import AgentError, PermanentError, PlatformRejected
from agent.model.clock import Clock

logger = logging.getLogger(__name__)

_T = TypeVar("_T")

INTERVAL_SECONDS = 15.0
# Who refuses us goes on refusing until a person changes something; asking often would look like
# guessing passwords.
REFUSED_SECONDS = 120.0
# Two answers may be lost before what the last one said is too old.
MAXIMUM_AGE_SECONDS = 50.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer(Generic[_T]):
    """Is what a source last told; `value` None says that it is not known, and `reason` why.

    `age_seconds` is how long ago it answered, None where it never did.
    """

    value: _T | None
    reason: str | None
    age_seconds: float | None


class SourceWatch(Generic[_T]):
    """Keeps the last answer of one source; its thread is the only one that waits for it.

    `read` asks once within a deadline of its own and raises AgentError; `close` ends a question
    that is under way. `latest` returns at once, in every thread.
    """

    def __init__(
        self,
        name: str,
        *,
        read: Callable[[], _T],
        close: Callable[[], None],
        clock: Clock,
        interval_seconds: float = INTERVAL_SECONDS,
        maximum_age_seconds: float = MAXIMUM_AGE_SECONDS,
    ) -> None:
        self.name = name
        self._read = read
        self._close = close
        self._clock = clock
        self._interval_seconds = interval_seconds
        self._maximum_age_seconds = maximum_age_seconds
        # Each is one reference, replaced as a whole.
        self._last: tuple[_T, float] | None = None
        self._trouble: str | None = "not asked yet"
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"source-{name}", daemon=True)

    def start(self) -> None:
        """Ask now, and then at each interval."""
        self._thread.start()

    def ask_to_stop(self) -> None:
        """Let the thread end; what it waits for is cut."""
        self._stopping.set()
        self._close()

    def join(self, *, timeout_seconds: float) -> None:
        """Wait for the thread's end."""
        if self._thread.ident is not None:
            self._thread.join(timeout_seconds)

    @property
    def is_alive(self) -> bool:
        """Tell whether the thread runs."""
        return self._thread.is_alive()

    def latest(self) -> Answer[_T]:
        """Return the last answer; one that is too old is not known any more."""
        last, trouble = self._last, self._trouble
        if last is None:
            return Answer(value=None, reason=trouble or "not asked yet", age_seconds=None)
        value, answered_seconds = last
        age_seconds = max(0.0, self._clock.monotonic() - answered_seconds)
        if age_seconds <= self._maximum_age_seconds:
            return Answer(value=value, reason=None, age_seconds=age_seconds)
        reason = f"last answered {age_seconds:.0f} s ago"
        return Answer(
            value=None,
            reason=f"{reason}; {trouble}" if trouble else reason,
            age_seconds=age_seconds,
        )

    def _run(self) -> None:
        due = self._clock.monotonic()
        while not self._stopping.wait(max(0.0, due - self._clock.monotonic())):
            pause_seconds = self._ask()
            due = max(due + pause_seconds, self._clock.monotonic())

    def _ask(self) -> float:
        """Ask once; return how long to wait from the start of this question on."""
        try:
            value = self._read()
        except AgentError as error:
            self._failed(str(error))
            is_refusal = isinstance(error, PlatformRejected | PermanentError)
            return max(self._interval_seconds, REFUSED_SECONDS if is_refusal else 0.0)
        except Exception as error:  # the border of this thread: the next answer may be well
            logger.debug("event=source_failed source=%s", self.name, exc_info=True)
            self._failed(f"{type(error).__name__}: {error}")
            return self._interval_seconds
        if self._trouble is not None:
            logger.info("event=source_known source=%s", self.name)
        self._last, self._trouble = (value, self._clock.monotonic()), None
        return self._interval_seconds

    def _failed(self, reason: str) -> None:
        if self._stopping.is_set():
            return
        if reason != self._trouble:
            logger.warning("event=source_unknown source=%s reason=%s", self.name, reason)
        self._trouble = reason
