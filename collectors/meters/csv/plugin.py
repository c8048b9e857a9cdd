"""The kind `csv`: a file of readings that grows by hand or by export."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Annotated, ClassVar, TypeAlias
from zoneinfo import ZoneInfo

from msgspec import Meta

from agent.contracts import Meter
from agent.errors import NotPresent, ReadingUnavailable
from agent.model import meter_rows
from agent.model.clock import Clock, SystemClock
from agent.model.meter_rows import RefusedRow
from agent.model.metering import MeterReading, RegisterTraits

logger = logging.getLogger(__name__)

_MOST_BYTES = 16 * 1024 * 1024
_CHUNK_BYTES = 1 << 20
# A file that was written just now may be half a file, and half a number is a number.
_SETTLED = timedelta(seconds=2)
_SHOWN_REFUSALS = 3
# What was given: a row that was corrected is another one.
_Key: TypeAlias = "tuple[datetime, int | None, int | None, float | None]"
_REASONS = {
    "energy_joules": "not in this row",
    "water_millilitres": "not in this row",
    "power_watts": "not in this row",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvConfig:
    """Names the file, and whose rows count: `meter` is needed where there are those of several.

    `time_zone` (such as Asia/Shanghai) is that of times without one; without it they are refused.
    """

    path: str = ""
    meter: str = ""
    time_zone: Annotated[str, Meta(max_length=64)] | None = None


class CsvMeter:
    """Follows a file; each reading gives the newest row that was not given yet.

    So what was just written down counts at once, and older rows follow one by one. Where all were
    given, the newest is given again. The file is read anew when it has changed and settled.
    """

    name: ClassVar[str] = "csv"
    config_type: ClassVar[type[CsvConfig]] = CsvConfig

    def __init__(self, config: CsvConfig, *, clock: Clock | None = None) -> None:
        self._config = config
        self._clock = clock or SystemClock()
        self._seen: tuple[int, int, int, int] | None = None
        self._rows: tuple[MeterReading, ...] = ()
        self._given: set[_Key] = set()

    def probe(self) -> None:
        """Return if the file is there and the settings are right.

        Raises:
            NotPresent: it is not, or they are not.
        """
        try:
            self._zone()
            os.close(self._open())
        except ReadingUnavailable as error:
            raise NotPresent(error.reason, hint=error.hint) from error

    def read(self) -> MeterReading:
        """Return the newest row not given yet; raises ReadingUnavailable if there is no row."""
        rows = self.read_all()
        for row in reversed(rows):
            if _key(row) not in self._given:
                self._given.add(_key(row))
                return row
        return rows[-1]

    def read_all(self) -> Sequence[MeterReading]:
        """Return every row of this meter, by time; raises ReadingUnavailable if there is none."""
        descriptor = self._open()
        try:
            status = os.fstat(descriptor)
            mark = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
            if mark != self._seen and self._is_settled(status.st_mtime):
                self._rows = self._parse(descriptor, size_bytes=status.st_size)
                self._seen = mark
                self._given &= {_key(row) for row in self._rows}
        finally:
            os.close(descriptor)
        if not self._rows:
            raise ReadingUnavailable(
                f"{self._config.path} holds no row yet that can be taken",
                hint="write meter,time,energy_kwh into its first row and readings below",
            )
        return self._rows

    def traits(self) -> RegisterTraits:
        """Return nothing: what a person reads may be any register."""
        return RegisterTraits()

    def close(self) -> None:
        """Release nothing: the file is open during a reading alone."""

    def _open(self) -> int:
        path = self._config.path
        if not path:
            raise ReadingUnavailable(
                "no file is named",
                hint="readings come by `meters import`, or set path to have a file followed",
            )
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "not a path"
            raise ReadingUnavailable(f"{path}: {reason}", hint="set path") from error
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise ReadingUnavailable(f"{path} is not a regular file", hint="set path")
        return descriptor

    def _is_settled(self, modified_at: float) -> bool:
        age = self._clock.now() - datetime.fromtimestamp(modified_at, timezone.utc)
        return abs(age) >= _SETTLED

    def _parse(self, descriptor: int, *, size_bytes: int) -> tuple[MeterReading, ...]:
        path, wanted = self._config.path, self._config.meter
        if size_bytes > _MOST_BYTES:
            raise ReadingUnavailable(
                f"{path} is larger than {_MOST_BYTES >> 20} MiB",
                hint="take it up with `computility-agent meters import`",
            )
        found: dict[datetime, MeterReading] = {}
        names: set[str] = set()
        refused: list[RefusedRow] = []
        for row in meter_rows.read_rows(_chunks(descriptor), zone=self._zone()):
            if isinstance(row, RefusedRow):
                refused.append(row)
                continue
            names.add(row.meter)
            if not wanted or row.meter == wanted:
                # A later row of the same time is a correction.
                found[row.reading.taken_at] = _with_reasons(row.reading)
        if refused:
            shown = "; ".join(
                f"line {each.line}: {each.reason}" for each in refused[:_SHOWN_REFUSALS]
            )
            logger.warning("file=%s rows_refused=%d first=%s", path, len(refused), shown)
        if refused and refused[0].is_whole_file:
            raise ReadingUnavailable(f"{path}: line {refused[0].line}: {refused[0].reason}")
        if len(names) > 1 and not wanted:
            raise ReadingUnavailable(
                f"{path} holds rows of {len(names)} meters", hint="set meter to one of their names"
            )
        return tuple(found[at] for at in sorted(found))

    def _zone(self) -> tzinfo | None:
        name = self._config.time_zone
        if name is None:
            return None
        try:
            return ZoneInfo(name)
        except (OSError, ValueError, KeyError) as error:
            raise ReadingUnavailable(
                f"no time zone {name}", hint="write it like Asia/Shanghai"
            ) from error


def _key(reading: MeterReading) -> _Key:
    return (
        reading.taken_at,
        reading.energy_joules,
        reading.water_millilitres,
        reading.power_watts,
    )


def _with_reasons(reading: MeterReading) -> MeterReading:
    values = {name: getattr(reading, name) for name in _REASONS}
    return replace(
        reading, unknown={name: _REASONS[name] for name, value in values.items() if value is None}
    )


def _chunks(descriptor: int) -> Iterator[bytes]:
    left = _MOST_BYTES
    while left > 0 and (chunk := os.read(descriptor, min(left, _CHUNK_BYTES))):
        left -= len(chunk)
        yield chunk


_conforms: type[Meter] = CsvMeter
