"""Which hours readings concern that did not come in their order."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from agent.store import readings
from agent.store.ledger import HOUR_MICROSECONDS


def concerned_hours(
    statements: sqlite3.Connection, meter: int, among: Iterable[int], *, is_spread: bool
) -> Iterable[int]:
    """Return the hours that readings in some hours may change: these, and those of neighbours."""
    found: set[int] = set()
    for hour in among:
        found.update((hour - 1, hour, hour + 1))
    for hour in sorted(found):
        if hour - 1 in found and hour + 1 in found:
            continue
        before, after = readings.neighbours(
            statements,
            meter,
            first_us=hour * HOUR_MICROSECONDS,
            last_us=(hour + 1) * HOUR_MICROSECONDS,
        )
        near = [each // HOUR_MICROSECONDS for each in (before, after) if each is not None]
        found.update(near)
        if is_spread:
            found.update(range(min((*near, hour)), max((*near, hour)) + 1))
    return found
