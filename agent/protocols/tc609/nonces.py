"""Remembers which nonces came, so that nobody plays a signed request again."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict

from agent.model.clock import Clock

NONCES_MAXIMUM = 16_384


class NonceCache:
    """Holds the nonces of a while, each once; safe in every thread.

    Only nonces of true signatures belong here: others could push them out. A cache that is full
    takes no more until the oldest has served its time, rather than forget one that still counts.
    """

    def __init__(self, *, clock: Clock, keep_seconds: float, maximum: int = NONCES_MAXIMUM) -> None:
        self._clock = clock
        self._keep_seconds = keep_seconds
        self._maximum = maximum
        self._lock = threading.Lock()
        # Each with the moment at which it may be forgotten, in the order of those moments.
        self._kept: OrderedDict[bytes, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def is_full(self) -> bool:
        """Tell whether no other nonce can be taken now."""
        with self._lock:
            self._forget(self._clock.monotonic())
            return len(self._kept) >= self._maximum

    def take(self, nonce: str) -> bool:
        """Keep a nonce; returns False where it came before or no room is left."""
        digest = hashlib.sha256(nonce.encode()).digest()
        now_seconds = self._clock.monotonic()
        with self._lock:
            self._forget(now_seconds)
            if digest in self._kept or len(self._kept) >= self._maximum:
                return False
            self._kept[digest] = now_seconds + self._keep_seconds
        return True

    def _forget(self, now_seconds: float) -> None:
        while self._kept and next(iter(self._kept.values())) <= now_seconds:
            self._kept.popitem(last=False)
