"""What the device API is given of packages and services: always those in force."""

from __future__ import annotations

import io

import pytest

from agent.app.workloads.fronts import PackageFront, ServiceFront
from agent.errors import TransientError
from agent.model.workloads import Digests, ServiceState
from agent.workloads.packages import PackagePush
from agent.workloads.service_planner import ServiceLoad
from tests.agent.app.workload_home import Home, package, until


@pytest.fixture
def home(tmp_path):
    one = Home(tmp_path)
    yield one
    one.stop()


def test_the_same_front_goes_on_after_a_reload(home):
    home.start()
    packages = PackageFront(lambda: home.workloads)
    services = ServiceFront(lambda: home.workloads)
    packages.receive("p", file=io.BytesIO(package()), digests=Digests())
    service_id = services.load(ServiceLoad(package_id="p"))
    until(lambda: services.services()[0].state is ServiceState.RUNNING)
    home.workloads.reload(home.changed(accelerators=0))
    until(lambda: services.services()[0].state is ServiceState.RUNNING)
    assert packages.get("p") == packages.list()[0]
    assert services.logs(service_id, replica=0, tail_lines=5) == b"started\n"
    services.unload(package_id="p", service_id=None)
    assert services.services() == ()
    packages.delete("p")
    assert packages.list() == ()


def test_before_the_start_whoever_asks_is_told_to_try_again():
    packages, services = PackageFront(lambda: None), ServiceFront(lambda: None)
    push = PackagePush(package_id="p", url="http://h/", digests=Digests())
    for ask in (packages.list, services.services, lambda: packages.push(push)):
        with pytest.raises(TransientError) as refused:
            ask()
        assert refused.value.retry_after_seconds
