"""Counts how the questions of monitoring platforms were answered."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping


class AnswerCounts:
    """Adds up answers by question and code, over restarts of the listener; safe in every thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, int]] = Counter()

    def add(self, question: str, code: int) -> None:
        """Count one answer."""
        with self._lock:
            self._counts[question, int(code)] += 1

    def counts(self) -> Mapping[tuple[str, int], int]:
        """Return how often each question had each code."""
        with self._lock:
            return dict(self._counts)
