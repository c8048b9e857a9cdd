"""The statements for raw readings; every function works inside a transaction."""

from __future__ import annotations

import enum
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TypeAlias

from agent.model.metering import MeterReading, RegisterTraits
from agent.store.ledger import microseconds_of, moment_of


class Source(enum.IntEnum):
    """Says how a reading came."""

    LIVE = 0
    IMPORT = 1


# The columns of a reading in their order: meter, time, energy, water, power, marker, source.
Row: TypeAlias = "tuple[int, int, int | None, int | None, float | None, int | None, int]"


class Fate(enum.Enum):
    """Says what became of a reading that was handed in."""

    ACCEPTED = "accepted"
    REPEATED = "repeated"
    CONTRADICTED = "contradicted"
    CORRECTED = "corrected"


INSERT = "INSERT OR IGNORE INTO readings VALUES (?, ?, ?, ?, ?, ?, ?)"
VALUES = "energy_joules, water_millilitres, power_watts"


def meter_ids(statements: sqlite3.Connection) -> dict[str, int]:
    """Return the number of every meter that has ever been read, by its name."""
    rows = statements.execute("SELECT name, meter_id FROM meters")
    return {row[0]: row[1] for row in rows}


def meter_id(statements: sqlite3.Connection, name: str) -> int:
    """Return the number of a meter; a new one where it has none."""
    statements.execute("INSERT OR IGNORE INTO meters (name) VALUES (?)", (name,))
    row = statements.execute("SELECT meter_id FROM meters WHERE name = ?", (name,)).fetchone()
    return int(row[0])


def write_traits(statements: sqlite3.Connection, meter: int, traits: RegisterTraits) -> None:
    """Keep what a meter told of its register."""
    # As texts, because a modulus in joules may pass 63 bits.
    told = (each if each is None else str(each) for each in (traits.modulus, traits.resolution))
    statements.execute(
        "UPDATE meters SET modulus = ?, resolution = ?, starts_at_zero = ?, rate_maximum = ? "
        "WHERE meter_id = ?",
        (*told, traits.starts_at_zero, traits.rate_maximum, meter),
    )


def traits_of(statements: sqlite3.Connection, name: str) -> RegisterTraits:
    """Return what a meter last told of its register; nothing where it never did."""
    row = statements.execute(
        "SELECT modulus, resolution, starts_at_zero, rate_maximum FROM meters WHERE name = ?",
        (name,),
    ).fetchone()
    if row is None:
        return RegisterTraits()
    modulus, resolution, starts_at_zero, rate_maximum = row
    return RegisterTraits(
        modulus=None if modulus is None else int(modulus),
        resolution=None if resolution is None else int(resolution),
        starts_at_zero=bool(starts_at_zero),
        rate_maximum=rate_maximum,
    )


def marker_id(statements: sqlite3.Connection, text: str | None) -> int | None:
    """Return the number of a reset marker; None for none."""
    if text is None:
        return None
    statements.execute("INSERT OR IGNORE INTO markers (text) VALUES (?)", (text,))
    row = statements.execute("SELECT marker_id FROM markers WHERE text = ?", (text,)).fetchone()
    return int(row[0])


def insert(statements: sqlite3.Connection, rows: Sequence[Row]) -> tuple[Fate, ...] | None:
    """Write readings; return what became of each, None where all of them were accepted.

    A reading is repeated where one of the same meter and time with the same values is there, and
    contradicted where it has others; it is then not written.
    """
    statements.execute("SAVEPOINT many")
    before = statements.total_changes
    statements.executemany(INSERT, rows)
    if statements.total_changes - before == len(rows):
        statements.execute("RELEASE many")
        return None
    # Which of them were there cannot be told of many at once.
    statements.execute("ROLLBACK TO many")
    statements.execute("RELEASE many")
    return tuple(insert_one(statements, row) for row in rows)


def insert_one(statements: sqlite3.Connection, row: Row) -> Fate:
    """Write one reading, as `insert` does."""
    if statements.execute(INSERT, row).rowcount == 1:
        return Fate.ACCEPTED
    there = statements.execute(
        f"SELECT {VALUES} FROM readings WHERE meter_id = ? AND taken_us = ?",  # noqa: S608
        row[:2],
    ).fetchone()
    is_same = all(
        given is None or given == known for given, known in zip(row[2:5], there, strict=True)
    )
    return Fate.REPEATED if is_same else Fate.CONTRADICTED


def between(
    statements: sqlite3.Connection, meter: int, *, first_us: int, last_us: int
) -> Iterator[MeterReading]:
    """Yield a meter's readings from one time to another, both included, in their order."""
    rows = statements.execute(
        "SELECT taken_us, energy_joules, water_millilitres, power_watts, text FROM readings "
        "LEFT JOIN markers USING (marker_id) "
        "WHERE meter_id = ? AND taken_us BETWEEN ? AND ? ORDER BY taken_us",
        (meter, first_us, last_us),
    )
    for taken_us, energy_joules, water_millilitres, power_watts, marker in rows:
        yield MeterReading(
            taken_at=moment_of(taken_us),
            energy_joules=energy_joules,
            water_millilitres=water_millilitres,
            power_watts=power_watts,
            reset_marker=marker,
        )


def register_rows(
    statements: sqlite3.Connection, meter: int, *, is_water: bool, first_us: int, last_us: int
) -> list[tuple[int, int | None, int | None]]:
    """Return time, register and number of the marker of what `around` returns, in its order."""
    before, after = neighbours(statements, meter, first_us=first_us, last_us=last_us)
    column = "water_millilitres" if is_water else "energy_joules"
    cursor = statements.cursor()
    cursor.row_factory = None  # plain tuples: there are many
    cursor.execute(
        f"SELECT taken_us, {column}, marker_id FROM readings "  # noqa: S608 - one of two names
        "WHERE meter_id = ? AND taken_us BETWEEN ? AND ? ORDER BY taken_us",
        (meter, first_us if before is None else before, last_us if after is None else after),
    )
    return cursor.fetchall()


def power_rows(
    statements: sqlite3.Connection, meter: int, *, first_us: int, last_us: int
) -> list[tuple[int, float]]:
    """Return time and power of the readings that tell it, from one time to another."""
    cursor = statements.cursor()
    cursor.row_factory = None
    cursor.execute(
        "SELECT taken_us, power_watts FROM readings WHERE meter_id = ? "
        "AND taken_us BETWEEN ? AND ? AND power_watts IS NOT NULL ORDER BY taken_us",
        (meter, first_us, last_us),
    )
    return cursor.fetchall()


def around(
    statements: sqlite3.Connection, meter: int, *, first_us: int, last_us: int
) -> tuple[MeterReading, ...]:
    """Return the readings from one time to another, and the nearest on either side of them."""
    before, after = neighbours(statements, meter, first_us=first_us, last_us=last_us)
    first_us = first_us if before is None else before
    last_us = last_us if after is None else after
    return tuple(between(statements, meter, first_us=first_us, last_us=last_us))


def neighbours(
    statements: sqlite3.Connection, meter: int, *, first_us: int, last_us: int
) -> tuple[int | None, int | None]:
    """Return when the nearest readings before one time and after another were taken."""
    row = statements.execute(
        "SELECT (SELECT max(taken_us) FROM readings WHERE meter_id = :meter AND taken_us < :first),"
        " (SELECT min(taken_us) FROM readings WHERE meter_id = :meter AND taken_us > :last)",
        {"meter": meter, "first": first_us, "last": last_us},
    ).fetchone()
    return row[0], row[1]


def find(statements: sqlite3.Connection, meter: int, *, at_us: int | None) -> MeterReading | None:
    """Return the reading of a meter at a time; None where there is none, or no time."""
    if at_us is None:
        return None
    return next(between(statements, meter, first_us=at_us, last_us=at_us), None)


def last_times(statements: sqlite3.Connection, meter: int, *, count: int) -> tuple[int, ...]:
    """Return when a meter was last read, in microseconds, the latest first."""
    rows = statements.execute(
        "SELECT taken_us FROM readings WHERE meter_id = ? ORDER BY taken_us DESC LIMIT ?",
        (meter, count),
    )
    return tuple(row[0] for row in rows)


def delete_before(statements: sqlite3.Connection, meter: int, *, before_us: int, most: int) -> int:
    """Delete the oldest readings of a meter that were taken before a time; return how many."""
    row = statements.execute(
        "SELECT max(taken_us) FROM (SELECT taken_us FROM readings "
        "WHERE meter_id = ? AND taken_us < ? ORDER BY taken_us LIMIT ?)",
        (meter, before_us, most),
    ).fetchone()
    if row[0] is None:
        return 0
    return statements.execute(
        "DELETE FROM readings WHERE meter_id = ? AND taken_us <= ?", (meter, row[0])
    ).rowcount


def row_of(reading: MeterReading, *, meter: int, marker: int | None, source: Source) -> Row:
    """Return a reading as it is written."""
    return (
        meter,
        microseconds_of(reading.taken_at),
        reading.energy_joules,
        reading.water_millilitres,
        reading.power_watts,
        marker,
        int(source),
    )


def counts(statements: sqlite3.Connection) -> Mapping[str, int]:
    """Return how many readings there are of each meter; reads all of them."""
    rows = statements.execute(
        "SELECT name, count(taken_us) FROM meters LEFT JOIN readings USING (meter_id) "
        "GROUP BY meter_id"
    )
    return {row[0]: row[1] for row in rows}


def first_at(statements: sqlite3.Connection) -> datetime | None:
    """Return when the oldest reading was taken; None where there is none."""
    times = [
        row[0]
        for each in meter_ids(statements).values()
        if (
            row := statements.execute(
                "SELECT min(taken_us) FROM readings WHERE meter_id = ?", (each,)
            ).fetchone()
        )
        and row[0] is not None
    ]
    return moment_of(min(times)) if times else None
