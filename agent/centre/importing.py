"""Brings a file of readings into the ledger, in pieces, each of them on the disk when it counts.

The same file twice changes nothing. An import that was killed is simply run again.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """Says what became of a file; `refused` holds line and reason of the first such rows."""

    accepted: int = 0
    repeated: int = 0
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
    progress: Callable[[int], None] = lambda _: None,
) -> Imported:
    """Keep the readings of a file; `progress` is told the rows that are done.

    `meters` are those that the configuration has. `zone` is that of times without one, None where
    these are refused.

    Raises:
        RequestError: it is no file of readings.
        NoRoomError: the disk is full; the pieces before are kept.
        TransientError: the disk does not work now; likewise.
    """
    accepted = repeated = refused_count = 0
    refused: list[tuple[int, str]] = []

    def refuse(line: int, reason: str) -> None:
        nonlocal refused_count
        refused_count += 1
        if len(refused) < MOST_REFUSED:
            refused.append((line, reason))

    for piece in _pieces(read_rows(_chunks(file), zone=zone)):
        good: list[MeterRow] = []
        for row in piece:
            if isinstance(row, RefusedRow):
                if row.is_whole_file:
                    raise RequestError(f"line {row.line}: {row.reason}")
                refuse(row.line, row.reason)
            elif row.meter not in meters:
                refuse(row.line, f'no meter is called "{row.meter}" in the configuration')
            else:
                good.append(row)
        kept = ledger.keep(
            [(row.meter, row.reading) for row in good],
            source=Source.IMPORT,
            now=now,
            not_before=not_before,
        )
        accepted += kept.accepted
        repeated += kept.repeated
        for place, reason in kept.refused:
            refuse(good[place].line, reason)
        progress(accepted + repeated + refused_count)
    return Imported(
        accepted=accepted,
        repeated=repeated,
        refused_count=refused_count,
        refused=tuple(sorted(refused)),
    )


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
