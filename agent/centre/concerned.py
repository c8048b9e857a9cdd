"""Which hours readings concern that did not come in their order."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from agent.store import readings
from agent.store.ledger import HOUR_MICROSECONDS


def concerned_hours(
    statements: sqlite3.Connection,
    meter: int,
    among: Iterable[int],
    *,
    spread_until: int | None,
) -> Iterable[int]:
    """Return the hours that readings in some hours may change: these, and those of neighbours.

    Of a meter whose readings are spread over the hours between them, `spread_until` is the last
    hour that there is, up to which its last reading has a say; None of any other meter.
    """
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
        if spread_until is not None:
            last = max((*near, hour)) if after is not None else max(spread_until, hour)
            found.update(range(min((*near, hour)), last + 1))
    return found
