"""The local socket on which the running daemon is asked by the commands of this machine.

One connection is one question: the client sends one line of JSON, `{"ask": NAME, …}`, with at most
one open file beside it, and the daemon answers with one JSON document and closes. The socket
belongs to the daemon's user alone (mode 0600), so no further check is made of who asks.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

from agent.errors import (
    AgentError,
    BadInput,
    ConflictError,
    NoRoomError,
    NotFoundError,
    PermanentError,
    RequestError,
    TransientError,
)

logger = logging.getLogger(__name__)

SOCKET_NAME = "agent.sock"
STATUS = "status"
QUESTION_SECONDS = 5.0
MAX_QUESTION_BYTES = 1024 * 1024
# `status` is asked by monitoring; an import of a package holds its connection for minutes.
_MAX_CONNECTIONS = 16
_BACKLOG = 16

# How an error travels: what the one who asked has to do stays the same on the other side.
ERROR_KINDS: Mapping[str, type[AgentError]] = {
    "bad input": BadInput,
    "request": RequestError,
    "not found": NotFoundError,
    "conflict": ConflictError,
    "no room": NoRoomError,
    "transient": TransientError,
    "permanent": PermanentError,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Is what was asked: the fields beside `ask`, and the file that came with it, None for none."""

    fields: Mapping[str, Any]
    file: BinaryIO | None = None


Answer: TypeAlias = Callable[[Question], Mapping[str, Any]]


class LocalSocketServer:
    """Answers every question of `answers` by its name, each connection in a thread of its own."""

    def __init__(self, path: Path, *, answers: Mapping[str, Answer]) -> None:
        self._path = path
        self._answers = dict(answers)
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._places = threading.Semaphore(_MAX_CONNECTIONS)

    def start(self) -> None:
        """Bind the socket, in place of one that a killed daemon left behind.

        Raises:
            PermanentError: the folder cannot be used, or another daemon listens there.
        """
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
            if _somebody_listens(self._path):
                raise PermanentError(
                    f"another agent already listens on {self._path}: stop it first, or give this "
                    "one a node.state_dir of its own"
                )
            self._path.unlink(missing_ok=True)
            # The mode has to be right from the first moment, not after a chmod.
            before = os.umask(0o177)
            try:
                listener.bind(os.fspath(self._path))
            finally:
                os.umask(before)
            listener.listen(_BACKLOG)
        except OSError as error:
            listener.close()
            raise PermanentError(
                f"cannot listen on {self._path}: {error.strerror or error}; check node.state_dir "
                "and who owns it"
            ) from error
        except PermanentError:
            listener.close()
            raise
        self._socket = listener
        self._thread = threading.Thread(
            target=self._accept, args=(listener,), name="local-socket", daemon=True
        )
        self._thread.start()

    def stop(self, *, timeout_seconds: float) -> None:
        """Stop answering and remove the socket; may be called twice."""
        listener, self._socket = self._socket, None
        if listener is None:
            return
        # A blocked accept() is not woken by close(), but by shutdown().
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        if self._thread is not None:
            self._thread.join(timeout_seconds)
        self._path.unlink(missing_ok=True)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            if not self._places.acquire(blocking=False):
                connection.close()
                continue
            try:
                threading.Thread(
                    target=self._serve, args=(connection,), name="local-question", daemon=True
                ).start()
            except RuntimeError:
                # No thread is to be had; whoever asks is told by the closed connection.
                connection.close()
                self._places.release()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection, contextlib.ExitStack() as stack:
                connection.settimeout(QUESTION_SECONDS)
                try:
                    name, question = _receive(connection, stack)
                    document = {"answer": self._answer(name, question)}
                except AgentError as error:
                    document = {"error": _error_document(error)}
                connection.settimeout(QUESTION_SECONDS)
                connection.sendall(json.dumps(document).encode("utf-8"))
        except OSError:
            return  # whoever asked has gone away
        except Exception:  # the border of this thread: a fault must not silence the next question
            logger.exception("event=local_question_failed")
        finally:
            self._places.release()

    def _answer(self, name: str, question: Question) -> Mapping[str, Any]:
        answer = self._answers.get(name)
        if answer is None:
            raise RequestError(
                f"this agent knows no question {name!r}: is it of the same version as the command?"
            )
        return answer(question)


def _receive(connection: socket.socket, stack: contextlib.ExitStack) -> tuple[str, Question]:
    received = bytearray()
    file: BinaryIO | None = None
    while not received.endswith(b"\n"):
        chunk, descriptors, _, _ = socket.recv_fds(connection, 65536, 1)
        for descriptor in descriptors:
            file = stack.enter_context(_opened(descriptor))
        if not chunk:
            # Nothing at all is how another agent looks whether one listens here.
            raise OSError("no question")
        received += chunk
        if len(received) > MAX_QUESTION_BYTES:
            raise RequestError("the question is too long")
    try:
        fields = json.loads(received)
    except (ValueError, RecursionError) as error:
        raise RequestError("this is no question to an agent") from error
    if not isinstance(fields, dict) or not isinstance(fields.get("ask"), str):
        raise RequestError("this is no question to an agent")
    return fields.pop("ask"), Question(fields=fields, file=file)


def _opened(descriptor: int) -> BinaryIO:
    try:
        return os.fdopen(descriptor, "rb")
    except OSError as error:
        os.close(descriptor)
        raise RequestError(f"what came with the question is no file: {error.strerror}") from error


def _error_document(error: AgentError) -> dict[str, str]:
    kind = next(
        (name for name, each in ERROR_KINDS.items() if isinstance(error, each)), "permanent"
    )
    return {"kind": kind, "reason": str(error)}


def _somebody_listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(os.fspath(path))
        except OSError:
            return False
        return True
