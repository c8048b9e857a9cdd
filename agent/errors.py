"""Errors, named by what the caller does next.

Nobody decides by an error's text: what a caller needs stands in a field.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class AgentError(Exception):
    """Is the root of every error that this program raises on purpose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigProblem:
    """Is one thing that is wrong in a configuration.

    `line` and `column` count from 1; None where the problem has no place in the file (a missing
    file, an environment variable). `key` is the dotted path of the setting, "" for the whole file.
    """

    file: str
    key: str
    message: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        place = self.file
        if self.line is not None:
            place += f":{self.line}"
            if self.column is not None:
                place += f":{self.column}"
        return f"{place}: {self.key + ': ' if self.key else ''}{self.message}"


class ConfigError(AgentError):
    """Says that the operator must change the configuration; exit status 2.

    `problems` holds every problem at once, in the order of the file.
    """

    def __init__(self, problems: Sequence[ConfigProblem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class BadInput(AgentError):  # noqa: N818 - named by what the operator must mend
    """Says that the operator must change a word of the command; exit status 2."""


class NotPresent(AgentError):  # noqa: N818 - a state of the machine, not a fault
    """Says that what a plugin looks for is not on this machine: ask again rarely.

    `hint` tells an operator what to do if it ought to be there; None where nothing can be said.
    """

    def __init__(self, reason: str, *, hint: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint


class ReadingUnavailable(AgentError):  # noqa: N818 - named by what the caller has to show
    """Says that a value could not be read now: show it as unknown, with this reason."""

    def __init__(self, reason: str, *, hint: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint


class TransientError(AgentError):
    """Says that the same call may succeed later: try again with backoff.

    `retry_after_seconds` is what the other side asked for; None where it said nothing.
    """

    def __init__(self, reason: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_seconds = retry_after_seconds


class PermanentError(AgentError):
    """Says that the same call will fail again: somebody has to change something first."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class RequestError(AgentError):
    """Says that a caller must change its request; `reason` names the field."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NotFoundError(AgentError):
    """Says that what a caller names is not here."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ConflictError(AgentError):
    """Says that a request is refused as things stand: the caller has to change them first."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NoRoomError(AgentError):
    """Says that the disk has no room: somebody has to make some before the caller tries again."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class PlatformRejected(AgentError):  # noqa: N818 - the platform's decision, not a fault of ours
    """Says that a platform understood the call and refused it.

    `standard` names the interface ("T/BAX 0006.5"), `code` is the platform's own result code and
    `status` the HTTP status; None where the answer had none. `message` is the platform's text,
    already cut to a length fit for a log.
    """

    def __init__(
        self, *, standard: str, message: str, code: int | None = None, status: int | None = None
    ) -> None:
        super().__init__(f"{standard}: refused, code {code}, HTTP {status}: {message}")
        self.standard = standard
        self.code = code
        self.status = status
        self.message = message
