"""Runs what takes long beside the thread that decides."""

from __future__ import annotations

import enum
import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from agent.errors import AgentError, TransientError

logger = logging.getLogger(__name__)

Work = Callable[[], None]
Then = Callable[[AgentError | None], None]
Spawn = Callable[[str, Callable[[], None]], None]


class Lane(enum.Enum):
    """Says what a job waits for, so that one sort of slow thing never holds up another."""

    STOP = "stop"
    START = "start"
    LICENCE = "licence"
    IMAGE = "image"


# Ten replicas that all ignore the request to end are gone after twice the grace; images are
# limited by the disk, so two at a time would only make both late.
PARALLEL: Mapping[Lane, int] = {Lane.STOP: 8, Lane.START: 4, Lane.LICENCE: 2, Lane.IMAGE: 1}


def spawn_daemon(name: str, target: Callable[[], None]) -> None:
    """Run a function in a thread that does not keep the process alive."""
    threading.Thread(target=target, name=name, daemon=True).start()


@dataclass(slots=True)
class _Queue:
    waiting: deque[tuple[str, Work, Then]] = field(default_factory=deque)
    threads: int = 0


class Jobs:
    """Runs at most one job for each key, a few in each lane; its threads end when they are idle.

    `submit`, `has` and `collect` belong to the thread that decides, so what a job's `then` touches
    needs no lock. `on_done` is called in the job's thread.
    """

    def __init__(self, *, on_done: Callable[[], None], spawn: Spawn = spawn_daemon) -> None:
        self._on_done = on_done
        self._spawn = spawn
        self._changed = threading.Condition()
        self._queues = {lane: _Queue() for lane in Lane}
        self._keys: set[str] = set()
        self._done: deque[tuple[str, Then, AgentError | None]] = deque()

    def submit(self, key: str, work: Work, *, lane: Lane, then: Then) -> None:
        """Begin a job as soon as its lane has room; nothing where one of this key is not over.

        Once it is over, `then` is called by `collect` with the error that it ended with.
        """
        with self._changed:
            if key in self._keys:
                return
            self._keys.add(key)
            queue = self._queues[lane]
            queue.waiting.append((key, work, then))
            if queue.threads == PARALLEL[lane]:
                return
            queue.threads += 1
        try:
            self._spawn(f"workloads-{lane.value}", lambda: self._run(queue))
        except RuntimeError as error:  # no room for a thread
            with self._changed:
                queue.threads -= 1
                queue.waiting.remove((key, work, then))
                self._done.append((key, then, TransientError(str(error))))
            self._on_done()

    def has(self, key: str) -> bool:
        """Tell whether the job of this key waits, runs, or was not collected yet."""
        with self._changed:
            return key in self._keys

    @property
    def is_idle(self) -> bool:
        """Tell whether there is no job that waits, runs, or was not collected yet."""
        with self._changed:
            return not self._keys

    def collect(self) -> None:
        """Call `then` of every job that is over."""
        while True:
            with self._changed:
                if not self._done:
                    return
                key, then, error = self._done.popleft()
                self._keys.discard(key)
            then(error)

    def stop(self, *, timeout_seconds: float) -> None:
        """Begin no more jobs, and wait for those that run; what takes longer is left behind."""
        with self._changed:
            for queue in self._queues.values():
                queue.waiting.clear()
            self._changed.wait_for(
                lambda: not any(queue.threads for queue in self._queues.values()),
                timeout=timeout_seconds,
            )

    def _run(self, queue: _Queue) -> None:
        while True:
            with self._changed:
                if not queue.waiting:
                    queue.threads -= 1
                    self._changed.notify_all()
                    return
                key, work, then = queue.waiting.popleft()
            error = _outcome(key, work)
            with self._changed:
                self._done.append((key, then, error))
            self._on_done()


def _outcome(key: str, work: Work) -> AgentError | None:
    try:
        work()
    except AgentError as error:
        return error
    except Exception as error:
        logger.exception("event=job_failed job=%s", key)
        return TransientError(f"unexpected: {type(error).__name__}: {error}")
    return None
