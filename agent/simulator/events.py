"""The log of everything that happens to the simulator, for people and for programs."""

from __future__ import annotations

import enum
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from agent.simulator.store import Store
from agent.simulator.validation import Finding


class EventKind(str, enum.Enum):
    """Says what sort of thing happened."""

    REQUEST = "request"  # a platform operation was called
    FAULT = "fault"  # the simulator misbehaved as it was told to
    LOST = "lost"  # a node was silent for too long
    BACK = "back"  # a lost node was heard of again
    READ_BACK = "read_back"  # the read-back of a device began to work, to fail, or to differ
    CONTROL = "control"  # somebody used the control endpoint
    PACKAGE = "package"  # packages were asked for or sent, or one of a device changed
    SERVICE = "service"  # services were asked for, or one of a device changed
    DOWNLOAD = "download"  # a device fetched a package or a licence
    AUTHORISATION = "authorisation"  # somebody asked the authorisation server
    ASKED = "asked"  # a centre was asked for its hour or its load
    STATE = "state"  # the simulator itself started, stopped, or changed


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Is one thing that happened.

    `text` is for people. `operation` is the last part of the path; `accepted` is None where
    nothing was asked. `details` holds what a program wants to know: `gap_seconds` of a keepalive,
    for instance.
    """

    kind: EventKind
    text: str
    operation: str | None = None
    code: str | None = None
    accepted: bool | None = None
    status: int | None = None
    result_code: int | None = None
    findings: Sequence[Finding] = ()
    details: dict[str, Any] = field(default_factory=dict)


class EventLog:
    """Keeps events in the store, hands each to a listener and wakes who waits for one.

    `listener` gets each event as the control endpoint shows it, in the thread that caused it, and
    must not block. Safe in every thread.
    """

    def __init__(
        self,
        store: Store,
        *,
        now: Callable[[], datetime],
        listener: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        self._store = store
        self._now = now
        self._listener = listener
        self._changed = threading.Condition()
        self._closed = False

    def add(self, event: Event) -> None:
        """Record an event."""
        body = {
            "at": self._now().isoformat(timespec="milliseconds"),
            "kind": event.kind.value,
            "text": event.text,
            "operation": event.operation,
            "code": event.code,
            "accepted": event.accepted,
            "status": event.status,
            "result_code": event.result_code,
            "findings": [finding.as_json() for finding in event.findings],
            "details": event.details,
        }
        with self._changed:
            identifier = self._store.append_event(body)
            if self._listener is not None:
                self._listener({"id": identifier, **body})
            self._changed.notify_all()

    def after(self, identifier: int, *, limit: int, wait_seconds: float) -> list[dict[str, Any]]:
        """Return the events after an id; wait for the first one if there is none yet.

        Returns [] after `wait_seconds` without an event, or at once when the log closes.
        """
        with self._changed:
            events = self._store.events(after=identifier, limit=limit)
            if events or wait_seconds <= 0 or self._closed:
                return events
            self._changed.wait(wait_seconds)
            return self._store.events(after=identifier, limit=limit)

    def close(self) -> None:
        """Send home whoever waits; nobody waits any more after this."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
