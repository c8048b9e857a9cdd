"""When to try again."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(slots=True, kw_only=True)
class Backoff:
    """Counts failures and gives the wait after each: doubling, bounded, with jitter.

    The jitter takes up to `jitter_ratio` off, so that no wait is longer than `most_seconds`.
    """

    first_seconds: float
    most_seconds: float
    jitter_ratio: float = 0.2
    failures: int = 0

    def next_seconds(self) -> float:
        """Count a failure and return how long to wait."""
        # Bounded before it is a power: years of failures must not overflow a float.
        doublings = min(self.failures, 30)
        self.failures += 1
        wait_seconds = min(self.first_seconds * 2.0**doublings, self.most_seconds)
        return wait_seconds * (1.0 - random.random() * self.jitter_ratio)

    def reset(self) -> None:
        """Forget the failures."""
        self.failures = 0
