"""Who answers the questions of the command `monitoring`.

What answers is imported with the first question: most nodes report nothing, and it weighs.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from agent.app.local_socket import Answer, Question
from agent.app.monitoring import questions
from agent.model.clock import Clock

if TYPE_CHECKING:
    from agent.app.monitoring.outbox_service import OpenOutbox
    from agent.app.monitoring.parts import Reporting


def answers(
    *,
    reporting: Callable[[], Sequence[Reporting]],
    outbox: Callable[[], OpenOutbox],
    clock: Clock,
) -> Mapping[str, Answer]:
    """Return what answers each question; `outbox` raises TransientError where there is none."""

    def answer(name: str, asked: Question) -> Mapping[str, Any]:
        from agent.app.monitoring.answers import MonitoringAnswers

        answering = MonitoringAnswers(reporting=reporting, outbox=outbox, clock=clock)
        return answering.by_name()[name](asked)

    return {name: functools.partial(answer, name) for name in questions.NAMES}
