"""Requests that are refused before an application sees them: the status, and the words for it."""

from __future__ import annotations

import http
from collections.abc import Callable
from dataclasses import dataclass

# (status, message) → (content type, body): lets a protocol put its own envelope around a refusal.
ErrorBody = Callable[[int, str], tuple[str, bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Is what a client did wrong: an HTTP status and a message that says what to change.

    `headers` go out with it, such as the challenge that belongs to a 401.
    """

    status: int
    message: str
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def status_line(self) -> str:
        """Return the status with its standard phrase, "413 Request Entity Too Large"."""
        return f"{self.status} {http.HTTPStatus(self.status).phrase}"


def plain_error_body(status: int, message: str) -> tuple[str, bytes]:
    """Return a refusal as one line of text, for listeners that have no envelope."""
    return "text/plain; charset=utf-8", f"{status} {message}\n".encode()
