"""Where load and scale of the centre come from: this node, other agents, or Prometheus."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from agent.app.platforms import USER_AGENT
from agent.centre import operations
from agent.centre.operations import NamedNode
from agent.centre.source_watch import SourceWatch
from agent.config.centre_settings import (
    AgentSourceSettings,
    PrometheusSourceSettings,
    SourceSettings,
)
from agent.errors import ReadingUnavailable, TransientError
from agent.model.clock import Clock
from agent.model.operations import CentreLoad, NodeLoad
from agent.model.secret import Secret
from agent.model.view import AgentView
from agent.protocols.acsmp import computility_answers, wire_monitoring
from agent.protocols.prometheus import instant_query
from agent.security import credentials
from agent.security.credentials import BasicCredentials
from agent.transport.client import HttpClient

logger = logging.getLogger(__name__)

THIS_NODE = "this node"
# Both shorter than the watch's interval, so that one lost answer does not cost the next.
NODE_DEADLINE_SECONDS = 5.0
QUERIES_DEADLINE_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceStatus:
    """Is how one source fares; `reason` is None where its figures are known."""

    name: str
    reason: str | None
    age_seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Queried:
    """Is what one round of questions gave: each figure that was asked for is in one of the two."""

    values: Mapping[str, float]
    unknown: Mapping[str, str]


class _Sources(Protocol):
    """Is one way to know the centre."""

    def watches(self) -> tuple[SourceWatch[NodeLoad] | SourceWatch[_Queried], ...]: ...

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
            self._sources = _PrometheusSource(settings.prometheus, declared=declared, clock=clock)
        else:
            others = settings.nodes if isinstance(settings.nodes, tuple) else ()
            self._sources = _NodeSources(
                others, codes=codes, view=view, declared=declared, clock=clock
            )

    def start(self) -> None:
        """Begin to ask."""
        for watch in self._sources.watches():
            watch.start()

    def stop(self, *, timeout_seconds: float) -> None:
        """Ask no more."""
        watches = self._sources.watches()
        for watch in watches:
            watch.ask_to_stop()
        end = time.monotonic() + timeout_seconds
        for watch in watches:
            watch.join(timeout_seconds=max(0.0, end - time.monotonic()))

    @property
    def is_alive(self) -> bool:
        """Tell whether every source is still asked."""
        return all(watch.is_alive for watch in self._sources.watches())

    def load(self) -> CentreLoad:
        """Return load and scale of the centre as they are known now; waits for nobody."""
        return self._sources.load()

    def statuses(self) -> tuple[SourceStatus, ...]:
        """Return how each source that is asked over the network fares."""
        return tuple(
            SourceStatus(name=watch.name, reason=answer.reason, age_seconds=answer.age_seconds)
            for watch in self._sources.watches()
            for answer in (watch.latest(),)
        )


class _NodeSources:
    """Is a centre of this node and of other agents."""

    def __init__(
        self,
        others: tuple[AgentSourceSettings, ...],
        *,
        codes: frozenset[str],
        view: Callable[[], AgentView],
        declared: Mapping[str, float],
        clock: Clock,
    ) -> None:
        self._codes = codes
        self._view = view
        self._declared = declared
        self._watches = tuple(_node_watch(each, clock=clock) for each in others)

    def watches(self) -> tuple[SourceWatch[NodeLoad], ...]:
        return self._watches

    def load(self) -> CentreLoad:
        own = operations.of_view(self._view(), codes=self._codes)
        others = [NamedNode(name=each.name, load=each.latest().value) for each in self._watches]
        return operations.of_nodes(
            [NamedNode(name=THIS_NODE, load=own), *others], declared=self._declared
        )


class _PrometheusSource:
    """Is a centre that a Prometheus-compatible server knows."""

    def __init__(
        self, settings: PrometheusSourceSettings, *, declared: Mapping[str, float], clock: Clock
    ) -> None:
        self._queries = settings.queries
        self._declared = declared
        client = HttpClient(base_url=settings.url, ca_file=settings.ca_file, user_agent=USER_AGENT)
        questions = _Questions(settings, client=client)
        self._watch = SourceWatch(
            _place(settings.url), read=questions.ask, close=client.close, clock=clock
        )

    def watches(self) -> tuple[SourceWatch[_Queried], ...]:
        return (self._watch,)

    def load(self) -> CentreLoad:
        queried = self._watch.latest().value
        if queried is None:
            reason = f"no answer of the server {self._watch.name}"
            queried = _Queried(values={}, unknown=dict.fromkeys(self._queries, reason))
        return operations.of_values(
            queried.values, unknown=queried.unknown, declared=self._declared
        )


class _Questions:
    """Asks a server every query once; belongs to one thread."""

    def __init__(self, settings: PrometheusSourceSettings, *, client: HttpClient) -> None:
        self._settings = settings
        self._client = client
        self._headers = {"Accept": "application/json"}
        if settings.username is not None and settings.password is not None:
            self._headers["Authorization"] = _basic(settings.username, settings.password)
        self._logged: Mapping[str, str] = {}

    def ask(self) -> _Queried:
        """Return what the server knows.

        Raises:
            TransientError: it does not answer, or not all in time.
            PermanentError: it does not let us in.
        """
        values: dict[str, float] = {}
        unknown: dict[str, str] = {}
        end = time.monotonic() + QUERIES_DEADLINE_SECONDS
        for figure, query in self._settings.queries.items():
            left_seconds = end - time.monotonic()
            if left_seconds <= 0:
                raise TransientError(f"its answers took over {QUERIES_DEADLINE_SECONDS:.0f} s")
            answer = self._client.exchange(
                "GET",
                instant_query.path(query),
                body=None,
                headers=self._headers,
                deadline_seconds=left_seconds,
            )
            try:
                values[figure] = instant_query.decode(answer.body, status=answer.status)
            except ReadingUnavailable as error:
                unknown[figure] = error.reason
        self._log(unknown)
        return _Queried(values=values, unknown=unknown)

    def _log(self, unknown: Mapping[str, str]) -> None:
        for figure, reason in unknown.items():
            if self._logged.get(figure) != reason:
                logger.warning("event=figure_unknown figure=%s reason=%s", figure, reason)
        self._logged = unknown


def _node_watch(settings: AgentSourceSettings, *, clock: Clock) -> SourceWatch[NodeLoad]:
    client = HttpClient(
        base_url=settings.url,
        ca_file=settings.ca_file,
        client_certificate=settings.client_certificate,
        client_private_key=settings.client_private_key,
        user_agent=USER_AGENT,
    )
    headers = {
        "Accept": "application/json",
        "Authorization": _basic(settings.username, settings.password),
    }

    def read() -> NodeLoad:
        answer = client.exchange(
            "GET",
            settings.prefix + wire_monitoring.COMPUTILITY_PATH,
            body=None,
            headers=headers,
            deadline_seconds=NODE_DEADLINE_SECONDS,
        )
        return computility_answers.decode_node(answer.body, status=answer.status)

    return SourceWatch(_place(settings.url), read=read, close=client.close, clock=clock)


def _basic(username: str, password: Secret) -> str:
    given = BasicCredentials(username=username, password=password)
    return credentials.basic_header(given).reveal()


def _place(url: str) -> str:
    """Return what tells a server from others, in few characters."""
    parts = urlsplit(url)
    return (parts.netloc + parts.path).rstrip("/")


def _declared(settings: SourceSettings) -> Mapping[str, float]:
    given = {
        "computing_power_tflops": settings.computing_power_tflops,
        "schedulable_computing_power_tflops": settings.schedulable_computing_power_tflops,
    }
    return {name: value for name, value in given.items() if value is not None}
