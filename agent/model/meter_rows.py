"""Rows of readings that people wrote down or exported, each taken or refused with its reason.

The columns are `meter,time,energy_kwh,water_litres,power_kw`; values are those of registers, as
they stand on the meter. A number becomes joules and millilitres with whole-number arithmetic, so
that the same row gives the same figure for ever. What spreadsheets do to such files is expected:
byte order marks, GBK, UTF-16, semicolons with decimal commas, `sep=;`, empty rows. What would have
to be guessed is refused.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo

from agent.model.metering import MeterReading

COLUMNS = ("meter", "time", "energy_kwh", "water_litres", "power_kw")
NOTE_COLUMN = "note"
MAX_LINE_BYTES = 64 * 1024
MAX_NAME_LENGTH = 200
# So that a register in joules stays below 2^63.
MAX_WHOLE_DIGITS = 12

_JOULES_PER_KWH = 3_600_000
_MILLILITRES_PER_LITRE = 1000
_DELIMITERS = (",", ";", "\t")
_NUMBER = re.compile(r"([0-9]+)(?:\.([0-9]+))?")
_MAX_FRACTION_DIGITS = 9
_TIME = re.compile(
    r"([0-9]{4})([-/])([0-9]{1,2})\2([0-9]{1,2})[Tt ]+([0-9]{1,2}):([0-9]{2})"
    r"(?::([0-9]{2})(?:[.,]([0-9]{1,9}))?)?\s*(?:([Zz])|([+-])([0-9]{2}):?([0-9]{2}))?"
)
_FIRST_YEAR, _LAST_YEAR = 2000, 2099
_MAX_OFFSET = timedelta(hours=14)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterRow:
    """Is one row that was understood; `line` counts from 1."""

    line: int
    meter: str
    reading: MeterReading


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedRow:
    """Is one row that was not taken, or, with `is_whole_file`, a file of which nothing was."""

    line: int
    reason: str
    is_whole_file: bool = False


def read_rows(
    chunks: Iterable[bytes], *, zone: tzinfo | None = None, may_be_empty: bool = False
) -> Iterator[MeterRow | RefusedRow]:
    """Yield every row of a file, taken or refused, in its order; holds one line at a time.

    `zone` is that of times without one; where it is None they are refused. Rows without any text
    are passed over; those of a meter and a time without a value are refused, unless they
    `may_be_empty`.
    """
    lines = _numbered_lines(chunks)
    layout: RowLayout | None = None
    for number, line in lines:
        if line is None:
            yield RefusedRow(line=number, reason=f"longer than {MAX_LINE_BYTES} bytes")
            continue
        text = line.strip("\r\n")
        if not text.strip(" ,;\t") or (layout is None and text.strip().lower().startswith("sep=")):
            continue
        try:
            if layout is None:
                layout = RowLayout.from_header(text, zone=zone, may_be_empty=may_be_empty)
                continue
            yield layout.row(text, line=number)
        except ValueError as error:
            whole = layout is None
            yield RefusedRow(line=number, reason=str(error), is_whole_file=whole)
            if whole:
                return
    if layout is None:
        yield RefusedRow(
            line=1,
            reason=f"no row with the names of the columns; expected {','.join(COLUMNS)}",
            is_whole_file=True,
        )


class RowLayout:
    """Knows what stands in which column, and turns one line into a row."""

    def __init__(
        self, names: list[str], *, delimiter: str, zone: tzinfo | None, may_be_empty: bool
    ) -> None:
        self._delimiter = delimiter
        self._may_be_empty = may_be_empty
        self._zone = zone
        self._width = len(names)
        places = {name: index for index, name in enumerate(names) if name}
        self._meter, self._time = places["meter"], places["time"]
        self._energy = places.get("energy_kwh")
        self._water = places.get("water_litres")
        self._power = places.get("power_kw")

    @classmethod
    def from_header(
        cls, text: str, *, zone: tzinfo | None = None, may_be_empty: bool = False
    ) -> RowLayout:
        """Return the layout that the row with the names of the columns says.

        Raises:
            ValueError: it is no such row; with what is wrong.
        """
        delimiter = max(_DELIMITERS, key=text.count)
        names = [name.strip().lower() for name in _split(text, delimiter=delimiter)]
        expected = f"expected {','.join(COLUMNS)}"
        if "meter" not in names or "time" not in names:
            raise ValueError(f"the first row names no columns meter and time; {expected}")
        for name in names:
            if name and name not in COLUMNS and name != NOTE_COLUMN:
                raise ValueError(
                    f"unknown column {_shown(name)}; {expected}, and {NOTE_COLUMN} for remarks"
                )
            if name and names.count(name) > 1:
                raise ValueError(f"the column {name} stands there twice")
        if not set(names) & set(COLUMNS[2:]):
            raise ValueError(f"no column with values; {expected}")
        return cls(names, delimiter=delimiter, zone=zone, may_be_empty=may_be_empty)

    def row(self, text: str, *, line: int) -> MeterRow:
        """Return the row of one line.

        Raises:
            ValueError: it is not taken; with the reason.
        """
        cells = _split(text, delimiter=self._delimiter)
        if len(cells) < self._width:
            cells += [""] * (self._width - len(cells))
        elif any(cell.strip() for cell in cells[self._width :]):
            raise ValueError(
                f"{len(cells)} columns, the first row names {self._width}; "
                "numbers take no thousands separators"
            )
        meter = cells[self._meter].strip()
        if not meter:
            raise ValueError("no name of a meter")
        if len(meter) > MAX_NAME_LENGTH or not meter.isprintable():
            raise ValueError("the name of the meter is too long or holds control characters")
        taken_at = read_time(cells[self._time].strip(), zone=self._zone)
        energy = self._amount(cells, self._energy, "energy_kwh", factor=_JOULES_PER_KWH)
        water = self._amount(cells, self._water, "water_litres", factor=_MILLILITRES_PER_LITRE)
        # Through whole milliwatts: the same text gives the same float everywhere.
        milliwatts = self._amount(cells, self._power, "power_kw", factor=1_000_000)
        if (energy, water, milliwatts) == (None, None, None) and not self._may_be_empty:
            raise ValueError("no value")
        reading = MeterReading(
            taken_at=taken_at,
            energy_joules=energy,
            water_millilitres=water,
            power_watts=None if milliwatts is None else milliwatts / 1000,
        )
        return MeterRow(line=line, meter=meter, reading=reading)

    def _amount(self, cells: list[str], place: int | None, name: str, *, factor: int) -> int | None:
        if place is None:
            return None
        text = cells[place].strip()
        if not text:
            return None
        if self._delimiter == ";" and "." not in text and text.count(",") == 1:
            text = text.replace(",", ".")
        try:
            return scaled(text, factor=factor)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error


def scaled(text: str, *, factor: int) -> int:
    """Return a decimal number times a factor, rounded half up to a whole number.

    Raises:
        ValueError: it is not a plain number that is not negative; with the reason.
    """
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise ValueError(_why_no_number(text))
    whole, fraction = match[1], match[2] or ""
    if len(whole.lstrip("0")) > MAX_WHOLE_DIGITS or len(fraction) > _MAX_FRACTION_DIGITS:
        raise ValueError(
            f"{_shown(text)} has more than {MAX_WHOLE_DIGITS} digits before the point "
            f"or {_MAX_FRACTION_DIGITS} behind it"
        )
    divisor: int = 10 ** len(fraction)
    return (int(whole + fraction) * factor * 2 + divisor) // (2 * divisor)


def _why_no_number(text: str) -> str:
    if re.fullmatch(r"[0-9.,]+[eE][+-]?[0-9]+", text):
        return f"{_shown(text)} was rounded by a spreadsheet; format the column as a number"
    if re.fullmatch(r"-[0-9.,]+", text):
        return f"{_shown(text)} is negative"
    if re.fullmatch(r"[0-9]+([,' \u00a0][0-9]+)+(\.[0-9]+)?", text):
        return f"{_shown(text)} may be read in two ways; write 1234.5, without separators"
    return f"{_shown(text)} is not a number; write 1234.5"


def read_time(text: str, *, zone: tzinfo | None) -> datetime:
    """Return a time of ISO 8601 in UTC; slashes and single digits, as spreadsheets write, too.

    Raises:
        ValueError: it is no time, or has no zone and `zone` is None, or is one of an hour that the
            clocks of `zone` show twice or never.
    """
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"time: {_shown(text)} is not like 2026-01-31T08:00:00+08:00")
    year, _, month, day, hour, minute, second, fraction, utc, sign, hours, minutes = match.groups()
    microsecond = int((fraction or "0")[:6].ljust(6, "0"))
    try:
        moment = datetime(
            int(year),
            int(month),
            int(day),
            int(hour),
            int(minute),
            int(second or 0),
            microsecond,
            tzinfo=timezone.utc,
        )
    except ValueError as error:
        raise ValueError(f"time: {_shown(text)} does not exist") from error
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        raise ValueError(f"time: {_shown(text)} is not between {_FIRST_YEAR} and {_LAST_YEAR}")
    if utc is not None:
        return moment
    if sign is not None:
        offset = timedelta(hours=int(hours), minutes=int(minutes))
        if offset > _MAX_OFFSET or int(minutes) > 59:
            raise ValueError(f"time: {_shown(text)} has a zone that does not exist")
        return moment + (offset if sign == "-" else -offset)
    if zone is None:
        raise ValueError(f"time: {_shown(text)} has no zone; write +08:00 behind it")
    return _in_zone(moment, zone=zone, text=text)


def _in_zone(moment: datetime, *, zone: tzinfo, text: str) -> datetime:
    first = moment.replace(tzinfo=zone, fold=0)
    if first.utcoffset() != moment.replace(tzinfo=zone, fold=1).utcoffset():
        raise ValueError(
            f"time: the clocks were changed at {_shown(text)}; write its zone behind it"
        )
    return first.astimezone(timezone.utc)


def _split(text: str, *, delimiter: str) -> list[str]:
    if '"' not in text:
        return text.split(delimiter)
    try:
        return next(csv.reader([text], delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise ValueError("a quotation mark is not closed, or stands inside a cell") from error


def _shown(text: str) -> str:
    longest = 40
    return _quoted(text if len(text) <= longest else text[:longest] + "…")


def _quoted(text: str) -> str:
    """Return a text in quotes, with what cannot be printed as escapes."""
    return '"' + "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text) + '"'


def _numbered_lines(chunks: Iterable[bytes]) -> Iterator[tuple[int, str | None]]:
    """Yield each line with its number; None for one that is too long."""
    for number, line in enumerate(_byte_lines(_in_one_encoding(chunks)), start=1):
        if line is None:
            yield number, None
        else:
            yield number, _decode(line.removeprefix(codecs.BOM_UTF8) if number == 1 else line)


def _decode(line: bytes) -> str:
    """Return a line's text: UTF-8, or else GBK, in which neither delimiter nor digit hides."""
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("gb18030", errors="replace")


def _in_one_encoding(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the chunks, UTF-16 with its mark in front turned into UTF-8."""
    decoder: codecs.IncrementalDecoder | None = None
    head = b""
    is_begun = False
    for chunk in chunks:
        if not is_begun:
            head += chunk
            if len(head) < len(codecs.BOM_UTF16_LE):
                continue
            is_begun = True
            if head[:2] in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}:
                decoder = codecs.getincrementaldecoder("utf-16")("replace")
            piece = head
        else:
            piece = chunk
        yield piece if decoder is None else decoder.decode(piece).encode("utf-8", "replace")
    if not is_begun:
        yield head
    elif decoder is not None:
        yield decoder.decode(b"", final=True).encode("utf-8", "replace")


def _byte_lines(chunks: Iterable[bytes]) -> Iterator[bytes | None]:
    """Yield the lines without their ends; None for one that is too long."""
    kept = b""
    is_too_long = False
    for chunk in chunks:
        *ended, rest = (kept + chunk).split(b"\n")
        for line in ended:
            yield None if is_too_long or len(line) > MAX_LINE_BYTES else line
            is_too_long = False
        kept = rest
        if len(kept) > MAX_LINE_BYTES:
            is_too_long, kept = True, b""
    if is_too_long:
        yield None
    elif kept:
        yield None if len(kept) > MAX_LINE_BYTES else kept
