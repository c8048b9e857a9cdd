"""The client against a platform on a real socket."""

from __future__ import annotations

import json

import pytest

from agent.errors import PermanentError, PlatformRejected, TransientError
from agent.model.clock import SystemClock
from agent.model.secret import Secret
from agent.protocols.tc609.platform_client import Access, PlatformClient
from agent.protocols.tc609.sign import Signer, SignMissing, SignOptions, SignRefused, Verifier
from agent.transport.client import HttpClient
from tests.agent.protocols.tc609.declarations import centre, project
from tests.agent.protocols.tc609.fake_platform import (
    PASSWORD,
    USERNAME,
    FakePlatform,
    Refusal,
)

GROUP = "computePowerInvestment"


@pytest.fixture
def platform():
    platform = FakePlatform()
    yield platform
    platform.close()


@pytest.fixture
def client_of(clock):
    opened = []

    def make(platform: FakePlatform, *, signer=None, **changed) -> PlatformClient:
        http = HttpClient(base_url=platform.url, user_agent="test/1")
        opened.append(http)
        access = Access(**({"username": USERNAME, "password": Secret(PASSWORD)} | changed))
        return PlatformClient(
            http, access=access, signer=signer, clock=clock, investment_group=GROUP
        )

    yield make
    for http in opened:
        http.close()


def test_one_token_serves_many_calls(platform, client_of):
    client = client_of(platform)
    assert client.create_project(project()) == 1
    assert client.create_centre(centre(), project_ids=[1]) == 1
    client.change_project(project(hub="12"), identifier=1)
    client.change_centre(centre(description="二期"), identifier=None, project_ids=[1])
    (found,) = client.find_projects(name=project().name)
    assert (found.identifier, found.hub) == (1, "12")
    (seen,) = client.find_centres(identifier=1)
    assert seen.description == "二期"
    assert client.find_centres(name="没有") == ()
    assert platform.logins == 1


def test_the_token_is_renewed_after_four_fifths_of_its_time(platform, client_of, clock):
    platform.seconds = 100
    client = client_of(platform)
    client.find_projects()
    clock.advance(79)
    client.find_projects()
    assert platform.logins == 1
    clock.advance(1)
    client.find_projects()
    assert platform.logins == 2


def test_without_an_expiry_the_token_lasts_an_hour(platform, client_of, clock):
    platform.seconds = None
    client = client_of(platform)
    client.find_projects()
    clock.advance(2879)
    client.find_projects()
    assert platform.logins == 1
    clock.advance(1)
    client.find_projects()
    assert platform.logins == 2


def test_a_refused_token_is_renewed_once(platform, client_of):
    client = client_of(platform)
    client.find_projects()
    platform.tokens.clear()
    assert client.create_project(project()) == 1
    assert platform.logins == 2


def test_a_platform_that_takes_no_token_is_not_asked_for_ever(platform, client_of):
    client = client_of(platform, token_headers=("X-Nobody: {token}",))
    with pytest.raises(TransientError, match="token_header"):
        client.find_projects()
    assert platform.logins == 2


def test_every_token_header_is_sent_as_it_is_configured(platform, client_of):
    client = client_of(platform, token_headers=("Authorization: Bearer {token}", "token: {token}"))
    client.find_projects()
    headers = platform.requests[-1][2]
    assert (headers["Authorization"], headers["token"]) == ("Bearer t-1", "t-1")


def test_a_wrong_password_says_what_to_do_and_does_not_show_it(platform, client_of):
    client = client_of(platform, password=Secret("secret-word"))
    with pytest.raises(PermanentError, match="password_file") as caught:
        client.find_projects()
    assert "secret-word" not in str(caught.value)
    assert "secret-word" not in repr(client_of(platform, password=Secret("secret-word"))._access)


def test_a_name_travels_in_the_query_whatever_is_in_it(platform, client_of):
    client = client_of(platform)
    odd = "甲 & 乙 = 50% + ?#"
    client.create_project(project(name=odd))
    (found,) = client.find_projects(name=odd)
    assert found.name == odd
    assert "+" not in platform.requests[-1][1]


@pytest.mark.parametrize("fault", ["drop", "lose"])
def test_a_creation_is_never_sent_twice_by_itself(platform, client_of, fault):
    client = client_of(platform)
    client.find_projects()
    platform.faults = [fault]
    with pytest.raises(TransientError):
        client.create_project(project())
    assert platform.calls("POST", "/api/project") == 1
    assert len(platform.projects) == (fault == "lose")


def test_a_question_on_a_connection_that_was_closed_is_asked_again(platform, client_of):
    client = client_of(platform)
    client.find_projects()
    platform.faults = ["drop"]
    assert client.find_projects() == ()


def test_a_refusal_carries_code_and_reason(platform, client_of):
    client = client_of(platform)
    with pytest.raises(PlatformRejected) as caught:
        client.change_project(project(), identifier=99)
    assert (caught.value.code, caught.value.message) == (99999, "不存在")


@pytest.mark.parametrize(
    "answer",
    [(200, b""), (200, b"<html>"), (502, b"bad gateway"), (200, b'{"code": 200, "data": [1, 2]}')],
)
def test_an_answer_that_is_none_is_transient(platform, client_of, answer):
    client = client_of(platform)
    client.find_projects()
    platform.faults = [answer]
    with pytest.raises(TransientError):
        client.find_projects()


def test_what_is_signed_is_what_is_sent(platform, client_of):
    options = SignOptions(secret=Secret("k"))
    verifier = Verifier(options, clock=SystemClock())
    seen = []

    def check(query, body, headers):
        if headers.get("sign") is None and b"username" in body:
            return
        try:
            verifier.check(query=query, body=body, header=headers.get)
        except SignMissing as error:
            raise Refusal(10006, "sign") from error
        except SignRefused as error:
            raise Refusal(99999, str(error)) from error
        seen.append(query or json.loads(body))

    platform.check = check
    client = client_of(platform, signer=Signer(options, clock=SystemClock()))
    client.create_project(project())
    client.find_projects(name="甲 & 乙")
    assert len(seen) == 2
    with pytest.raises(PermanentError, match="sign"):
        client_of(platform).find_projects()
