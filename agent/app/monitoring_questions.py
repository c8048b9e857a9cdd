"""The questions of the command `monitoring`, and who answers them.

What answers is imported with the first question: most nodes report nothing, and it weighs.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from agent.app.local_socket import Answer, Question
from agent.model.clock import Clock

if TYPE_CHECKING:
    from agent.app.monitoring_parts import Reporting
    from agent.app.outbox_service import OpenOutbox

LIST = "monitoring"
SYNC = "monitoring sync"
REPORT = "monitoring report"
FATE = "monitoring fate"
RELEASE = "monitoring release"
VERIFY = "monitoring verify"
_NAMES = (LIST, SYNC, REPORT, FATE, RELEASE, VERIFY)


def answers(
    *,
    reporting: Callable[[], Sequence[Reporting]],
    outbox: Callable[[], OpenOutbox],
    clock: Clock,
) -> Mapping[str, Answer]:
    """Return what answers each question; `outbox` raises TransientError where there is none."""

    def answer(name: str, asked: Question) -> Mapping[str, Any]:
        from agent.app.monitoring_answers import MonitoringAnswers

        answering = MonitoringAnswers(reporting=reporting, outbox=outbox, clock=clock)
        return answering.by_name()[name](asked)

    return {name: functools.partial(answer, name) for name in _NAMES}
