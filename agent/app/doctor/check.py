"""What one check is, and what it may find."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum


class State(Enum):
    """Says how a check ended."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Is what a check found.

    `advice` says what to do; None where nothing need be done. `subject` is whom it is about where
    one check looks at several (plugins, meters); None for the subject of the check.
    """

    state: State
    found: str
    advice: str | None = None
    subject: str | None = None


Look = Callable[[], "Finding | Sequence[Finding]"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """Is one thing to look at.

    `name` is what docs/doctor.md lists. `needs` are the checks earlier in the same chain without
    which this one is skipped. `look` may block and raise; the runner bounds both.
    """

    name: str
    look: Look
    subject: str = ""
    deadline_seconds: float = 10.0
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Is the outcome of a check, with how long it took."""

    name: str
    subject: str
    state: State
    found: str
    advice: str | None
    seconds: float


def ok(found: str, *, subject: str | None = None) -> Finding:
    """Return that all is well."""
    return Finding(state=State.OK, found=found, subject=subject)


def warning(found: str, *, advice: str, subject: str | None = None) -> Finding:
    """Return that the agent works, but somebody ought to do something."""
    return Finding(state=State.WARNING, found=found, advice=advice, subject=subject)


def failed(found: str, *, advice: str | None, subject: str | None = None) -> Finding:
    """Return that something does not work."""
    return Finding(state=State.FAILED, found=found, advice=advice, subject=subject)


def skipped(reason: str, *, subject: str | None = None) -> Finding:
    """Return that nothing was looked at, and why."""
    return Finding(state=State.SKIPPED, found=reason, subject=subject)
