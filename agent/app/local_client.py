"""Asks the running daemon on its local socket; the commands' side of `local_socket`."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from agent.app.local_socket import ERROR_KINDS, STATUS
from agent.errors import PermanentError, TransientError

ANSWER_SECONDS = 5.0
WAITING_SECONDS = 0.2
MAX_ANSWER_BYTES = 16 * 1024 * 1024


def ask(
    path: Path,
    name: str,
    *,
    fields: Mapping[str, Any] | None = None,
    file: int | None = None,
    answer_seconds: float | None = ANSWER_SECONDS,
    while_waiting: Callable[[], None] | None = None,
) -> dict[str, Any]:
    """Return the answer of the daemon that listens on `path`.

    `file` is an open descriptor that the daemon may read, None for none. `answer_seconds` None
    waits as long as the daemon works on it, and so does `while_waiting`, which is called some times
    a second until the answer comes: how far a file was read, its offset tells, which both share.

    Raises:
        TransientError: no daemon answers there, or it may not be asked by this user.
        AgentError: what the daemon answered; of the kind that it raised.
    """
    question = json.dumps({"ask": name, **(fields or {})}).encode("utf-8") + b"\n"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(ANSWER_SECONDS)
        try:
            connection.connect(os.fspath(path))
            _send(connection, question, file=file)
            connection.settimeout(answer_seconds if while_waiting is None else WAITING_SECONDS)
            received = _receive(connection, path=path, while_waiting=while_waiting)
        except PermissionError as error:
            raise TransientError(
                f"{path} belongs to another user: ask as that user or as root"
            ) from error
        except OSError as error:
            raise TransientError(
                f"no agent answers on {path} ({error.strerror or error}): is the service running, "
                "and is --config the file it runs with?"
            ) from error
    return _answer(received, path=path)


def read_status(path: Path) -> dict[str, Any]:
    """Return the status of the daemon that listens on `path`; errors as `ask`."""
    return ask(path, STATUS)


def _send(connection: socket.socket, question: bytes, *, file: int | None) -> None:
    # Whoever refuses a question before its end has answered all the same.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        sent = socket.send_fds(connection, [question], [file]) if file is not None else 0
        if sent < len(question):
            connection.sendall(question[sent:])


def _receive(
    connection: socket.socket, *, path: Path, while_waiting: Callable[[], None] | None
) -> bytes:
    received = bytearray()
    with contextlib.suppress(ConnectionResetError):
        while True:
            try:
                chunk = connection.recv(65536)
            except TimeoutError:
                if while_waiting is None:
                    raise
                while_waiting()
                continue
            if not chunk:
                break
            received += chunk
            if len(received) > MAX_ANSWER_BYTES:
                raise TransientError(f"what answers on {path} is no agent: it sends no end")
    return bytes(received)


def _answer(received: bytes, *, path: Path) -> dict[str, Any]:
    if not received:
        raise TransientError(
            f"what answers on {path} is no agent, or one that stops or is asked too much at once"
        )
    try:
        document = json.loads(received)
    except (ValueError, RecursionError) as error:
        raise TransientError(f"what answers on {path} is no agent") from error
    if isinstance(document, dict):
        if isinstance(document.get("answer"), dict):
            return dict(document["answer"])
        refusal = document.get("error")
        if isinstance(refusal, dict):
            kind = ERROR_KINDS.get(str(refusal.get("kind")), PermanentError)
            raise kind(str(refusal.get("reason")))
    raise TransientError(f"what answers on {path} is no agent")
