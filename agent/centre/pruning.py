"""Deletes what is older than it is kept, a little at a time."""

from __future__ import annotations

from datetime import datetime

from agent.store import corrections, hours, readings
from agent.store.database import Database
from agent.store.ledger import hour_at, microseconds_of

_CHUNK_ROWS = 2000


def delete_before(database: Database, *, readings_before: datetime, hours_before: datetime) -> int:
    """Delete readings and hours, in small transactions; return how many."""
    deleted = 0
    before_us = microseconds_of(readings_before)
    with database.transaction() as statements:
        meters = tuple(readings.meter_ids(statements).values())
        hours.delete_clock_steps_before(statements, readings_before)
        corrections.delete_before(statements, before_us=before_us)
    for meter in meters:
        more = _CHUNK_ROWS
        while more == _CHUNK_ROWS:
            with database.transaction() as statements:
                more = readings.delete_before(
                    statements, meter, before_us=before_us, most=_CHUNK_ROWS
                )
            deleted += more
    more = 1
    while more:
        with database.transaction() as statements:
            more = hours.delete_before(statements, hour_at(hours_before), most=_CHUNK_ROWS)
        deleted += more
    return deleted
