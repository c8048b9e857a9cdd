"""A centre of this node and of other agents, which are read over their device API."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from agent.app.centre.source_words import basic_header, place
from agent.app.platforms import USER_AGENT
from agent.centre import operations
from agent.centre.operations import NamedNode
from agent.centre.source_watch import SourceWatch
from agent.config.centre_settings import AgentSourceSettings
from agent.model.clock import Clock
from agent.model.operations import CentreLoad, NodeLoad
from agent.model.view import AgentView
from agent.protocols.acsmp import computility_answers, wire_monitoring
from agent.transport.client import HttpClient

THIS_NODE = "this node"
# Shorter than the watch's interval, so that one lost answer does not cost the next.
DEADLINE_SECONDS = 5.0


class NodeSources:
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

    @property
    def watches(self) -> tuple[SourceWatch[NodeLoad], ...]:
        """What is asked."""
        return self._watches

    def load(self) -> CentreLoad:
        """Return what is known of all nodes together."""
        own = operations.of_view(self._view(), codes=self._codes)
        others = [NamedNode(name=each.name, load=each.latest().value) for each in self._watches]
        return operations.of_nodes(
            [NamedNode(name=THIS_NODE, load=own), *others], declared=self._declared
        )


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
        "Authorization": basic_header(settings.username, settings.password),
    }

    def read() -> NodeLoad:
        answer = client.exchange(
            "GET",
            settings.prefix + wire_monitoring.COMPUTILITY_PATH,
            body=None,
            headers=headers,
            deadline_seconds=DEADLINE_SECONDS,
        )
        return computility_answers.decode_node(answer.body, status=answer.status)

    return SourceWatch(place(settings.url), read=read, close=client.close, clock=clock)
