"""The statements for readings that were wrong; every function works inside a transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from agent.model.metering import MeterReading
from agent.store import readings
from agent.store.ledger import moment_of
from agent.store.readings import Fate, Row, Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Correcting:
    """Allows what is handed in to take the place of what is there.

    That is anything that was imported, and anything of the meters in `by_hand`, whose numbers these
    are. `at_us` is when it is corrected, in microseconds.
    """

    at_us: int
    by_hand: frozenset[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Superseded:
    """Is what a reading said until it was corrected; `after` is None where it was withdrawn."""

    corrected_at: datetime
    before: MeterReading
    after: MeterReading | None


def write(
    statements: sqlite3.Connection, rows: Sequence[Row], *, correcting: Correcting
) -> tuple[Fate, ...]:
    """Write readings in place of those that are there; return what became of each.

    What was there is kept as superseded. A reading without any value withdraws the one that is
    there. It is contradicted where what is there may not be corrected.
    """
    return tuple(_write_one(statements, row, correcting=correcting) for row in rows)


def _write_one(statements: sqlite3.Connection, row: Row, *, correcting: Correcting) -> Fate:
    is_withdrawn = row[2:5] == (None, None, None)
    key = row[:2]
    if is_withdrawn:
        found = statements.execute(
            "SELECT source FROM readings WHERE meter_id = ? AND taken_us = ?", key
        ).fetchone()
        fate = Fate.REPEATED if found is None else Fate.CONTRADICTED
    else:
        fate = readings.insert_one(statements, row)
    if fate is not Fate.CONTRADICTED:
        return fate
    done = statements.execute(
        f"INSERT INTO superseded (meter_id, taken_us, corrected_us, {readings.VALUES}) "  # noqa: S608
        f"SELECT meter_id, taken_us, ?, {readings.VALUES} FROM readings "
        "WHERE meter_id = ? AND taken_us = ? AND (source = ? OR ?)",
        (correcting.at_us, *key, int(Source.IMPORT), row[0] in correcting.by_hand),
    )
    if done.rowcount == 0:
        return Fate.CONTRADICTED
    statements.execute("DELETE FROM readings WHERE meter_id = ? AND taken_us = ?", key)
    if not is_withdrawn:
        statements.execute(readings.INSERT, row)
    return Fate.CORRECTED


def between(
    statements: sqlite3.Connection, meter: int, *, first_us: int, last_us: int
) -> tuple[Superseded, ...]:
    """Return what the readings that `around` returns, and those withdrawn, said before."""
    before, after = readings.neighbours(statements, meter, first_us=first_us, last_us=last_us)
    rows = statements.execute(
        f"SELECT taken_us, corrected_us, {readings.VALUES} FROM superseded "  # noqa: S608
        "WHERE meter_id = ? AND taken_us BETWEEN ? AND ? ORDER BY superseded_id",
        (meter, first_us if before is None else before, last_us if after is None else after),
    ).fetchall()
    found: list[Superseded] = []
    # What took the place of a reading is the next that was superseded, or what is there.
    following: dict[int, MeterReading | None] = {}
    for taken_us, corrected_us, energy_joules, water_millilitres, power_watts in reversed(rows):
        reading = MeterReading(
            taken_at=moment_of(taken_us),
            energy_joules=energy_joules,
            water_millilitres=water_millilitres,
            power_watts=power_watts,
        )
        if taken_us not in following:
            following[taken_us] = readings.find(statements, meter, at_us=taken_us)
        found.append(
            Superseded(
                corrected_at=moment_of(corrected_us), before=reading, after=following[taken_us]
            )
        )
        following[taken_us] = reading
    return tuple(reversed(found))


def delete_before(statements: sqlite3.Connection, *, before_us: int) -> None:
    """Delete what was corrected of readings that are too old to be kept."""
    statements.execute("DELETE FROM superseded WHERE taken_us < ?", (before_us,))
