"""The local socket on which the running daemon tells its status to `computility-agent status`.

One connection is one question without words: the daemon writes its status as one JSON document
and closes. The socket belongs to the daemon's user alone (mode 0600), so no further check is made.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from agent.errors import PermanentError, TransientError

logger = logging.getLogger(__name__)

SOCKET_NAME = "agent.sock"
ANSWER_SECONDS = 5.0
MAX_ANSWER_BYTES = 16 * 1024 * 1024


class LocalSocketServer:
    """Answers every connection with the status document; owns one thread."""

    def __init__(self, path: Path, *, document: Callable[[], Mapping[str, Any]]) -> None:
        self._path = path
        self._document = document
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None

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
            listener.listen(8)
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
            target=self._serve, args=(listener,), name="local-socket", daemon=True
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

    def _serve(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                try:
                    connection.settimeout(ANSWER_SECONDS)
                    connection.sendall(json.dumps(self._document()).encode("utf-8"))
                except OSError:
                    continue
                except Exception:  # the border of this thread: a fault must not silence status
                    logger.exception("event=status_failed")


def read_status(path: Path) -> dict[str, Any]:
    """Return the status of the daemon that listens on `path`.

    Raises:
        TransientError: no daemon answers there, or it may not be asked by this user.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(ANSWER_SECONDS)
        try:
            connection.connect(os.fspath(path))
            received = bytearray()
            while chunk := connection.recv(65536):
                received += chunk
                if len(received) > MAX_ANSWER_BYTES:
                    raise TransientError(f"what answers on {path} is no agent: it sends no end")
        except PermissionError as error:
            raise TransientError(
                f"{path} belongs to another user: ask as that user or as root"
            ) from error
        except OSError as error:
            raise TransientError(
                f"no agent answers on {path} ({error.strerror or error}): is the service running, "
                "and is --config the file it runs with?"
            ) from error
    try:
        document = json.loads(received)
    except ValueError as error:
        raise TransientError(f"what answers on {path} is no agent") from error
    if not isinstance(document, dict):
        raise TransientError(f"what answers on {path} is no agent")
    return document


def _somebody_listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(os.fspath(path))
        except OSError:
            return False
        return True
