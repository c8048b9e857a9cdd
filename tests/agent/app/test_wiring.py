"""What the parts are told of each other, from before the start to after the end."""

from __future__ import annotations

import pytest

from agent.app.wiring import Wiring
from agent.config.settings import AcsmpSettings, DeviceApiSettings, NodeSettings, Settings
from agent.model.clock import SystemClock
from agent.model.secret import Secret
from agent.protocols.acsmp.identity import DeviceIdentity
from agent.protocols.acsmp.status import SessionState, SessionStatus

CODE = "11010800005020000001"


class FakeSession:
    """Is a session that is alive or not, and registered or not."""

    def __init__(self, name, *, state=SessionState.REGISTERED, alive=True):
        self.identity = DeviceIdentity(
            platform=name,
            computility_code=CODE,
            node_type="AI_BOX",
            address="auto",
            port=8123,
            username="admin",
            password=Secret("open sesame"),
        )
        self._status = SessionStatus(
            name=name, url="http://h", computility_code=CODE, state=state, address="192.0.2.7"
        )
        self._alive = alive

    def status(self):
        return self._status

    def is_alive(self):
        return self._alive

    def current_tokens(self):
        return (f"token of {self.identity.platform}",)


class FakeServer:
    """Is a listener."""

    def __init__(self, address, *, alive=True):
        self.address, self.port, self.is_alive = address, 8123, alive


class FakeSampler:
    """Is a sampler that is alive or not."""

    def __init__(self, *, alive):
        self._alive = alive

    def is_alive(self, *, within_seconds):
        return self._alive


@pytest.fixture
def wiring():
    return Wiring(clock=SystemClock())


def settings(*names):
    return Settings(
        node=NodeSettings(code=CODE, type="AI_BOX"),
        device_api=DeviceApiSettings(password=Secret("open sesame")),
        acsmp=tuple(AcsmpSettings(name=name, url=f"http://{name}") for name in names),
    )


def test_before_the_start_nothing_is_known_and_nothing_fails(wiring):
    document = wiring.status_document()
    assert (document["device_api"], document["metrics"]) == (None, None)
    assert document["platforms"] == document["plugins"] == document["stale_loops"] == []
    assert wiring.view().cpu is None
    assert wiring.view().unknown["cpu"] == "not sampled yet"


def test_a_platform_that_is_still_to_be_started_is_not_registered(wiring):
    wiring.settings = settings("city", "region")
    wiring.add_session(FakeSession("city"))
    told = {each["name"]: each for each in wiring.status_document()["platforms"]}
    assert list(told) == ["city", "region"]
    assert told["city"]["is_registered"]
    assert (told["region"]["is_registered"], told["region"]["state"]) == (False, "starting")
    assert (told["region"]["url"], told["region"]["computility_code"]) == ("http://region", CODE)


def test_a_session_is_asked_only_while_it_runs(wiring):
    city, region = FakeSession("city"), FakeSession("region")
    wiring.add_session(city)
    wiring.add_session(region)
    assert wiring.tokens() == ("token of city", "token of region")
    assert wiring.address(city.identity) == "192.0.2.7"
    wiring.remove_session(city)
    assert wiring.tokens() == ("token of region",)
    assert wiring.address(city.identity) is None
    assert [each.name for each in wiring.session_statuses()] == ["region"]


def test_every_loop_that_stopped_is_named(wiring):
    wiring.sampler = FakeSampler(alive=True)
    wiring.device_server = FakeServer("0.0.0.0")
    wiring.add_session(FakeSession("city"))
    assert wiring.stale_loops() == ()
    wiring.sampler = FakeSampler(alive=False)
    wiring.device_server = FakeServer("0.0.0.0", alive=False)
    wiring.add_session(FakeSession("region", alive=False))
    assert wiring.stale_loops() == ("keepalive-region", "sampler", "listener-8123")


@pytest.mark.parametrize(
    ("address", "place"), [("127.0.0.1", "127.0.0.1:8123"), ("::1", "[::1]:8123")]
)
def test_a_listener_is_told_as_it_is_written_in_a_url(wiring, address, place):
    wiring.device_server = FakeServer(address)
    assert wiring.status_document()["device_api"] == place
    assert wiring.summary() == f"0 platforms, device API on {place}"
