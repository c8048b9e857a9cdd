"""Slows down whoever guesses passwords: failures are counted by address, in bounded memory."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections import OrderedDict

from agent.model.clock import Clock

FAILURES_AT_ONCE = 10
SECONDS_PER_FAILURE = 6.0
ADDRESSES_MAXIMUM = 1024


class LoginGuard:
    """Counts failed logins by address; safe in every thread.

    An address may fail ten times at once and then once in six seconds. Until then its credentials
    are not looked at, right or wrong; every other address is untouched. IPv6 counts by /64, which
    is what one household gets. Of 1,024 addresses the one that failed longest ago is forgotten.
    """

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        # Each address has the moment at which its bucket is empty again.
        self._empty_at: OrderedDict[str | bytes, float] = OrderedDict()

    def wait_seconds(self, address: str) -> float:
        """Return how long this address has to wait; 0 where its credentials may be looked at."""
        now_seconds = self._clock.monotonic()
        with self._lock:
            empty_at = self._empty_at.get(_group(address), now_seconds)
        full_seconds = (FAILURES_AT_ONCE - 1) * SECONDS_PER_FAILURE
        return max(empty_at - now_seconds - full_seconds, 0.0)

    def failed(self, address: str) -> bool:
        """Count a failed login; returns whether it is the first of this address for a while."""
        group = _group(address)
        now_seconds = self._clock.monotonic()
        with self._lock:
            empty_at = self._empty_at.pop(group, now_seconds)
            self._empty_at[group] = max(empty_at, now_seconds) + SECONDS_PER_FAILURE
            if len(self._empty_at) > ADDRESSES_MAXIMUM:
                self._empty_at.popitem(last=False)
        return empty_at <= now_seconds


def _group(address: str) -> str | bytes:
    if ":" in address:
        with contextlib.suppress(OSError, ValueError):
            packed = socket.inet_pton(socket.AF_INET6, address.partition("%")[0])
            # ::ffff:192.0.2.1 is an IPv4 client on a socket that serves both.
            return packed[:8] if any(packed[:10]) else packed
    return address
