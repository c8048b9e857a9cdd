"""Asks the centre for the command `meters`: the running agent, or the ledger where none runs.

The ledger belongs to one process at a time, so whether it can be opened tells which of the two.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

from agent.app import file_owner, local_client
from agent.app.centre import documents as centre_documents
from agent.app.centre import parts as centre_parts
from agent.app.centre import questions as centre_questions
from agent.app.centre.meter_kinds import MeterKinds
from agent.app.local_socket import SOCKET_NAME, Question
from agent.centre.centre import Centre
from agent.config.settings import Settings
from agent.errors import PermanentError, TransientError
from agent.model.clock import SystemClock

Document: TypeAlias = "Mapping[str, Any]"
_CLOCK = SystemClock()


def list_meters(settings: Settings, *, kinds: MeterKinds) -> Document:
    """Return the document of `meters list --json`."""
    return _ask(
        settings,
        kinds,
        centre_questions.LIST_METERS,
        {},
        lambda centre, _: centre_questions.list_meters(centre, clock=_CLOCK),
    )


def list_hours(settings: Settings, *, kinds: MeterKinds, count: int) -> Document:
    """Return the document of `meters hours --json`."""
    fields = {"count": count}
    return _ask(settings, kinds, centre_questions.LIST_HOURS, fields, centre_questions.list_hours)


def explain(settings: Settings, *, kinds: MeterKinds, start_at: str) -> Document:
    """Return the document of `meters explain --json`."""
    fields = {"start_at": start_at}
    return _ask(settings, kinds, centre_questions.EXPLAIN_HOUR, fields, centre_questions.explain)


def import_file(
    settings: Settings,
    file: BinaryIO,
    *,
    kinds: MeterKinds,
    zone: str | None,
    correct: bool,
    progress: Callable[[int], None],
    reading: Callable[[int, int], None],
    closing: Callable[[], None],
) -> Document:
    """Return the document of `meters import --json`.

    Where no agent runs, `progress` is told of the rows, and `closing` that hours are closed now;
    where one does, `reading` of the bytes that it has read and those that there are.
    """
    fields: dict[str, Any] = {} if zone is None else {"zone": zone}
    if correct:
        fields["correct"] = True
    path = _socket(settings)
    with _opened(settings, kinds) as centre:
        if centre is None:
            return local_client.ask(
                path,
                centre_questions.IMPORT_READINGS,
                fields=fields,
                file=file.fileno(),
                answer_seconds=None,
                while_waiting=lambda: _tell_offset(file, reading),
            )
        found = centre.import_file(
            file,
            zone=centre_questions.zone_of(Question(fields=fields)),
            correct=correct,
            progress=progress,
        )
        closing()
        centre.close_due()
        return centre_documents.imported(found)


def _tell_offset(file: BinaryIO, reading: Callable[[int, int], None]) -> None:
    # The agent reads the same open file, so it moves the offset of ours; that of a pipe is nowhere.
    with contextlib.suppress(OSError):
        reading(os.lseek(file.fileno(), 0, os.SEEK_CUR), os.fstat(file.fileno()).st_size)


def _ask(
    settings: Settings,
    kinds: MeterKinds,
    name: str,
    fields: Mapping[str, Any],
    here: Callable[[Centre, Question], Document],
) -> Document:
    with _opened(settings, kinds) as centre:
        if centre is None:
            return local_client.ask(_socket(settings), name, fields=fields, answer_seconds=60.0)
        return here(centre, Question(fields=fields))


def _socket(settings: Settings) -> Path:
    return Path(settings.node.state_dir) / SOCKET_NAME


@contextlib.contextmanager
def _opened(settings: Settings, kinds: MeterKinds) -> Iterator[Centre | None]:
    """Give the centre with its ledger; None where a running agent has it."""
    if not settings.meters:
        raise PermanentError("no meter is configured: see the section meters")
    with file_owner.owner_of(Path(settings.node.state_dir)):
        try:
            centre = centre_parts.open_centre(settings, kinds=kinds, clock=_CLOCK)
        except TransientError:
            centre = None
        try:
            yield centre
        finally:
            if centre is not None:
                centre.stop(timeout_seconds=1.0)
