"""Writes readings, and opens the hours that they may change, inside a transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from agent.centre.concerned import concerned_hours
from agent.model.metering import MeterReading
from agent.store import corrections, hours, readings
from agent.store.corrections import Correcting
from agent.store.ledger import HOUR_MICROSECONDS, microseconds_of
from agent.store.readings import Fate, Source

NamedReading: TypeAlias = "tuple[str, MeterReading]"

_CHANGES = frozenset({Fate.ACCEPTED, Fate.CORRECTED})


@dataclass(slots=True, kw_only=True)
class _Meter:
    """Remembers the last times at which a meter was read, the latest first."""

    meter_id: int
    times: tuple[int, ...] = ()


class ReadingWriter:
    """Remembers the last readings of each meter; for one transaction at a time."""

    def __init__(self, *, spread: frozenset[str]) -> None:
        """Take in `spread` the meters of which two readings concern every hour between them."""
        self._spread = spread
        self._meters: dict[str, _Meter] = {}

    def forget(self) -> None:
        """Remember nothing: what was written may not have come to the disk."""
        self._meters = {}

    def write(
        self,
        statements: sqlite3.Connection,
        named: Sequence[NamedReading],
        *,
        source: Source,
        now: datetime,
        corrects: frozenset[str] | None,
        spread_until: int,
    ) -> tuple[Fate, ...] | None:
        """Write readings; return what became of each, None where all of them were accepted.

        `spread_until` is the last hour that there is. `corrects` is as in `Ledger.keep`.
        """
        rows = []
        opened: set[int] = set()
        # Hours of the readings themselves; others matter only if there was anything in them.
        own: set[int] = set()
        imported: dict[str, set[int]] = {}
        for name, reading in named:
            meter = self._meters.get(name)
            if meter is None:
                number = readings.meter_id(statements, name)
                times = readings.last_times(statements, number, count=3)
                meter = self._meters[name] = _Meter(meter_id=number, times=times)
            marker = reading.reset_marker
            row = readings.row_of(
                reading,
                meter=meter.meter_id,
                marker=None if marker is None else readings.marker_id(statements, marker),
                source=source,
            )
            hour = row[1] // HOUR_MICROSECONDS
            own.add(hour)
            in_order = not meter.times or row[1] > meter.times[0]
            if source is Source.LIVE and in_order and name not in self._spread:
                # In its order: what it can change lies at the readings before it, and later
                # ones are weighed when an hour is looked at for the second time.
                opened.update(each // HOUR_MICROSECONDS for each in meter.times)
                opened.update((hour - 1, hour))
                meter.times = (row[1], *meter.times[:2])
            else:
                imported.setdefault(name, set()).add(hour)
            rows.append(row)
        fates: tuple[Fate, ...] | None
        if corrects is None:
            fates = readings.insert(statements, rows)
        else:
            known = readings.meter_ids(statements)
            correcting = Correcting(
                at_us=microseconds_of(now),
                by_hand=frozenset(known[name] for name in corrects if name in known),
            )
            fates = corrections.write(statements, rows, correcting=correcting)
        if fates is None or not _CHANGES.isdisjoint(fates):
            for name, among in imported.items():
                opened.update(
                    concerned_hours(
                        statements,
                        self._meters[name].meter_id,
                        among,
                        spread_until=spread_until if name in self._spread else None,
                    )
                )
            hours.open_again(statements, {*own, *hours.known(statements, opened - own)})
        if imported:
            self.forget()
        return fates
