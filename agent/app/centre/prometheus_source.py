"""A centre that a Prometheus-compatible server knows, by one query for each figure."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass

from agent.app.centre.source_words import basic_header, place
from agent.app.platforms import USER_AGENT
from agent.centre import operations
from agent.centre.source_watch import SourceWatch
from agent.config.centre_settings import PrometheusSourceSettings
from agent.errors import ReadingUnavailable, TransientError
from agent.model.clock import Clock
from agent.model.operations import CentreLoad
from agent.protocols.prometheus import instant_query
from agent.transport.client import HttpClient

logger = logging.getLogger(__name__)

# For all queries of one round; shorter than the watch's interval.
DEADLINE_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Queried:
    """Is what one round of questions gave: each figure that was asked for is in one of the two."""

    values: Mapping[str, float]
    unknown: Mapping[str, str]


class PrometheusSource:
    """Is a centre that a Prometheus-compatible server knows."""

    def __init__(
        self, settings: PrometheusSourceSettings, *, declared: Mapping[str, float], clock: Clock
    ) -> None:
        self._queries = settings.queries
        self._declared = declared
        client = HttpClient(base_url=settings.url, ca_file=settings.ca_file, user_agent=USER_AGENT)
        questions = _Questions(settings, client=client)
        self._watch = SourceWatch(
            place(settings.url), read=questions.ask, close=client.close, clock=clock
        )

    @property
    def watches(self) -> tuple[SourceWatch[Queried], ...]:
        """What is asked."""
        return (self._watch,)

    def load(self) -> CentreLoad:
        """Return what the server knows of the centre."""
        queried = self._watch.latest().value
        if queried is None:
            reason = f"no answer of the server {self._watch.name}"
            queried = Queried(values={}, unknown=dict.fromkeys(self._queries, reason))
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
            self._headers["Authorization"] = basic_header(settings.username, settings.password)
        self._logged: Mapping[str, str] = {}

    def ask(self) -> Queried:
        """Return what the server knows.

        Raises:
            TransientError: it does not answer, or not all in time.
            PermanentError: it does not let us in.
        """
        values: dict[str, float] = {}
        unknown: dict[str, str] = {}
        end = time.monotonic() + DEADLINE_SECONDS
        for figure, query in self._settings.queries.items():
            left_seconds = end - time.monotonic()
            if left_seconds <= 0:
                raise TransientError(f"its answers took over {DEADLINE_SECONDS:.0f} s")
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
        return Queried(values=values, unknown=unknown)

    def _log(self, unknown: Mapping[str, str]) -> None:
        for figure, reason in unknown.items():
            if self._logged.get(figure) != reason:
                logger.warning("event=figure_unknown figure=%s reason=%s", figure, reason)
        self._logged = unknown
