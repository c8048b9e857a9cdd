"""A simulated Redfish service, asked by a plain HTTP client."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

import pytest

from tests.agent.simulator.meters.conftest import meter


@pytest.fixture
def get(bench):
    def ask(path):
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{bench.port()}{path}", timeout=10) as answer:
            return json.loads(answer.read())

    return ask


def test_links_lead_from_the_root_to_the_metrics(bench, get):
    bench.start(meter("environment-metrics"))
    bench.second = 60
    root = get(get("/redfish")["v1"])
    (member,) = get(root["Chassis"]["@odata.id"])["Members"]
    metrics = get(get(member["@odata.id"])["EnvironmentMetrics"]["@odata.id"])
    assert metrics["EnergykWh"] == {"LifetimeReading": 500.6}
    assert metrics["PowerWatts"] == {"Reading": 36000.0}


def test_every_resource_says_where_it_stands_and_what_it_is(bench, get):
    bench.start(meter("environment-metrics"))
    for path in ("", "/Chassis", "/Chassis/m", "/Chassis/m/EnvironmentMetrics"):
        found = get(f"/redfish/v1{path}")
        assert found["@odata.id"] == f"/redfish/v1{path}"
        assert found["@odata.type"].startswith("#")
        assert found["Name"]


def test_what_is_not_there_is_404(bench, get):
    bench.start(meter("environment-metrics"))
    with pytest.raises(urllib.error.HTTPError) as caught:
        get("/redfish/v1/Systems")
    assert caught.value.code == 404
    caught.value.close()
