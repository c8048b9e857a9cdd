"""The faults in force: which request meets which, and how long one is held."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from agent.simulator.faults import EVERY_OPERATION, BadFault, Fault

FAULTS_MAXIMUM = 100


@dataclass(slots=True, kw_only=True)
class _Standing:
    """Is a fault that was asked for, with what is left of it."""

    identifier: int
    fault: Fault
    begins_monotonic_seconds: float
    ends_monotonic_seconds: float | None
    left: int | None
    seen: int = 0
    met: int = 0


class FaultBoard:
    """Holds the faults in force; safe in every thread.

    Of several that match a request, the one that was asked for first is met.
    """

    def __init__(self, *, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._identifiers = itertools.count(1)
        self._standing: list[_Standing] = []
        self._released = threading.Event()
        self._holders = 0

    def add(self, fault: Fault) -> int:
        """Put a fault in force and return its number.

        Raises:
            BadFault: too many are in force.
        """
        begins = self._monotonic() + fault.after_seconds
        with self._lock:
            self._expire()
            if len(self._standing) >= FAULTS_MAXIMUM:
                raise BadFault(f"{FAULTS_MAXIMUM} faults are in force: delete some first")
            identifier = next(self._identifiers)
            self._standing.append(
                _Standing(
                    identifier=identifier,
                    fault=fault,
                    begins_monotonic_seconds=begins,
                    ends_monotonic_seconds=None
                    if fault.seconds is None
                    else begins + fault.seconds,
                    left=fault.count,
                )
            )
        return identifier

    def take(self, operation: str) -> Fault | None:
        """Return the fault that a request of this operation meets now, None if it meets none."""
        with self._lock:
            self._expire()
            now = self._monotonic()
            for each in self._standing:
                if each.begins_monotonic_seconds > now:
                    continue
                if each.fault.operation not in (operation, EVERY_OPERATION):
                    continue
                each.seen += 1
                if each.seen % each.fault.every:
                    continue
                each.met += 1
                if each.left is not None:
                    each.left -= 1
                return each.fault
        return None

    def clear(self, identifier: int | None = None) -> int:
        """Lift one fault, or all; return how many. Requests that are held go on."""
        with self._lock:
            before = len(self._standing)
            self._standing = [
                each
                for each in self._standing
                if identifier is not None and each.identifier != identifier
            ]
            self._release()
            return before - len(self._standing)

    def release(self) -> None:
        """Let every held request go on, and lift no fault."""
        with self._lock:
            self._release()

    def hold(self, seconds: float, *, holders_maximum: int) -> None:
        """Wait, until `release` or `clear` at the longest.

        It does not wait where `holders_maximum` others wait already: they stand for workers of a
        listener, and the last ones have to be left for everybody else.
        """
        with self._lock:
            if self._holders >= holders_maximum:
                return
            self._holders += 1
            released = self._released
        try:
            released.wait(seconds)
        finally:
            with self._lock:
                self._holders -= 1

    def as_json(self) -> list[dict[str, Any]]:
        """Return the faults in force, for the control endpoint."""
        with self._lock:
            self._expire()
            now = self._monotonic()
            return [
                {
                    "id": each.identifier,
                    "kind": each.fault.kind.value,
                    "operation": each.fault.operation,
                    "left": each.left,
                    "seconds_left": None
                    if each.ends_monotonic_seconds is None
                    else round(each.ends_monotonic_seconds - now, 3),
                    "begins_in_seconds": round(max(0.0, each.begins_monotonic_seconds - now), 3),
                    "met": each.met,
                }
                for each in self._standing
            ]

    def _release(self) -> None:
        self._released.set()
        self._released = threading.Event()

    def _expire(self) -> None:
        now = self._monotonic()
        self._standing = [
            each
            for each in self._standing
            if each.left != 0
            and (each.ends_monotonic_seconds is None or each.ends_monotonic_seconds > now)
        ]
