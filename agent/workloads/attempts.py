"""When to try again what is to be tried for ever, for each thing by itself."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection
from dataclasses import dataclass

from agent.model.clock import Clock


@dataclass(slots=True)
class _Record:
    attempts: int = 0
    next_at: float = 0.0
    succeeded_since: float | None = None


class Attempts:
    """Spaces attempts: the first at once, then 1 s doubling to five minutes, with jitter.

    Every attempt counts, one that succeeds too: a container that ends right after each start must
    not be started without a pause. What went well for a minute begins anew. Belongs to one thread.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        first_seconds: float = 1.0,
        most_seconds: float = 300.0,
        settled_seconds: float = 60.0,
        random_ratio: Callable[[], float] = random.random,
    ) -> None:
        self._clock = clock
        self._first_seconds = first_seconds
        self._most_seconds = most_seconds
        self._settled_seconds = settled_seconds
        self._random_ratio = random_ratio
        self._records: dict[str, _Record] = {}

    def count(self, key: str) -> None:
        """Note that an attempt begins, or that one failed that was not counted when it began."""
        record = self._records.setdefault(key, _Record())
        # Bounded before it is a power: years of failures must not overflow a float.
        doublings = min(record.attempts, 30)
        wait_seconds = min(self._first_seconds * 2.0**doublings, self._most_seconds)
        # The jitter only shortens, so that no wait is longer than is promised.
        wait_seconds *= 1.0 - 0.2 * self._random_ratio()
        record.attempts += 1
        record.next_at = self._clock.monotonic() + wait_seconds
        record.succeeded_since = None

    def wait_seconds(self, key: str) -> float:
        """Return how long the next attempt has to wait, 0 where it may begin."""
        record = self._records.get(key)
        return 0.0 if record is None else max(record.next_at - self._clock.monotonic(), 0.0)

    def goes_well(self, key: str) -> None:
        """Note that the thing is as it should be; a minute of that forgets the attempts."""
        record = self._records.get(key)
        if record is None:
            return
        now = self._clock.monotonic()
        if record.succeeded_since is None:
            record.succeeded_since = now
        elif now - record.succeeded_since >= self._settled_seconds:
            del self._records[key]

    def goes_ill(self, key: str) -> None:
        """Note that the thing is not as it should be: the minute begins anew."""
        if (record := self._records.get(key)) is not None:
            record.succeeded_since = None

    def forget(self, key: str) -> None:
        """Let the next attempt be a first one."""
        self._records.pop(key, None)

    def keep_only(self, keys: Collection[str]) -> None:
        """Forget everything else: what it was about is gone."""
        for key in set(self._records).difference(keys):
            del self._records[key]
