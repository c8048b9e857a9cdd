"""The ledger of a running agent: keeps readings, and knows which hours they concern.

What `keep` has returned for is on the disk. A reading that is handed in again changes nothing; one
that contradicts what is there is refused. Each reading opens the hours that it may change, and
`closing` closes them, again if need be.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from agent.centre import belief, pruning
from agent.centre.belief import doubtful_spans
from agent.centre.reading_writer import NamedReading, ReadingWriter
from agent.metering.hours import HOUR, MARGIN
from agent.model.metering import CentreHour, MeterReading, RegisterTraits
from agent.store import corrections, hours, readings
from agent.store.corrections import Superseded
from agent.store.database import Database
from agent.store.file_lock import FileLock
from agent.store.ledger import (
    HOUR_MICROSECONDS,
    LEDGER,
    LOCK_NAME,
    hour_at,
    microseconds_of,
    moment_of,
    read_meta,
    start_of,
    write_meta,
)
from agent.store.readings import Fate, Source

_CLOSED_UNTIL = "closed_until_hour"
_READINGS_FROM = "readings_from_us"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Says what became of readings; `refused` has the place and the reason of each such one."""

    accepted: int = 0
    repeated: int = 0
    corrected: int = 0
    refused: tuple[tuple[int, str], ...] = ()


class Ledger:
    """Is the ledger in a folder; safe in every thread, and of one process at a time.

    Raises:
        PermanentError: the file cannot be used.
        TransientError: another process has it.
    """

    def __init__(self, folder: Path, *, spread: frozenset[str] = frozenset()) -> None:
        """Take in `spread` the meters of which two readings concern every hour between them."""
        self._lock = FileLock(folder, LOCK_NAME)
        try:
            self._database = Database(folder, schema=LEDGER)
        except BaseException:
            self._lock.release()
            raise
        self.path = self._database.path
        self._writer = ReadingWriter(spread=spread)

    def close(self) -> None:
        """Close the file; may be called twice."""
        self._database.close()
        self._lock.release()

    def keep(
        self,
        named: Sequence[NamedReading],
        *,
        source: Source,
        now: datetime,
        not_before: datetime,
        corrects: frozenset[str] | None = None,
    ) -> Kept:
        """Write readings, and return once they are on the disk.

        `not_before` is from when on readings are kept. With `corrects` a reading takes the place of
        one that was imported, and of any of the meters named in it; one without a value withdraws
        it. What was there stays in the ledger as superseded.

        Raises:
            NoRoomError: the disk is full; nothing of it was kept.
            TransientError: the disk does not work now; likewise.
        """
        refused: list[tuple[int, str]] = []
        good: list[int] = []
        for place, (_, reading) in enumerate(named):
            trouble = belief.trouble_of(
                reading, now=now, not_before=not_before, may_be_empty=corrects is not None
            )
            if trouble is None:
                good.append(place)
            else:
                refused.append((place, trouble))
        try:
            with self._database.transaction() as statements:
                fates = self._writer.write(
                    statements,
                    [named[place] for place in good],
                    source=source,
                    now=now,
                    corrects=corrects,
                    spread_until=read_meta(statements, _CLOSED_UNTIL) or 0,
                )
        except BaseException:
            # What is remembered of it may not have come to the disk.
            self._writer.forget()
            raise
        repeated = corrected = 0
        for place, fate in zip(good, fates or (), strict=False):
            if fate is Fate.CONTRADICTED:
                name, reading = named[place]
                at = reading.taken_at.isoformat()
                told = (
                    "if they are wrong, correct them: `meters import --correct`"
                    if corrects is None
                    else "the meter itself told them"
                )
                reason = f"{name} has other values at {at} in the ledger already; {told}"
                refused.append((place, reason))
            elif fate is Fate.CORRECTED:
                corrected += 1
            elif fate is Fate.REPEATED:
                repeated += 1
        return Kept(
            accepted=len(named) - repeated - corrected - len(refused),
            repeated=repeated,
            corrected=corrected,
            refused=tuple(sorted(refused)),
        )

    def around(
        self, name: str, start_at: datetime, *, end_at: datetime | None = None
    ) -> tuple[MeterReading, ...]:
        """Return every reading that has a say in the hour, or the time, from `start_at` on."""
        first, last = start_at - MARGIN, (end_at or start_at + HOUR) + MARGIN
        with self._database.transaction() as statements:
            meter = readings.meter_ids(statements).get(name)
            if meter is None:
                return ()
            return readings.around(
                statements,
                meter,
                first_us=microseconds_of(first),
                last_us=microseconds_of(last),
            )

    def superseded(self, name: str, start_at: datetime) -> tuple[Superseded, ...]:
        """Return what the readings that have a say in an hour said before they were corrected."""
        with self._database.transaction() as statements:
            meter = readings.meter_ids(statements).get(name)
            if meter is None:
                return ()
            return corrections.between(
                statements,
                meter,
                first_us=microseconds_of(start_at - MARGIN),
                last_us=microseconds_of(start_at + HOUR + MARGIN),
            )

    def register_rows(
        self, name: str, *, is_water: bool, start_at: datetime, end_at: datetime
    ) -> list[tuple[int, int | None, int | None]]:
        """Return what `around` does, as time in microseconds, register, and number of the marker.

        The register is None where a reading does not tell it.
        """
        with self._database.transaction() as statements:
            meter = readings.meter_ids(statements).get(name)
            if meter is None:
                return []
            return readings.register_rows(
                statements,
                meter,
                is_water=is_water,
                first_us=microseconds_of(start_at - MARGIN),
                last_us=microseconds_of(end_at + MARGIN),
            )

    def power_rows(
        self, name: str, *, start_at: datetime, end_at: datetime
    ) -> list[tuple[int, float]]:
        """Return time in microseconds and power of the readings around the hours of a time.

        Unlike `around` it returns none beyond their margins.
        """
        with self._database.transaction() as statements:
            meter = readings.meter_ids(statements).get(name)
            if meter is None:
                return []
            return readings.power_rows(
                statements,
                meter,
                first_us=microseconds_of(start_at - MARGIN),
                last_us=microseconds_of(end_at + MARGIN),
            )

    def latest(self, name: str, *, until: datetime) -> MeterReading | None:
        """Return the last reading of a meter that is not after a time; None where there is none."""
        found, _ = self.pair(name, until)
        return found

    def pair(self, name: str, moment: datetime) -> tuple[MeterReading | None, MeterReading | None]:
        """Return the readings of a meter nearest to a time: not after it, and after it."""
        at = microseconds_of(moment)
        with self._database.transaction() as statements:
            meter = readings.meter_ids(statements).get(name)
            if meter is None:
                return None, None
            before, after = readings.neighbours(statements, meter, first_us=at + 1, last_us=at)
            return (
                readings.find(statements, meter, at_us=before),
                readings.find(statements, meter, at_us=after),
            )

    def traits(self, name: str) -> RegisterTraits:
        """Return what a meter last told of its register."""
        with self._database.transaction() as statements:
            return readings.traits_of(statements, name)

    def keep_traits(self, name: str, traits: RegisterTraits) -> None:
        """Keep what a meter tells of its register."""
        with self._database.transaction() as statements:
            if readings.traits_of(statements, name) != traits:
                readings.write_traits(statements, readings.meter_id(statements, name), traits)

    def names(self) -> tuple[str, ...]:
        """Return every meter of which there ever were readings."""
        with self._database.transaction() as statements:
            return tuple(readings.meter_ids(statements))

    def hour(self, start_at: datetime) -> CentreHour | None:
        """Return the latest version of an hour, None where it was not closed."""
        with self._database.transaction() as statements:
            return hours.find(statements, hour_at(start_at))

    def versions(self, start_at: datetime) -> tuple[CentreHour, ...]:
        """Return every version of an hour, the first one first."""
        with self._database.transaction() as statements:
            return hours.versions(statements, hour_at(start_at))

    def hours_between(self, first: datetime, before: datetime) -> tuple[CentreHour, ...]:
        """Return the closed hours that begin at or after one time and before another."""
        first_hour = -(-microseconds_of(first) // HOUR_MICROSECONDS)
        last_hour = -(-microseconds_of(before) // HOUR_MICROSECONDS) - 1
        with self._database.transaction() as statements:
            return hours.between(statements, first=first_hour, last=last_hour)

    def last_hours(self, *, count: int) -> tuple[CentreHour, ...]:
        """Return the last closed hours, in their order."""
        with self._database.transaction() as statements:
            return hours.last(statements, count=count)

    def open_due(self, last: int, *, most: int) -> None:
        """Open every hour up to one that the calendar brings, and the one before them again.

        That one is looked at a second time, because readings of the hour after it may refute some
        of its own. After an outage the last `most` hours are opened.
        """
        with self._database.transaction() as statements:
            before = read_meta(statements, _CLOSED_UNTIL)
            if before is not None and last > before:
                hours.open_again(statements, range(max(before, last - most), last + 1))
            elif before is not None and last < before:
                hours.delete_after(statements, last)
            if last != before:
                write_meta(statements, _CLOSED_UNTIL, last)

    def opened(self, *, until: int, most: int) -> tuple[tuple[int, int], ...]:
        """Return the first hours to close that are not after one, each with its mark."""
        with self._database.transaction() as statements:
            return hours.opened(statements, until=until, most=most)

    def settle(self, hour: int, *, mark: int, closed: CentreHour | None) -> None:
        """Keep a closed hour, None where nothing changed, and note that it needs no more.

        With another mark than that of now it stays open: a reading came in between.
        """
        self.settle_all([(hour, mark, closed)])

    def settle_all(self, settled: Iterable[tuple[int, int, CentreHour | None]]) -> None:
        """Do the same for several hours, each with its mark: for all of them, or none."""
        with self._database.transaction() as statements:
            for hour, mark, closed in settled:
                if closed is not None:
                    hours.write(statements, closed)
                hours.settle(statements, hour, mark=mark)

    def reopen(self, first: datetime, last: datetime) -> None:
        """Let the hours between two times be closed again."""
        with self._database.transaction() as statements:
            hours.open_again(statements, range(hour_at(first), hour_at(last) + 1))

    def has_all_readings_of(self, hour: int) -> bool:
        """Tell whether no reading that concerns an hour has been deleted for its age."""
        with self._database.transaction() as statements:
            since = read_meta(statements, _READINGS_FROM)
        return since is None or start_of(hour) - MARGIN >= moment_of(since)

    def note_clock_step(self, *, before: datetime, after: datetime) -> None:
        """Keep that the clock was set, and open the hours that it concerns."""
        with self._database.transaction() as statements:
            hours.write_clock_step(statements, before=before, after=after)
            for first, last in doubtful_spans(before, after):
                hours.open_again(statements, range(hour_at(first), hour_at(last) + 1))

    def clock_steps(self) -> tuple[tuple[datetime, datetime], ...]:
        """Return what the clock showed before and after each time it was set."""
        with self._database.transaction() as statements:
            return hours.clock_steps(statements)

    def delete_before(self, readings_before: datetime, hours_before: datetime) -> int:
        """Delete what is too old, in small transactions; return how many readings and hours."""
        with self._database.transaction() as statements:
            before_us = microseconds_of(readings_before)
            if before_us > (read_meta(statements, _READINGS_FROM) or 0):
                write_meta(statements, _READINGS_FROM, before_us)
        return pruning.delete_before(
            self._database, readings_before=readings_before, hours_before=hours_before
        )
