"""The questions of annex B as a part of the agent: over real sockets, through reloads."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace

import pytest
import requests

from agent.app import build, build_centre_api
from agent.app.centre import query_metrics
from agent.app.parts import Parts
from agent.app.wiring import Wiring
from agent.config.centre_settings import CentreSettings, CentreUserSettings, SourceSettings
from agent.config.settings import NodeSettings, RuntimeSettings, Settings
from agent.config.sign_settings import SignSettings
from agent.config.tls_settings import ServerTlsSettings
from agent.errors import PermanentError, TransientError
from agent.model.secret import Secret
from agent.protocols.tc609.sign import Signer
from agent.protocols.tc609.sign_options import SignOptions
from agent.security.password_hashes import PasswordHash
from tests.agent.protocols.tc609.conftest import FakeClock
from tests.agent.protocols.tc609.makers import hour

SUPERVISION, OPERATIONAL = "/api/querySupervisionSystemData", "/api/queryOperationalData"
CITY = CentreUserSettings(username="city", password=Secret("Passw0rd"))
CENTRE = CentreSettings(id=7, name="示例算力中心", listen="127.0.0.1:0", users=(CITY,))
SETTINGS = Settings(
    node=NodeSettings(code="11010800005020000001", type="AI_BOX", state_dir="/s"),
    runtime=RuntimeSettings(kind="none"),
    centre=CENTRE,
)


class Agent:
    """Is the part of an agent that is asked, and a platform that asks it."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.wiring = Wiring(clock=self.clock)
        self.parts = Parts()
        self.session = requests.Session()
        self.session.trust_env = False
        self.token = ""

    def plans(self, **changes):
        centre = replace(CENTRE, **changes)
        settings = replace(SETTINGS, centre=centre)
        return build_centre_api.parts(settings, centre, wiring=self.wiring)

    def start(self, **changes):
        self.parts.start(self.plans(**changes))
        self.token = self.log_in().get("token", "")

    def change(self, **changes):
        return self.parts.change(self.plans(**changes))

    @property
    def url(self):
        return f"http://127.0.0.1:{self.wiring.query_server.port}"

    def log_in(self, username="city", password="Passw0rd"):
        login = {"username": username, "password": password}
        return self.session.post(self.url + "/api/token", json=login, timeout=10).json()

    def ask(self, path=SUPERVISION, *, headers=None):
        sent = {"token": self.token, **(headers or {})}
        url = f"{self.url}{path}?centerId=7"
        return self.session.get(url, headers=sent, timeout=10).json()


@pytest.fixture
def agent() -> Iterator[Agent]:
    one = Agent()
    yield one
    one.session.close()
    one.parts.stop()


def test_the_part_stands_before_the_device_api_and_only_where_it_is_wanted():
    def names(settings):
        return [each.name for each in build.plan(settings, wiring=Wiring(clock=FakeClock()))]

    assert names(SETTINGS) == ["sampler", "local socket", "operational sources", "query API"]
    assert "query API" not in names(replace(SETTINGS, centre=None))


@pytest.mark.parametrize(
    ("change", "concerned"),
    [
        ({}, set()),
        ({"hour": "rolling"}, {"query API"}),
        ({"token_seconds": 60}, {"query API"}),
        ({"http_statuses": True}, {"query API"}),
        ({"members": {"node_count": "nodes"}}, {"query API"}),
        ({"sources": SourceSettings(computing_power_tflops=1.0)}, {"operational sources"}),
    ],
    ids=str,
)
def test_a_change_concerns_only_its_part(agent, change, concerned):
    keys = [{plan.name: plan.key for plan in agent.plans(**each)} for each in ({}, change)]
    assert {name for name in keys[0] if keys[0][name] != keys[1][name]} == concerned


def test_a_token_ends_after_its_time(agent):
    agent.start(token_seconds=600)
    agent.clock.advance(599)
    assert agent.ask()["code"] == 200
    agent.clock.advance(1)
    assert agent.ask()["code"] == 10002


def test_a_change_that_does_not_concern_them_keeps_port_and_tokens(agent):
    agent.start()
    port = agent.wiring.query_server.port
    assert agent.change(hour="rolling", http_statuses=True, name="other") == ("query API: changed",)
    assert agent.wiring.query_server.port == port
    assert agent.ask()["code"] == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"users": (replace(CITY, password=Secret("another")),)},
        {"users": (replace(CITY, username="region"),)},
        {"token_seconds": 60},
    ],
    ids=["password", "user", "lifetime"],
)
def test_other_users_or_another_lifetime_end_the_tokens(agent, changes):
    agent.start()
    agent.change(**changes)
    assert agent.ask()["code"] == 10002


def test_a_reload_does_not_let_a_signed_question_be_played_again(agent):
    sign = SignSettings(secret=Secret("s3cret"))
    signer = Signer(SignOptions(secret=Secret("s3cret")), clock=agent.clock)
    agent.start(sign=sign)
    headers = signer.headers(query="centerId=7")
    assert agent.ask(headers=headers)["code"] == 200
    agent.change(sign=sign, hour="rolling")
    assert agent.ask(headers=headers)["code"] == 99999
    assert agent.ask()["code"] == 10006
    agent.change(hour="rolling")
    assert agent.ask()["code"] == 200


def test_the_login_is_signed_where_that_is_wanted(agent):
    agent.start(sign=SignSettings(secret=Secret("s3cret")), sign_login=True)
    assert agent.log_in()["code"] == 10006


def test_a_hash_is_as_good_as_its_password(agent):
    hashed = PasswordHash.of(Secret("Passw0rd")).to_text()
    agent.start(users=(replace(CITY, password=Secret(hashed)),))
    assert agent.ask()["code"] == 200
    # What stands in the file opens nothing by itself.
    assert agent.log_in(password=hashed)["code"] == 10001


def test_the_hour_comes_from_the_meters(agent):
    asked = []

    def latest_hour(*, rolling):
        asked.append(rolling)
        return hour()

    agent.start()
    assert "the past hour is not known" in agent.ask()["msg"]
    agent.wiring.centre = SimpleNamespace(centre=SimpleNamespace(latest_hour=latest_hour))
    assert agent.ask()["data"]["pue"] is not None
    agent.change(hour="rolling")
    agent.ask()
    assert asked == [False, True]


def test_a_ledger_that_cannot_be_used_now_is_no_unknown_hour(agent):
    class Unusable:
        @property
        def centre(self):
            raise TransientError("the ledger of the meters cannot be used: it is locked")

    agent.start()
    agent.wiring.centre = Unusable()
    answer = agent.ask()
    assert (answer["code"], "data" in answer) == (99999, False)
    assert "locked" in answer["msg"]


def test_status_summary_and_metrics_tell_of_it(agent):
    assert list(query_metrics.families(agent.wiring)) == []
    agent.start()
    agent.ask(OPERATIONAL)
    place = f"127.0.0.1:{agent.wiring.query_server.port}"
    assert agent.wiring.summary() == f"0 platforms, query API on {place}"
    document = agent.wiring.status_document()
    assert document["query_api"] == place
    assert document["operational_sources"] == []
    (answers, *_) = query_metrics.families(agent.wiring)
    counted = {
        (each.labels["question"], each.labels["code"]): each.value for each in answers.samples
    }
    assert counted == {("token", "200"): 1, ("operational", "200"): 1}
    agent.parts.stop()
    assert agent.wiring.query_server is None
    assert agent.wiring.stale_loops() == ()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"users": (replace(CITY, password=Secret("$scrypt$x")),)}, "not a hashed password"),
        ({"members": {"node_count": "a.b", "memory_gib": "a"}}, "both a group and a figure"),
        (
            {"sign": SignSettings(mode="sm2", public_key_file="/nowhere")},
            "centre.sign.public_key_file: /nowhere: no such file",
        ),
    ],
)
def test_settings_that_cannot_be_are_refused_before_anything_changes(agent, changes, words):
    with pytest.raises(PermanentError, match=words):
        agent.plans(**changes)


@pytest.fixture
def certificates(tmp_path, require_program):
    openssl = require_program("openssl")

    def make(name):
        key, own = tmp_path / f"{name}.key", tmp_path / f"{name}.pem"
        words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
        subprocess.run(
            [
                *(openssl, *words.split(), "-subj", f"/CN={name}"),
                *("-addext", "subjectAltName=IP:127.0.0.1"),
                *("-keyout", str(key), "-out", str(own)),
            ],
            check=True,
            capture_output=True,
        )
        return str(own), str(key)

    return make


@pytest.mark.peer
def test_with_a_client_ca_nobody_asks_without_a_certificate(agent, certificates):
    (own, key), client = certificates("centre"), certificates("city")
    settings = ServerTlsSettings(certificate=own, private_key=key, client_ca=client[0])
    agent.parts.start(agent.plans(tls=settings))
    url = agent.url.replace("http", "https") + "/api/token"
    login = {"username": "city", "password": "Passw0rd"}
    agent.session.verify = own
    with pytest.raises(requests.exceptions.ConnectionError):
        agent.session.post(url, json=login, timeout=10)
    answer = agent.session.post(url, json=login, timeout=10, cert=client)
    assert answer.json()["code"] == 200
