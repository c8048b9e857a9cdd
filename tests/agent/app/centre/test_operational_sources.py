"""Load and scale of a centre from sources over real sockets, whatever these do."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from urllib.parse import parse_qs, urlsplit

import pytest

from agent.app.centre.operational_sources import OperationalSources
from agent.config.centre_settings import (
    AgentSourceSettings,
    PrometheusSourceSettings,
    SourceSettings,
)
from agent.model.clock import SystemClock
from agent.model.secret import Secret
from agent.protocols.acsmp.device_info import device_info
from agent.protocols.acsmp.wire_monitoring import (
    ComputilityInfo,
    ComputilityQuery,
    encode_computility_list,
)
from tests.agent.centre.conftest import wait_until
from tests.collectors.meters.web_server import web_server

OWN, OTHER = "11010800005020000001", "11010800005020000002"
BASIC = f"Basic {base64.b64encode('admin:口令'.encode()).decode()}"
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def sources(full_view):
    """Return a context manager that asks the sources of some settings."""

    @contextmanager
    def ask(settings) -> Iterator[OperationalSources]:
        one = OperationalSources(
            settings, codes=frozenset({OWN}), view=lambda: full_view, clock=SystemClock()
        )
        one.start()
        try:
            yield one
        finally:
            one.stop(timeout_seconds=5)
            assert not one.statuses() or not one.is_alive

    return ask


@pytest.fixture
def device_api(full_view):
    """Return a function that answers like the device API of a node with this view."""

    def of(code):
        info = device_info(full_view, computility_code=code, address=None, identify=lambda _: None)
        body = encode_computility_list(
            [ComputilityInfo(computility_code=code, device_infos=[info])],
            query=ComputilityQuery(),
            request_id="1",
        )

        def answer(method, path, headers, _body):
            if (method, path) != ("GET", "/ACSMP/Computility"):
                return 404, JSON, b'{"Code": 404, "Message": "no such path"}'
            if headers.get("authorization") != BASIC:
                return 401, JSON, b'{"Code": 401, "Message": "wrong user, password or token"}'
            return 200, JSON, body

        return answer

    return of


def node(url, *, password="口令"):
    return AgentSourceSettings(url=url, password=Secret(password))


def answered(one):
    """Tell whether every source was asked at least once."""
    return all(each.reason != "not asked yet" for each in one.statuses())


def test_this_node_alone_needs_no_network(sources):
    with sources(SourceSettings()) as one:
        assert one.is_alive
        assert one.statuses() == ()
        assert one.load().figures["node_count"] == 1
        assert one.load().figures["cpu_utilization_ratio"] == 0.25


def test_two_nodes_are_one_centre(sources, device_api):
    with (
        web_server(device_api(OTHER)) as peer,
        sources(SourceSettings(nodes=(node(peer.url),))) as one,
    ):
        wait_until(lambda: answered(one))
        told = one.load()
        assert told.figures["node_count"] == 2
        assert told.figures["memory_gib"] == 16
        assert told.figures["cpu_utilization_ratio"] == 0.25
        (status,) = one.statuses()
        assert (status.name, status.reason) == (urlsplit(peer.url).netloc, None)


def test_this_node_in_its_own_list_is_not_counted_twice(sources, device_api):
    with (
        web_server(device_api(OWN)) as peer,
        sources(SourceSettings(nodes=(node(peer.url),))) as one,
    ):
        wait_until(lambda: answered(one))
        told = one.load()
        assert "memory_gib" not in told.figures
        assert "this node, 127.0.0.1:" in told.unknown["memory_gib"]


def test_a_wrong_password_is_told_and_tried_seldom(sources, device_api):
    with (
        web_server(device_api(OTHER)) as peer,
        sources(SourceSettings(nodes=(node(peer.url, password="wrong"),))) as one,
    ):
        wait_until(lambda: answered(one))
        (status,) = one.statuses()
        assert "wrong user, password or token" in status.reason
        assert "wrong" not in one.load().unknown["memory_gib"]
        assert len(peer.asked) == 1


def test_a_node_that_is_not_there_keeps_no_question_waiting(sources, device_api):
    with ExitStack() as stack:
        peer = stack.enter_context(web_server(device_api(OTHER)))
        one = stack.enter_context(
            sources(SourceSettings(nodes=(node(peer.url), node("http://127.0.0.1:1"))))
        )
        wait_until(lambda: answered(one))
        told = one.load()
        assert told.figures == {"node_count": 3}
        assert told.unknown["memory_gib"] == "no answer of 1 of 3 nodes: 127.0.0.1:1"


def prometheus(values, *, status=200, authorization=None):
    """Return a server that knows these queries."""

    def answer(_method, path, headers, _body):
        if headers.get("authorization") != authorization:
            return 401, {}, b"who are you"
        (query,) = parse_qs(urlsplit(path).query)["query"]
        result = [] if query not in values else [{"metric": {}, "value": [1, values[query]]}]
        document = {"status": "success", "data": {"resultType": "vector", "result": result}}
        return status, JSON, json.dumps(document).encode()

    return answer


def asking(url, queries, **more):
    return SourceSettings(
        nodes="prometheus",
        prometheus=PrometheusSourceSettings(url=url, queries=queries, **more),
    )


def test_a_server_is_asked_with_its_user_for_each_figure(sources):
    queries = {"node_count": "count(up)", "memory_gib": "sum(m)", "accelerator_count": "none"}
    server = prometheus({"count(up)": "40", "sum(m)": "5120.5"}, authorization=BASIC)
    with (
        web_server(server) as peer,
        sources(asking(peer.url, queries, username="admin", password=Secret("口令"))) as one,
    ):
        wait_until(lambda: answered(one))
        told = one.load()
        assert told.figures == {"node_count": 40, "memory_gib": 5120.5}
        assert told.unknown["accelerator_count"] == "the query gives nothing"
        # What is not asked for is not this node's own.
        assert told.unknown["cpu_utilization_ratio"] == "nothing tells it"


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", None], ids=["gone", "closed to us"])
def test_a_server_that_does_not_answer_leaves_its_figures_unknown(sources, url):
    with (
        web_server(prometheus({}, authorization=BASIC)) as peer,
        sources(asking(url or peer.url, {"node_count": "count(up)"})) as one,
    ):
        wait_until(lambda: answered(one))
        told = one.load()
        place = urlsplit(url or peer.url).netloc
        assert told.figures == {}
        assert told.unknown["node_count"] == f"no answer of the server {place}"
