"""Where load and scale of the centre come from: this node, other agents, or Prometheus."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from agent.app.centre.node_sources import NodeSources
from agent.app.centre.prometheus_source import PrometheusSource
from agent.centre.source_watch import Answer
from agent.config.centre_settings import SourceSettings
from agent.model.clock import Clock
from agent.model.operations import CentreLoad
from agent.model.view import AgentView


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceStatus:
    """Is how one source fares; `reason` is None where its figures are known."""

    name: str
    reason: str | None
    age_seconds: float | None


class _Watch(Protocol):
    """Is one source that is asked over the network."""

    name: str

    def start(self) -> None: ...

    def ask_to_stop(self) -> None: ...

    def join(self, *, timeout_seconds: float) -> None: ...

    @property
    def is_alive(self) -> bool: ...

    def latest(self) -> Answer[Any]: ...


class _Sources(Protocol):
    """Is one way to know the centre."""

    @property
    def watches(self) -> Sequence[_Watch]: ...

    def load(self) -> CentreLoad: ...


class OperationalSources:
    """Keeps the sources asked, and tells what they come to; safe in every thread.

    Certificates that cannot be used raise PermanentError in the constructor.
    """

    def __init__(
        self,
        settings: SourceSettings,
        *,
        codes: frozenset[str],
        view: Callable[[], AgentView],
        clock: Clock,
    ) -> None:
        declared = _declared(settings)
        self._sources: _Sources
        if settings.prometheus is not None and settings.nodes == "prometheus":
            self._sources = PrometheusSource(settings.prometheus, declared=declared, clock=clock)
        else:
            others = settings.nodes if isinstance(settings.nodes, tuple) else ()
            self._sources = NodeSources(
                others, codes=codes, view=view, declared=declared, clock=clock
            )

    def start(self) -> None:
        """Begin to ask."""
        for watch in self._sources.watches:
            watch.start()

    def stop(self, *, timeout_seconds: float) -> None:
        """Ask no more."""
        watches = self._sources.watches
        for watch in watches:
            watch.ask_to_stop()
        end = time.monotonic() + timeout_seconds
        for watch in watches:
            watch.join(timeout_seconds=max(0.0, end - time.monotonic()))

    @property
    def is_alive(self) -> bool:
        """Tell whether every source is still asked."""
        return all(watch.is_alive for watch in self._sources.watches)

    def load(self) -> CentreLoad:
        """Return load and scale of the centre as they are known now; waits for nobody."""
        return self._sources.load()

    def statuses(self) -> tuple[SourceStatus, ...]:
        """Return how each source that is asked over the network fares."""
        return tuple(
            SourceStatus(name=watch.name, reason=answer.reason, age_seconds=answer.age_seconds)
            for watch in self._sources.watches
            for answer in (watch.latest(),)
        )


def _declared(settings: SourceSettings) -> Mapping[str, float]:
    given = {
        "computing_power_tflops": settings.computing_power_tflops,
        "schedulable_computing_power_tflops": settings.schedulable_computing_power_tflops,
    }
    return {name: value for name, value in given.items() if value is not None}
