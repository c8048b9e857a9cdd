"""Asks for the command `monitoring`: the running agent, or the platforms where none runs.

The outbox belongs to one process at a time, so whether it can be opened tells which of the two.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from agent.app import build_monitoring, file_owner, local_client
from agent.app.centre import meter_kinds
from agent.app.centre import parts as centre_parts
from agent.app.local_socket import SOCKET_NAME, Answer, Question
from agent.app.monitoring import outbox_service
from agent.app.monitoring.answers import MonitoringAnswers
from agent.app.monitoring.parts import Reporting
from agent.centre.centre import Centre
from agent.config.settings import Settings
from agent.errors import TransientError
from agent.model.clock import SystemClock

Document: TypeAlias = "Mapping[str, Any]"
Ask: TypeAlias = "Callable[..., Document]"
_STOP_SECONDS = 35.0


@contextlib.contextmanager
def opened(settings: Settings, *, delivers: bool = False) -> Iterator[Ask]:
    """Give what asks a question by its name, its fields as keywords.

    Without a running agent this process is the agent as far as reporting goes, until the end of the
    block: with `delivers` it delivers what waits for the platforms that were asked about.
    """
    folder = Path(settings.node.state_dir)
    clock = SystemClock()
    with contextlib.ExitStack() as stack:
        stack.enter_context(file_owner.owner_of(folder))
        try:
            outbox = outbox_service.open_outbox(folder, settings=settings.outbox, clock=clock)
        except TransientError:
            yield _agent(folder)
            return
        stack.callback(outbox.close)
        stack.enter_context(_kept_from_the_log())
        centre = _Centre(settings, clock=clock)
        stack.callback(centre.close)
        running: dict[str, Reporting] = {}
        for one in settings.monitoring:
            platform = build_monitoring.platform(
                one, settings=settings, outbox=lambda: outbox, centre=centre, clock=clock
            )
            stack.callback(platform.close)
            running[one.name] = Reporting(platform, calendar=None, clock=clock)
        answers = MonitoringAnswers(
            reporting=lambda: tuple(running.values()), outbox=lambda: outbox, clock=clock
        ).by_name()
        yield _here(answers, running=running if delivers else {}, stack=stack)


def _agent(folder: Path) -> Ask:
    def ask(name: str, **fields: Any) -> Document:
        # What takes long has deadlines of its own, one for each question to a platform.
        return local_client.ask(folder / SOCKET_NAME, name, fields=fields, answer_seconds=None)

    return ask


def _here(
    answers: Mapping[str, Answer], *, running: Mapping[str, Reporting], stack: contextlib.ExitStack
) -> Ask:
    started: set[str] = set()

    def ask(name: str, **fields: Any) -> Document:
        one = running.get(str(fields.get("platform")))
        if one is not None and one.platform.name not in started:
            started.add(one.platform.name)
            one.start()
            stack.callback(lambda: one.stop(timeout_seconds=_STOP_SECONDS))
        return answers[name](Question(fields=fields))

    return ask


@contextlib.contextmanager
def _kept_from_the_log() -> Iterator[None]:
    """Say once what becomes of a report: the command prints it, and its log would come between."""
    log = logging.getLogger("agent.protocols.tc609")
    before = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(before)


class _Centre:
    """Opens the ledger when it is first asked, beside no running agent."""

    def __init__(self, settings: Settings, *, clock: SystemClock) -> None:
        self._settings = settings
        self._clock = clock
        self._centre: Centre | None = None

    def __call__(self) -> Centre:
        if self._centre is None:
            kinds = meter_kinds.MeterKinds(meter_kinds.installed())
            self._centre = centre_parts.open_centre(self._settings, kinds=kinds, clock=self._clock)
        return self._centre

    def close(self) -> None:
        if self._centre is not None:
            self._centre.stop(timeout_seconds=1.0)
