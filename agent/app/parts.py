"""The parts of the running agent, and how a new configuration changes them.

A part is planned from the settings without being built: its `key` is everything of the settings
that it depends on. On a reload the parts whose key is unchanged are left alone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from agent.errors import AgentError

logger = logging.getLogger(__name__)


class Service(Protocol):
    """Is anything that is started once and stopped once."""

    def start(self) -> None:
        """Begin; return once it serves. Raises an `AgentError` that says what to do."""

    def stop(self, *, timeout_seconds: float) -> None:
        """End within the time given; may be called twice."""


@dataclass(frozen=True, kw_only=True)
class PartPlan:
    """Says how to build one part; `key` decides whether a reload touches it.

    `update` takes a running service to a new key without a stop and tells whether it could; None
    where it always has to restart.
    """

    name: str
    key: object
    build: Callable[[], Service]
    update: Callable[[Service], bool] | None = None
    stop_seconds: float = 5.0


@dataclass(frozen=True, kw_only=True)
class RunningPart:
    """Is a part that was started."""

    plan: PartPlan
    service: Service


class Parts:
    """Holds the running parts in their order of start; belongs to the main thread alone."""

    def __init__(self) -> None:
        self._running: list[RunningPart] = []

    def service(self, name: str) -> Service | None:
        """Return the service of a part, None where it does not run."""
        return next((each.service for each in self._running if each.plan.name == name), None)

    def start(self, plans: Sequence[PartPlan]) -> None:
        """Start every part in order; if one fails, stop those before it and raise its error."""
        try:
            for plan in plans:
                self._running.append(_started(plan))
        except AgentError:
            self.stop()
            raise

    def change(self, plans: Sequence[PartPlan]) -> tuple[str, ...]:
        """Bring the running parts to the plans; return a line for each that changed.

        What is gone or changed is stopped first, in reverse order, since the new one may need the
        same port. A part that does not start any more is put back as it was, and its line says so:
        a device that served before the reload serves after it.
        """
        wanted = {plan.name: plan for plan in plans}
        kept: dict[str, RunningPart] = {}
        replaced: dict[str, RunningPart] = {}
        lines: list[str] = []
        for running in reversed(self._running):
            plan = wanted.get(running.plan.name)
            if plan is not None and plan.key == running.plan.key:
                kept[plan.name] = running
                continue
            if plan is not None and plan.update is not None and plan.update(running.service):
                kept[plan.name] = RunningPart(plan=plan, service=running.service)
                lines.append(f"{plan.name}: changed")
                continue
            _stop(running)
            if plan is None:
                lines.append(f"{running.plan.name}: stopped")
            else:
                replaced[plan.name] = running
        self._running = []
        for plan in plans:
            if plan.name in kept:
                self._running.append(kept[plan.name])
                continue
            try:
                self._running.append(_started(plan))
                lines.append(f"{plan.name}: {'restarted' if plan.name in replaced else 'started'}")
            except AgentError as error:
                lines.append(f"{plan.name}: not changed: {error}")
                self._restore(replaced.get(plan.name))
        return tuple(lines)

    def stop(self) -> None:
        """Stop every part in reverse order."""
        while self._running:
            _stop(self._running.pop())

    def _restore(self, former: RunningPart | None) -> None:
        if former is None:
            return
        try:
            self._running.append(_started(former.plan))
        except AgentError as error:
            logger.error(  # noqa: TRY400 - its text says what to do
                "event=restore_failed part=%s reason=%s", former.plan.name, error
            )


def _started(plan: PartPlan) -> RunningPart:
    service = plan.build()
    service.start()
    return RunningPart(plan=plan, service=service)


def _stop(running: RunningPart) -> None:
    try:
        running.service.stop(timeout_seconds=running.plan.stop_seconds)
    except Exception:  # the border of a part: the others still have to be stopped
        logger.exception("event=stop_failed part=%s", running.plan.name)
