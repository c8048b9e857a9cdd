"""The database of the meters: raw readings, closed hours, and what is still to be closed.

It is a file of its own, so that a ledger that is full or damaged touches neither packages nor
services.
"""

from __future__ import annotations

import sqlite3
from datetime import datetime, timedelta, timezone

from agent.store.database import Schema

FILE_NAME = "ledger.db"
LOCK_NAME = "ledger.lock"

_FIRST = """
    CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL);

    -- With what the meter last told of its register (RegisterTraits).
    CREATE TABLE meters (
        meter_id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        modulus TEXT,
        resolution TEXT,
        starts_at_zero INTEGER NOT NULL DEFAULT 0
    );

    -- What tells that a register began anew (a serial number, a boot id), kept once.
    CREATE TABLE markers (marker_id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);

    -- Times are microseconds since 1970 in UTC; amounts joules and millilitres. `source` is 0 for
    -- what a meter said to the agent and 1 for what was imported.
    CREATE TABLE readings (
        meter_id INTEGER NOT NULL REFERENCES meters (meter_id),
        taken_us INTEGER NOT NULL,
        energy_joules INTEGER,
        water_millilitres INTEGER,
        power_watts REAL,
        marker_id INTEGER REFERENCES markers (marker_id),
        source INTEGER NOT NULL,
        PRIMARY KEY (meter_id, taken_us)
    ) WITHOUT ROWID;

    -- Hours are counted from 1970 in UTC. The document is the hour as JSON.
    CREATE TABLE hours (
        hour INTEGER NOT NULL,
        version INTEGER NOT NULL,
        document BLOB NOT NULL,
        PRIMARY KEY (hour, version)
    ) WITHOUT ROWID;

    -- Hours that have to be closed, for the first time or again; `mark` grows with each new cause.
    CREATE TABLE open_hours (hour INTEGER PRIMARY KEY, mark INTEGER NOT NULL);

    -- When the clock of this machine was set: what it showed before and after.
    CREATE TABLE clock_steps (
        step_id INTEGER PRIMARY KEY, before_us INTEGER NOT NULL, after_us INTEGER NOT NULL
    );
"""

_SECOND = """
    -- The most that the register can count in a second (watts, or millilitres a second).
    ALTER TABLE meters ADD COLUMN rate_maximum REAL;

    -- What a reading said before it was corrected, as in `readings`; the last one is there.
    CREATE TABLE superseded (
        superseded_id INTEGER PRIMARY KEY,
        meter_id INTEGER NOT NULL REFERENCES meters (meter_id),
        taken_us INTEGER NOT NULL,
        corrected_us INTEGER NOT NULL,
        energy_joules INTEGER,
        water_millilitres INTEGER,
        power_watts REAL
    );
    CREATE INDEX superseded_by_time ON superseded (meter_id, taken_us);
"""

LEDGER = Schema(
    file_name=FILE_NAME,
    migrations=(_FIRST, _SECOND),
    remedy="import the readings again that were kept elsewhere",
)

HOUR_SECONDS = 3600
MICROSECONDS = 1_000_000
HOUR_MICROSECONDS = HOUR_SECONDS * MICROSECONDS
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)


def microseconds_of(moment: datetime) -> int:
    """Return an aware time as whole microseconds since 1970, exactly."""
    return (moment - _EPOCH) // _MICROSECOND


def moment_of(microseconds: int) -> datetime:
    """Return the time in UTC that `microseconds_of` counted."""
    return _EPOCH + timedelta(microseconds=microseconds)


def hour_at(moment: datetime) -> int:
    """Return the number of the hour, counted from 1970 in UTC, in which a time lies."""
    return microseconds_of(moment) // HOUR_MICROSECONDS


def start_of(hour: int) -> datetime:
    """Return when an hour begins."""
    return moment_of(hour * HOUR_MICROSECONDS)


def read_meta(statements: sqlite3.Connection, key: str) -> int | None:
    """Return a number that the ledger keeps for itself, None where there is none yet."""
    row = statements.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return None if row is None else int(row[0])


def write_meta(statements: sqlite3.Connection, key: str, value: int) -> None:
    """Keep a number."""
    statements.execute(
        "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (key, value),
    )
