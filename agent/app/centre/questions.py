"""What the command `meters` may ask the running daemon on its local socket."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, tzinfo
from typing import Any

from agent.app.centre import documents
from agent.app.local_socket import Answer, Question
from agent.centre.centre import Centre
from agent.config.kinds import time_zone
from agent.errors import PermanentError, RequestError
from agent.model.clock import Clock

LIST_METERS = "meters"
LIST_HOURS = "hours"
EXPLAIN_HOUR = "explain hour"
IMPORT_READINGS = "import readings"
MOST_HOURS = 24 * 366


def answers(centre: Callable[[], Centre | None], *, clock: Clock) -> Mapping[str, Answer]:
    """Return what answers each question; `centre` returns None where no meter is configured."""

    def running() -> Centre:
        found = centre()
        if found is None:
            raise PermanentError("this agent has no meters: the section meters is absent")
        return found

    return {
        LIST_METERS: lambda _: list_meters(running(), clock=clock),
        LIST_HOURS: lambda asked: list_hours(running(), asked),
        EXPLAIN_HOUR: lambda asked: explain(running(), asked),
        IMPORT_READINGS: lambda asked: import_readings(running(), asked),
    }


def list_meters(centre: Centre, *, clock: Clock) -> Mapping[str, Any]:
    """Return how each meter fares, and its last reading, be it read or imported."""
    now = clock.now()
    return {
        "meters": [documents.meter(each, now=now) for each in centre.meters_and_last()],
        "waiting": centre.waiting,
        "trouble": centre.trouble,
    }


def list_hours(centre: Centre, asked: Question) -> Mapping[str, Any]:
    """Return the last closed hours."""
    count = asked.fields.get("count", 24)
    if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= MOST_HOURS:
        raise RequestError(f"count is a whole number from 1 to {MOST_HOURS}")
    return {"hours": [documents.hour(each) for each in centre.hours(count=count)]}


def explain(centre: Centre, asked: Question) -> Mapping[str, Any]:
    """Return every step from readings to the figures of an hour."""
    text = asked.fields.get("start_at")
    try:
        start_at = datetime.fromisoformat(str(text))
    except ValueError as error:
        raise RequestError(f"start_at is no time: {text}") from error
    if start_at.tzinfo is None:
        raise RequestError("start_at has no zone")
    return {"steps": documents.steps(centre.explain(start_at))}


def import_readings(centre: Centre, asked: Question) -> Mapping[str, Any]:
    """Keep the readings of the file that came with the question."""
    if asked.file is None:
        raise RequestError("no file came with the question")
    imported = centre.import_file(asked.file, zone=zone_of(asked), correct=is_correction(asked))
    return documents.imported(imported)


def is_correction(asked: Question) -> bool:
    """Tell whether the readings take the place of others."""
    correct = asked.fields.get("correct", False)
    if not isinstance(correct, bool):
        raise RequestError("correct is true or false")
    return correct


def zone_of(asked: Question) -> tzinfo | None:
    """Return the zone of times without one, None where the question names none."""
    text = asked.fields.get("zone")
    if text is None:
        return None
    try:
        return time_zone(str(text))
    except (ValueError, KeyError) as error:
        raise RequestError(f"zone is no time zone: {text}") from error
