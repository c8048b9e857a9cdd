"""Shows results: as JSON, and as lines for people. Pure."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import agent
from agent.app.collect import timestamp
from agent.app.doctor.check import Result, State

_NAME_WIDTH = 28
_MANY = 3


def document(results: Sequence[Result], *, now: datetime) -> dict[str, Any]:
    """Return the document of `doctor --json`."""
    return {
        "version": agent.__version__,
        "taken_at": timestamp(now),
        "summary": {state.value: sum(each.state is state for each in results) for state in State},
        "checks": [
            {
                "name": each.name,
                "subject": each.subject or None,
                "state": each.state.value,
                "found": each.found,
                "advice": each.advice,
                "seconds": each.seconds,
            }
            for each in results
        ],
    }


def line(result: Result) -> str:
    """Return one result for people; what to do stands on a line of its own."""
    name = f"{result.name} {result.subject}".rstrip()
    indent = " " * (10 + _NAME_WIDTH + 1)
    found = result.found.replace("\n", f"\n{indent}")
    text = f"{result.state.value:<10}{name:<{_NAME_WIDTH}} {found}"
    if result.advice is None:
        return text
    advice = result.advice.replace("\n", f"\n{indent}   ")
    return f"{text}\n{indent}-> {advice}"


def text(results: Sequence[Result]) -> str:
    """Return all results for people; what is skipped for many subjects stands on one line."""
    lines = []
    for name, group in itertools.groupby(results, key=lambda each: (each.name, each.state)):
        members = list(group)
        if name[1] is State.SKIPPED and len(members) >= _MANY:
            first = members[0]
            subjects = ", ".join(each.subject for each in members)
            found = f"{subjects} (--json tells why)"
            lines.append(line(dataclasses.replace(first, subject="", found=found)))
        else:
            lines += map(line, members)
    return "\n".join([*lines, summary(results)])


def summary(results: Sequence[Result]) -> str:
    """Return one line that counts the states."""
    return ", ".join(
        f"{sum(each.state is state for each in results)} {state.value}" for state in State
    )


def is_fine(results: Sequence[Result]) -> bool:
    """Tell whether nothing failed; warnings and skipped checks are no failure."""
    return all(each.state is not State.FAILED for each in results)
