"""The statements for closed hours, and for those that are to be closed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from datetime import datetime

import msgspec

from agent.model.metering import CentreHour
from agent.store.ledger import hour_at, microseconds_of, moment_of

_decoder = msgspec.json.Decoder(CentreHour)
_LATEST = (
    "SELECT document FROM hours AS one WHERE hour BETWEEN ? AND ? AND version = "
    "(SELECT max(version) FROM hours WHERE hour = one.hour) ORDER BY hour"
)


def write(statements: sqlite3.Connection, hour: CentreHour) -> None:
    """Keep a closed hour beside its earlier versions."""
    statements.execute(
        "INSERT INTO hours VALUES (?, ?, ?)",
        (hour_at(hour.start_at), hour.version, msgspec.json.encode(hour)),
    )


def find(statements: sqlite3.Connection, hour: int) -> CentreHour | None:
    """Return the latest version of an hour, None where it was never closed."""
    row = statements.execute(
        "SELECT document FROM hours WHERE hour = ? ORDER BY version DESC LIMIT 1", (hour,)
    ).fetchone()
    return None if row is None else _decoder.decode(row[0])


def versions(statements: sqlite3.Connection, hour: int) -> tuple[CentreHour, ...]:
    """Return every version of an hour, the first one first."""
    rows = statements.execute("SELECT document FROM hours WHERE hour = ? ORDER BY version", (hour,))
    return tuple(_decoder.decode(row[0]) for row in rows)


def between(statements: sqlite3.Connection, *, first: int, last: int) -> tuple[CentreHour, ...]:
    """Return the hours from one to another, both included, in their order."""
    return tuple(_decoder.decode(row[0]) for row in statements.execute(_LATEST, (first, last)))


def last(statements: sqlite3.Connection, *, count: int) -> tuple[CentreHour, ...]:
    """Return the last hours that were closed, in their order."""
    rows = statements.execute(
        "SELECT DISTINCT hour FROM hours ORDER BY hour DESC LIMIT ?", (count,)
    ).fetchall()
    return between(statements, first=rows[-1][0], last=rows[0][0]) if rows else ()


def open_again(statements: sqlite3.Connection, hours: Iterable[int]) -> None:
    """Note that hours have to be closed, for the first time or again."""
    statements.executemany(
        "INSERT INTO open_hours VALUES (?, 1) ON CONFLICT (hour) DO UPDATE SET mark = mark + 1",
        ((hour,) for hour in hours),
    )


def opened(statements: sqlite3.Connection, *, until: int, most: int) -> tuple[tuple[int, int], ...]:
    """Return the first hours that have to be closed and are not after one, each with its mark."""
    rows = statements.execute(
        "SELECT hour, mark FROM open_hours WHERE hour <= ? ORDER BY hour LIMIT ?", (until, most)
    )
    return tuple((row[0], row[1]) for row in rows)


def known(statements: sqlite3.Connection, hours: Iterable[int]) -> Iterator[int]:
    """Yield those hours that were closed, or have to be."""
    for hour in hours:
        row = statements.execute(
            "SELECT EXISTS (SELECT 1 FROM hours WHERE hour = :hour) "
            "OR EXISTS (SELECT 1 FROM open_hours WHERE hour = :hour)",
            {"hour": hour},
        ).fetchone()
        if row[0]:
            yield hour


def count_open(statements: sqlite3.Connection, *, until: int) -> int:
    """Return how many hours have to be closed that are not after one."""
    row = statements.execute("SELECT count(*) FROM open_hours WHERE hour <= ?", (until,)).fetchone()
    return int(row[0])


def settle(statements: sqlite3.Connection, hour: int, *, mark: int) -> None:
    """Note that an hour has been closed, unless there was a new cause since its mark."""
    statements.execute("DELETE FROM open_hours WHERE hour = ? AND mark = ?", (hour, mark))


def delete_before(statements: sqlite3.Connection, hour: int, *, most: int) -> int:
    """Delete the oldest hours before one, with all their versions; return how many rows."""
    row = statements.execute(
        "SELECT max(hour) FROM (SELECT hour FROM hours WHERE hour < ? ORDER BY hour LIMIT ?)",
        (hour, most),
    ).fetchone()
    if row[0] is None:
        return 0
    return statements.execute("DELETE FROM hours WHERE hour <= ?", (row[0],)).rowcount


def delete_after(statements: sqlite3.Connection, hour: int) -> None:
    """Forget the hours after one: they were closed by a clock that was ahead."""
    statements.execute("DELETE FROM hours WHERE hour > ?", (hour,))


def write_clock_step(statements: sqlite3.Connection, *, before: datetime, after: datetime) -> None:
    """Keep that the clock was set."""
    statements.execute(
        "INSERT INTO clock_steps (before_us, after_us) VALUES (?, ?)",
        (microseconds_of(before), microseconds_of(after)),
    )


def clock_steps(statements: sqlite3.Connection) -> tuple[tuple[datetime, datetime], ...]:
    """Return what the clock showed before and after each time it was set."""
    rows = statements.execute("SELECT before_us, after_us FROM clock_steps ORDER BY step_id")
    return tuple((moment_of(before), moment_of(after)) for before, after in rows)


def delete_clock_steps_before(statements: sqlite3.Connection, moment: datetime) -> None:
    """Forget the settings of the clock that concern no reading any more."""
    at = microseconds_of(moment)
    statements.execute("DELETE FROM clock_steps WHERE max(before_us, after_us) < ?", (at,))
