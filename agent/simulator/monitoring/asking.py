"""Asks centres again and again, and keeps and logs what they answer."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.simulator.device_client import DeviceFailure
from agent.simulator.events import Event, EventKind, EventLog
from agent.simulator.monitoring.centre_client import QUESTIONS, BadCentre, CentreClient
from agent.simulator.monitoring.judgement import Judged
from agent.simulator.monitoring.settings import AskedCentre
from agent.simulator.monitoring.signing import Signing
from agent.simulator.monitoring.store import MonitoringStore
from agent.simulator.validation import Finding

_logger = logging.getLogger(__name__)

CENTRES_MAXIMUM = 64
_HOURLY = "querySupervisionSystemData"


@dataclass(slots=True, kw_only=True)
class _Watched:
    """Is one centre that is asked; `lock` lets one ask it at a time."""

    identifier: int
    asked: AskedCentre
    client: CentreClient
    lock: threading.Lock = field(default_factory=threading.Lock)
    ended: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None
    last: dict[str, dict[str, Any]] = field(default_factory=dict)


class Asking:
    """Holds the centres that are asked, each with a period in a thread of its own.

    Safe in every thread. What centres answered is in the store; of the centres themselves nothing
    is kept over a restart.

    Raises:
        BadCentre: one of those given cannot be asked.
    """

    def __init__(
        self,
        asked: Sequence[AskedCentre],
        *,
        signing: Signing | None,
        store: MonitoringStore,
        events: EventLog,
        monotonic: Callable[[], float],
        now: Callable[[], str],
        timeout_seconds: float,
        ca_file: Path | None,
    ) -> None:
        self._signing = signing
        self._store = store
        self._events = events
        self._monotonic = monotonic
        self._now = now
        self._timeout_seconds = timeout_seconds
        self._ca_file = ca_file
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._is_started = False
        self._numbers = 0
        self._watched: dict[int, _Watched] = {}
        for each in asked:
            self.add(each)

    def start(self) -> None:
        """Begin to ask."""
        with self._lock:
            self._is_started = True
            for watched in self._watched.values():
                self._begin(watched)

    def stop(self, *, timeout_seconds: float) -> None:
        """End, waiting at most this long for questions that are under way."""
        deadline = time.monotonic() + timeout_seconds
        self._stopping.set()
        with self._lock:
            left = list(self._watched.values())
        for watched in left:
            watched.ended.set()
        for watched in left:
            if watched.thread is not None:
                watched.thread.join(max(0.0, deadline - time.monotonic()))

    def add(self, asked: AskedCentre) -> int:
        """Ask a centre from now on, and return its number.

        Raises:
            BadCentre: it cannot be asked, or there are too many.
        """
        client = CentreClient(
            asked,
            signing=self._signing,
            monotonic=self._monotonic,
            timeout_seconds=self._timeout_seconds,
            ca_file=self._ca_file,
        )
        with self._lock:
            if len(self._watched) >= CENTRES_MAXIMUM:
                raise BadCentre(f"{CENTRES_MAXIMUM} centres are asked: remove one first")
            self._numbers += 1
            watched = _Watched(identifier=self._numbers, asked=asked, client=client)
            self._watched[watched.identifier] = watched
            if self._is_started:
                self._begin(watched)
        return watched.identifier

    def remove(self, identifier: int) -> bool:
        """Ask a centre no more; return whether there was one of this number."""
        with self._lock:
            watched = self._watched.pop(identifier, None)
        if watched is None:
            return False
        watched.ended.set()
        return True

    def ask(self, identifier: int) -> list[dict[str, Any]]:
        """Ask a centre both questions now and return what came of each.

        Raises:
            KeyError: no centre has this number.
        """
        with self._lock:
            watched = self._watched[identifier]
        return self._ask(watched, is_commanded=True)

    def as_json(self) -> list[dict[str, Any]]:
        """Return the centres with their last answers, for the control endpoint."""
        with self._lock:
            watched = list(self._watched.values())
        return [
            {
                "number": each.identifier,
                "url": each.asked.url,
                "centerId": each.asked.centre_id,
                "centerName": each.asked.centre_name,
                "username": each.asked.username,
                "password": each.asked.password,
                "seconds": each.asked.period_seconds,
                "last": dict(each.last),
            }
            for each in watched
        ]

    def _begin(self, watched: _Watched) -> None:
        if watched.asked.period_seconds is None or watched.thread is not None:
            return
        watched.thread = threading.Thread(
            target=self._run, args=(watched,), name=f"simulator-ask-{watched.identifier}"
        )
        watched.thread.daemon = True
        watched.thread.start()

    def _run(self, watched: _Watched) -> None:
        while not watched.ended.is_set():
            try:
                self._ask(watched, is_commanded=False)
            except Exception:
                _logger.exception("question failed url=%s", watched.asked.url)
            watched.ended.wait(watched.asked.period_seconds)

    def _ask(self, watched: _Watched, *, is_commanded: bool) -> list[dict[str, Any]]:
        with watched.lock:
            records = []
            for question in QUESTIONS:
                if self._stopping.is_set():
                    break
                records.append(self._ask_one(watched, question, is_commanded=is_commanded))
            return records

    def _ask_one(self, watched: _Watched, question: str, *, is_commanded: bool) -> dict[str, Any]:
        began = self._monotonic()
        failure, judged = None, None
        try:
            judged = watched.client.ask(question)
        except DeviceFailure as error:
            failure = str(error)
        record = _record(judged, failure=failure) | {
            "at": self._now(),
            "url": watched.asked.url,
            "question": question,
            "seconds": round(self._monotonic() - began, 3),
        }
        before = watched.last.get(question)
        if not self._stopping.is_set():
            watched.last[question] = {"id": self._store.add_answer(record), **record}
            if is_commanded or _is_news(before, record, question=question):
                self._tell(record, findings=() if judged is None else judged.findings)
        return record

    def _tell(self, record: dict[str, Any], *, findings: tuple[Finding, ...]) -> None:
        what = record["failure"]
        if what is None:
            figures = (f"{name} {value}" for name, value in _figures(record["data"]).items())
            # It comes from outside and goes to a terminal.
            what = repr(", ".join(figures))[1:-1]
        self._events.add(
            Event(
                kind=EventKind.ASKED,
                operation=record["question"],
                accepted=record["failure"] is None,
                result_code=record["code"],
                text=f"{record['question']} asked of {record['url']}: {what or 'no figure'}"[:1000],
                findings=findings,
                details={"url": record["url"], "data": record["data"], "msg": record["msg"]},
            )
        )


def _record(judged: Judged | None, *, failure: str | None) -> dict[str, Any]:
    if judged is None:
        return {"code": None, "data": None, "msg": None, "failure": failure, "findings": []}
    if not judged.is_valid:
        problems = "; ".join(str(each) for each in judged.findings if each.fatal)
        failure = f"broke the tables: {problems[:1000]}"
    elif not judged.is_success:
        failure = f"refused with {judged.code}: {judged.message!r}"
    return {
        "code": judged.code,
        "data": judged.value.get("data") if judged.is_success else None,
        "msg": judged.message,
        "failure": failure,
        "findings": [str(each) for each in judged.findings],
    }


def _is_news(before: dict[str, Any] | None, record: dict[str, Any], *, question: str) -> bool:
    """Tell whether a person wants to read of an answer: a load differs each time, an hour not."""
    names = ("failure", "code", "findings", *(("data",) if question == _HOURLY else ()))
    return before is None or any(before[name] != record[name] for name in names)


def _figures(value: Any, *, path: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {path: value}
    figures: dict[str, Any] = {}
    for name, each in value.items():
        figures |= _figures(each, path=f"{path}.{name}" if path else str(name))
    return figures
