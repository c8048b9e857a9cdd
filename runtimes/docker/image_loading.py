"""Loading an image archive into the engine (POST /images/load)."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from agent.errors import PermanentError, TransientError
from runtimes.docker.connection import EngineRefusal, short
from runtimes.docker.exchange import Exchange, SourceError

_LINE_BYTES = 1 << 20
_MARGIN_BYTES = 64 << 20
_MIB = 1 << 20
# An engine that is this late is looked at for one minute more.
_LOOKS = 120
_LOOK_SECONDS = 0.5


class Counted(Iterator[bytes]):
    """Passes chunks on, counts their bytes, and knows when the last one went."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self.sent_bytes = 0
        self.is_over = False

    def __next__(self) -> bytes:
        try:
            chunk = next(self._chunks)
        except StopIteration:
            self.is_over = True
            raise
        self.sent_bytes += len(chunk)
        return chunk


def load(
    exchange: Exchange,
    archive: Iterable[bytes],
    *,
    answer_seconds: float,
    is_there: Callable[[], bool],
    wait: Callable[[float], bool],
    data_root: Callable[[], str | None],
) -> None:
    """Send an archive and return when the engine has the image.

    `is_there` is asked for a while where the engine's answer did not come within `answer_seconds`,
    because it goes on; `wait` waits some seconds and tells whether to give up. `data_root` is the
    engine's own folder, None where that is not known.

    Raises:
        PermanentError: the archive is not one that the engine takes.
        TransientError: the engine is not there, has no room or did not answer.
    """
    counted = Counted(archive)
    try:
        exchange.open(
            "POST",
            "/images/load",
            parameters={"quiet": "1"},
            body=counted,
            answer_seconds=answer_seconds,
        )
        fault = first_fault(_chunks_of(exchange))
    except SourceError as error:
        raise error.error from error
    except EngineRefusal as refusal:
        fault = refusal.message
    except TransientError as error:
        is_late = counted.is_over and isinstance(error.__cause__, TimeoutError)
        if is_late and _appears(is_there, wait=wait):
            return
        raise
    if fault is not None:
        # The engine gives no other sign of a full disk than words, and frees what it wrote.
        raise_for_room(data_root(), sent_bytes=counted.sent_bytes, fault=fault)
        raise PermanentError(f"the engine does not take this image archive: {short(fault)}")
    if not is_there():
        raise PermanentError("the image archive does not hold an image of the wanted name")


def first_fault(chunks: Iterable[bytes]) -> str | None:
    """Return the first error in the engine's report of its progress, None where there is none.

    The report is a stream of JSON objects, one a line, under status 200 whatever comes of it.
    """
    rest = b""
    fault: str | None = None
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        rest = rest[:_LINE_BYTES]
        for line in lines:
            fault = fault or _fault(line)
    return fault or _fault(rest)


def raise_for_room(folder: str | None, *, sent_bytes: int, fault: str) -> None:
    """Raise TransientError where a load failed and its disk has too little room for it.

    The engine keeps the archive while it unpacks it, and compressed layers grow: three times what
    was sent, and a margin, is what it needs.
    """
    if folder is None:
        return
    try:
        figures = os.statvfs(folder)
    except OSError:
        return
    free_bytes = figures.f_bavail * figures.f_frsize
    if free_bytes < 3 * sent_bytes + _MARGIN_BYTES:
        raise TransientError(
            f"the engine could not load the image, and its disk ({folder}) has only "
            f"{free_bytes // _MIB} MiB left: make room (docker system df). It said: {short(fault)}"
        )


def _appears(is_there: Callable[[], bool], *, wait: Callable[[float], bool]) -> bool:
    for _ in range(_LOOKS):
        if is_there():
            return True
        if wait(_LOOK_SECONDS):
            break
    return False


def _chunks_of(exchange: Exchange) -> Iterator[bytes]:
    while chunk := exchange.read():
        yield chunk


def _fault(line: bytes) -> str | None:
    try:
        document: Any = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict):
        return None
    detail = document.get("errorDetail")
    if isinstance(detail, dict) and isinstance(detail.get("message"), str):
        return str(detail["message"])
    error = document.get("error")
    return error if isinstance(error, str) and error else None
