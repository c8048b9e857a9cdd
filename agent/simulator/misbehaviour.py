"""Stands in front of the platform's application and spoils what a fault says.

It is WSGI and not falcon, because some faults must leave no answer at all.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from waitress.channel import ClientDisconnected

from agent.simulator.events import Event, EventKind, EventLog
from agent.simulator.fault_board import FaultBoard
from agent.simulator.faults import ACSMP, DOWNLOADS_ALONE, Fault, FaultKind
from agent.simulator.monitoring import routes

StartResponse = Callable[..., Any]
Application = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]

# What a fault asks of the operation itself travels in the WSGI environment.
ASKED_FAULT = "computility.simulator.fault"
DOWNLOAD_FAULT = "computility.simulator.download_fault"

# Where downloads lie on the platform's listener; a redirection to elsewhere leads below the last.
PACKAGES_PATH = "/packages/"
LICENCES_PATH = "/licences/"
MOVED_PATH = "/moved"

_CHUNK_BYTES = 64 * 1024
_BLACK_HOLE_SECONDS = 300.0
_OTHER_ERROR = 99999
_GARBAGE = b"\x00\x01<html>{]\xff\xfe not what you asked for \x80" * 8


class Misbehaving:
    """Is a WSGI application that serves `application`, but for the faults on `board`.

    `holders_maximum` bounds how many requests may be held at the same time.
    """

    def __init__(
        self,
        application: Application,
        *,
        board: FaultBoard,
        events: EventLog,
        holders_maximum: int,
    ) -> None:
        self._application = application
        self._board = board
        self._events = events
        self._holders_maximum = holders_maximum

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request; raises ClientDisconnected to close the connection unanswered."""
        path, method = environ.get("PATH_INFO", ""), environ.get("REQUEST_METHOD", "")
        operation = operation_of(path) or routes.operation_of(path, method)
        fault = self._board.take(operation) if operation is not None else None
        if operation is None or fault is None:
            return self._application(environ, start_response)
        self._events.add(
            Event(
                kind=EventKind.FAULT,
                operation=operation,
                text=f"fault {fault.kind.value} met {operation}",
                details={"fault": fault.kind.value},
            )
        )
        return self._spoil(fault, environ, start_response)

    def _spoil(
        self, fault: Fault, environ: dict[str, Any], start_response: StartResponse
    ) -> Iterable[bytes]:
        match fault.kind:
            case FaultKind.DELAY:
                self._hold(fault.delay_seconds)
                return self._application(environ, start_response)
            case FaultKind.ROTATE_TOKEN | FaultKind.EXPIRE_TOKEN | FaultKind.FORGET:
                environ[ASKED_FAULT] = fault.kind
                return self._application(environ, start_response)
            case FaultKind.DROP:
                raise ClientDisconnected
            case FaultKind.LOSE_ANSWER:
                for _ in self._application(environ, _no_answer):
                    pass
                raise ClientDisconnected
            case FaultKind.BLACK_HOLE:
                self._hold(_BLACK_HOLE_SECONDS if fault.seconds is None else fault.seconds)
                raise ClientDisconnected
            case FaultKind.REFUSE:
                return _refuse(fault, environ, start_response)
            case FaultKind.ERROR:
                text = b"the simulator fails, as it was told to\n"
                headers = (
                    []
                    if fault.retry_after_seconds is None
                    else [("Retry-After", str(fault.retry_after_seconds))]
                )
                status = f"{fault.status} Failed"
                return _answer(start_response, status, "text/plain", text, headers=headers)
            case FaultKind.GARBAGE:
                return _answer(start_response, "200 OK", "application/json", _GARBAGE)
            case FaultKind.REDIRECT:
                start_response(
                    "307 Temporary Redirect",
                    [("Location", _target(fault, environ)), ("Content-Length", "0")],
                )
                return []
            case FaultKind.HUGE:
                start_response("200 OK", [("Content-Type", "application/json")])
                return _huge(fault.size_mib)
            case kind if kind in DOWNLOADS_ALONE:
                environ[DOWNLOAD_FAULT] = fault
                return self._application(environ, start_response)
            case _:  # RESTART is an act of the simulator and never on the board
                return self._application(environ, start_response)

    def _hold(self, seconds: float) -> None:
        self._board.hold(seconds, holders_maximum=self._holders_maximum)


def operation_of(path: str) -> str | None:
    """Return the operation of T/BAX 0006.5 that a path names, None for any other path."""
    if path.startswith(PACKAGES_PATH):
        return "Package"
    if path.startswith(LICENCES_PATH):
        return "Licence"
    head, _, last = path.rpartition("/")
    return last if head == "/ACSMP" and last in ACSMP else None


def _target(fault: Fault, environ: dict[str, Any]) -> str:
    path = str(environ.get("SCRIPT_NAME", "") + environ["PATH_INFO"])
    if fault.to == "elsewhere":
        # Nothing but downloads has a second place; there no fault is met any more.
        return MOVED_PATH + path if path.startswith((PACKAGES_PATH, LICENCES_PATH)) else path
    if fault.to == "http":
        return f"http://{environ.get('HTTP_HOST', '')}{path}"
    return path


def _refuse(
    fault: Fault, environ: dict[str, Any], start_response: StartResponse
) -> Iterable[bytes]:
    status, body = fault.status, {"Code": fault.code, "Message": fault.message}
    if environ.get("PATH_INFO", "").startswith(routes.PREFIX):
        is_meant = fault.operation in routes.OPERATIONS
        # A refusal of everything is in the words of the other standard.
        status, code = (fault.status, fault.code) if is_meant else (200, _OTHER_ERROR)
        body = {"code": code, "msg": fault.message}
    text = json.dumps(body, ensure_ascii=False).encode()
    return _answer(start_response, f"{status} Refused", "application/json", text)


def _answer(
    start_response: StartResponse,
    status: str,
    content_type: str,
    body: bytes,
    *,
    headers: Sequence[tuple[str, str]] = (),
) -> Iterable[bytes]:
    start_response(
        status,
        [("Content-Type", content_type), ("Content-Length", str(len(body))), *headers],
    )
    return [body]


def _huge(size_mib: int) -> Iterator[bytes]:
    yield b'{"Code": 0, "Message": "'
    for _ in range(size_mib * 1024 * 1024 // _CHUNK_BYTES):
        yield b"x" * _CHUNK_BYTES
    yield b'"}'


def _no_answer(*_: Any) -> Callable[[bytes], None]:
    return lambda _: None
