"""Writes answers as HTTP wants them where waitress leaves it to the application."""

from __future__ import annotations

import logging
from typing import Any

from waitress.task import ErrorTask, Task, WSGITask
from waitress.utilities import Error

from agent.transport.refusals import Refusal, plain_error_body

_logger = logging.getLogger(__name__)


def _is_head(task: Any) -> bool:
    return bool(task.request.command == "HEAD")


def _write(task: Any, data: bytes) -> None:
    Task.write(task, b"" if _is_head(task) else data)


def _finish(task: Any) -> None:
    if not task.wrote_header:
        task.write(b"")
    if task.chunked_response and not _is_head(task):
        task.channel.write_soon(b"0\r\n\r\n")


def _header(task: Any) -> bytes:
    if task.channel.server.is_stopping:
        task.set_close_on_finish()
    # No banner: with a Server header of the application waitress adds a Via of its own.
    task.response_headers = [
        (name, value) for name, value in task.response_headers if name.lower() != "server"
    ]
    header: bytes = Task.build_response_header(task)
    return header


class ApplicationAnswer(WSGITask):  # type: ignore[misc] # waitress has no types
    """Runs the application in a worker thread and sends what it answers."""

    logger = _logger

    def write(self, data: bytes) -> None:
        """Send part of the body; nothing of it where HEAD was asked."""
        _write(self, data)

    def finish(self) -> None:
        """Send what is due after the last part."""
        _finish(self)

    def build_response_header(self) -> bytes:
        """Return the head of the answer; a listener that stops says that it closes."""
        return _header(self)

    def get_environment(self) -> dict[str, Any]:
        """Return the WSGI environment, with the client's certificate where it showed one."""
        known = self.environ is not None
        environ: dict[str, Any] = super().get_environment()
        if not known:
            environ["SERVER_SOFTWARE"] = ""
            environ["computility.client_certificate"] = self.channel.client_certificate
            environ["computility.granted_to"] = self.request.granted_to
        return environ


class RefusalAnswer(ErrorTask):  # type: ignore[misc] # waitress has no types
    """Sends a refusal in the listener's own form and closes the connection."""

    logger = _logger

    def write(self, data: bytes) -> None:
        """Send part of the body; nothing of it where HEAD was asked."""
        _write(self, data)

    def finish(self) -> None:
        """Send what is due after the last part."""
        _finish(self)

    def build_response_header(self) -> bytes:
        """Return the head of the answer."""
        return _header(self)

    def execute(self) -> None:
        """Send the refusal."""
        error = self.request.error
        refusal = (
            Refusal(status=error.code, message="the request failed here; the log says why")
            if isinstance(error, Error)
            else error
        )
        content_type, body = render(self.channel.server.error_body, refusal)
        self.status = refusal.status_line
        self.response_headers += [("Content-Type", content_type), *refusal.headers]
        self.set_close_on_finish()
        self.channel.drain_before_close()
        self.content_length = len(body)
        self.write(body)


def render(error_body: Any, refusal: Refusal) -> tuple[str, bytes]:
    """Return content type and body of a refusal; plain text where the listener's form fails."""
    try:
        content_type, body = error_body(refusal.status, refusal.message)
    except Exception:
        _logger.exception("error_body failed status=%d", refusal.status)
        return plain_error_body(refusal.status, refusal.message)
    return content_type, body
