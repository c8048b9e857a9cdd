"""Asks a docker engine a question over its UNIX socket, without the docker library."""

from __future__ import annotations

import http.client
import json
import os
import socket
from contextlib import closing
from typing import Any

from agent.errors import TransientError

_SECONDS = 8.0
_MOST_BYTES = 4 * 1024**2


class _UnixConnection(http.client.HTTPConnection):
    """Is HTTP over a UNIX socket."""

    def __init__(self, path: str) -> None:
        super().__init__("docker", timeout=_SECONDS)
        self._path = path

    def connect(self) -> None:
        """Open the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_SECONDS)
        self.sock.connect(os.fspath(self._path))


def ask(path: str, question: str) -> dict[str, Any]:
    """Return the JSON object that the engine answers to a GET.

    Raises:
        TransientError: it cannot be asked, or answers something else.
    """
    try:
        with closing(_UnixConnection(path)) as connection:
            connection.request("GET", question)
            answer = connection.getresponse()
            body = answer.read(_MOST_BYTES)
            document = json.loads(body)
    except (OSError, http.client.HTTPException) as error:
        raise TransientError(f"{path}: {error}") from error
    except (ValueError, RecursionError) as error:
        raise TransientError(f"{path}: what answers is no docker engine") from error
    if answer.status != 200 or not isinstance(document, dict):
        raise TransientError(f"{path}: the engine answered {answer.status} to {question}")
    return document
