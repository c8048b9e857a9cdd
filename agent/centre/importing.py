"""Brings a file of readings into the ledger, in pieces, each of them on the disk when it counts.

The same file twice changes nothing. An import that was killed is simply run again. Corrections are
imported as such, so that no reading is replaced by mistake.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import BinaryIO

from agent.centre.ledger import Ledger
from agent.errors import RequestError
from agent.model.meter_rows import MeterRow, RefusedRow, read_rows
from agent.store.readings import Source

CHUNK_ROWS = 5000
# So many are told one by one; the rest is counted.
MOST_REFUSED = 100
_PIECE_BYTES = 256 * 1024
# Corrections are held in memory, so that a file does not correct itself.
MOST_CORRECTIONS = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """Says what became of a file; `refused` holds line and reason of the first such rows."""

    accepted: int = 0
    repeated: int = 0
    corrected: int = 0
    refused_count: int = 0
    refused: tuple[tuple[int, str], ...] = ()


def import_file(
    file: BinaryIO,
    *,
    ledger: Ledger,
    meters: Collection[str],
    zone: tzinfo | None,
    now: datetime,
    not_before: datetime,
    corrects: frozenset[str] | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> Imported:
    """Keep the readings of a file; `progress` is told the rows that are done.

    `meters` are those that the configuration has. `zone` is that of times without one, None where
    these are refused. With `corrects` readings take the place of others, as `Ledger.keep` says.

    Raises:
        RequestError: it is no file of readings.
        NoRoomError: the disk is full; the pieces before are kept.
        TransientError: the disk does not work now; likewise.
    """
    accepted = repeated = corrected = refused_count = 0
    refused: list[tuple[int, str]] = []

    def refuse(line: int, reason: str) -> None:
        nonlocal refused_count
        refused_count += 1
        if len(refused) < MOST_REFUSED:
            refused.append((line, reason))

    is_correcting = corrects is not None
    seen = _Seen()
    rows = read_rows(_chunks(file), zone=zone, may_be_empty=is_correcting)
    for piece in _pieces(rows):
        good: list[MeterRow] = []
        for row in piece:
            if isinstance(row, RefusedRow):
                if row.is_whole_file:
                    raise RequestError(f"line {row.line}: {row.reason}")
                refuse(row.line, row.reason)
            elif row.meter not in meters:
                refuse(row.line, f'no meter is called "{row.meter}" in the configuration')
            elif is_correcting and (line := seen.contradicts(row)) is not None:
                refuse(row.line, f"line {line} has other values of this meter and time")
            else:
                good.append(row)
        kept = ledger.keep(
            [(row.meter, row.reading) for row in good],
            source=Source.IMPORT,
            now=now,
            not_before=not_before,
            corrects=corrects,
        )
        accepted += kept.accepted
        repeated += kept.repeated
        corrected += kept.corrected
        for place, reason in kept.refused:
            refuse(good[place].line, reason)
        progress(accepted + repeated + corrected + refused_count)
    return Imported(
        accepted=accepted,
        repeated=repeated,
        corrected=corrected,
        refused_count=refused_count,
        refused=tuple(sorted(refused)),
    )


class _Seen:
    """Knows what a file of corrections has said, so that it does not undo its own rows."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, datetime], MeterRow] = {}

    def contradicts(self, row: MeterRow) -> int | None:
        """Return the line that has other values of this meter and time; None where none has."""
        first = self._rows.setdefault((row.meter, row.reading.taken_at), row)
        if len(self._rows) > MOST_CORRECTIONS:
            raise RequestError(
                f"line {row.line}: a file of corrections has {MOST_CORRECTIONS} rows at most; "
                "what stands before is done, take the rest in another file"
            )
        return None if first.reading == row.reading else first.line


def _pieces(rows: Iterable[MeterRow | RefusedRow]) -> Iterator[list[MeterRow | RefusedRow]]:
    piece: list[MeterRow | RefusedRow] = []
    for row in rows:
        piece.append(row)
        if len(piece) == CHUNK_ROWS:
            yield piece
            piece = []
    if piece:
        yield piece


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(_PIECE_BYTES):
        yield chunk
