"""The device API over WSGI: who may enter, what is answered, and what a wrong request gets."""

from __future__ import annotations

import base64
import json
import logging
from types import SimpleNamespace

import falcon.testing
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.model.secret import Secret
from agent.protocols.acsmp.device_api import ROUTES, create_application, waitress_error_body
from agent.protocols.acsmp.gate import Gate
from agent.protocols.acsmp.identity import PlatformToken

CODE = "11010800005020000001"
OTHER_CODE = "11010800005020000002"
PATH = "/ACSMP/Computility"
WRONG = {"Authorization": "Basic " + base64.b64encode(b"admin:wrong").decode()}


def basic(username="admin", password="Passw0rd", *, scheme="Basic"):
    pair = base64.b64encode(f"{username}:{password}".encode()).decode()
    return {"Authorization": f"{scheme} {pair}"}


@pytest.fixture
def make_api(view, clock, identity):
    """Return a maker of a device API with its client."""

    def make(identities=None, *, tokens=(("city", "t-1"),), prefix="/ACSMP", show=None):
        held = [PlatformToken(platform=name, token=Secret(token)) for name, token in tokens]
        application = create_application(
            view=show or (lambda: view),
            gate=Gate(
                [identity()] if identities is None else identities,
                tokens=lambda: held,
                clock=clock,
            ),
            address=lambda _identity: "192.0.2.7",
            identify=lambda card: card.product_name and "NVIDIA-T4",
            prefix=prefix,
        )
        return SimpleNamespace(
            ask=falcon.testing.TestClient(application).simulate_request, held=held
        )

    return make


@pytest.fixture
def api(make_api):
    return make_api()


def codes(answer):
    assert answer.status_code == 200, answer.text
    return [each["ComputilityCode"] for each in answer.json["Data"]["PageContent"]]


def assert_failure(answer, status, *words):
    """Check status and envelope (table A.2)."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert set(answer.json) == {"Code", "Message", "RequestID"}
    assert answer.json["Code"] == status
    assert 0 < len(answer.json["Message"]) <= 1024
    for word in words:
        assert word in answer.json["Message"]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_get_and_post_answer_annex_g(api, golden, method):
    answer = api.ask(method, PATH, headers=basic(), body='{"PageRequest":{"PageSize":20}}')

    expected = golden("computility_list_response")["Data"]["PageContent"]
    assert answer.json["Data"]["PageContent"] == expected
    assert answer.json["Code"] == 0
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"


def test_a_query_string_is_read_like_a_body(api):
    assert codes(api.ask("GET", f"{PATH}?ComputilityCode={CODE}", headers=basic())) == [CODE]
    assert codes(api.ask("GET", f"{PATH}?PageNumber=2&PageSize=1", headers=basic())) == []


@pytest.mark.parametrize("body", ["", "{}", " \n", '{"PageRequest":{}}'])
def test_nothing_asked_for_gives_this_node_on_the_first_page(api, body):
    answer = api.ask("POST", PATH, headers=basic(), body=body)

    assert codes(answer) == [CODE]
    assert answer.json["Data"]["PageRequest"] == {"PageNumber": 1, "PageSize": 10}


def test_the_second_page_is_empty(api):
    answer = api.ask("POST", PATH, headers=basic(), body='{"PageNumber":2,"PageSize":1}')

    assert codes(answer) == []
    assert (answer.json["Data"]["Total"], answer.json["Data"]["TotalPages"]) == (1, 1)


def test_another_type_matches_nothing(api):
    answer = api.ask("POST", PATH, headers=basic(), body='{"Type":"CCP"}')

    assert codes(answer) == []
    assert answer.json["Data"]["TotalPages"] == 0


def test_an_unknown_code_is_not_found(api):
    answer = api.ask("POST", PATH, headers=basic(), body=f'{{"ComputilityCode":"{OTHER_CODE}"}}')

    assert_failure(answer, 404, OTHER_CODE, "not this node")


def test_each_answer_has_its_own_request_id(api):
    answers = [api.ask("GET", PATH, headers=basic()) for _ in range(3)]

    assert len({answer.json["RequestID"] for answer in answers}) == 3


# Who may enter.

ALLOWED = {
    "basic": basic(),
    "basic in lower case": basic(scheme="basic"),
    "bearer": {"Authorization": "Bearer t-1"},
    "bearer in lower case": {"Authorization": "bearer t-1"},
    "token header": {"Token": "t-1"},
    "configured header": {"X-Platform": "key=t-1;"},
}
REFUSED = {
    "nothing": {},
    "wrong password": WRONG,
    "wrong user": basic("root"),
    "password with more": basic(password="Passw0rd "),
    "empty password": basic(password=""),
    "no colon": {"Authorization": "Basic " + base64.b64encode(b"admin").decode()},
    "no base64": {"Authorization": "Basic %%%"},
    "no UTF-8": {"Authorization": "Basic " + base64.b64encode(b"\xff:\xfe").decode()},
    "empty basic": {"Authorization": "Basic"},
    "empty bearer": {"Authorization": "Bearer "},
    "wrong token": {"Authorization": "Bearer t-2"},
    "token as basic": {"Authorization": "Basic t-1"},
    "digest": {"Authorization": 'Digest username="admin"'},
    "empty token header": {"Token": ""},
    "configured header, token alone": {"X-Platform": "t-1"},
    "configured header, no token": {"X-Platform": "key=;"},
    "long": {"Authorization": "Bearer " + "a" * 20_000},
}


@pytest.mark.parametrize("headers", ALLOWED.values(), ids=ALLOWED)
def test_these_credentials_open(make_api, identity, headers):
    api = make_api([identity(token_header="X-Platform: key={token};")])

    assert codes(api.ask("GET", PATH, headers=headers)) == [CODE]


@pytest.mark.parametrize("headers", REFUSED.values(), ids=REFUSED)
def test_these_do_not(make_api, identity, headers):
    api = make_api([identity(token_header="X-Platform: key={token};")])

    answer = api.ask("GET", PATH, headers=headers)

    assert_failure(answer, 401)
    assert answer.headers["www-authenticate"].startswith('Basic realm="computility-agent"')
    assert 'charset="UTF-8"' in answer.headers["www-authenticate"]
    assert "Bearer" in answer.headers["www-authenticate"]


@pytest.mark.parametrize("password", ["密码🔑", "with:colon", " blank ", "a" * 32])
def test_passwords_are_utf8_and_may_hold_colons(make_api, identity, password):
    api = make_api([identity(password=Secret(password), username="用户")])

    assert codes(api.ask("GET", PATH, headers=basic("用户", password))) == [CODE]


def test_each_platform_sees_its_own_code(make_api, identity):
    api = make_api(
        [
            identity(),
            identity(
                platform="region", computility_code=OTHER_CODE, password=Secret("another-one")
            ),
        ],
        tokens=[("city", "t-1"), ("region", "t-2")],
    )

    assert codes(api.ask("GET", PATH, headers=basic())) == [CODE]
    assert codes(api.ask("GET", PATH, headers=basic(password="another-one"))) == [OTHER_CODE]
    assert codes(api.ask("GET", PATH, headers={"Token": "t-2"})) == [OTHER_CODE]
    body = f'{{"ComputilityCode":"{OTHER_CODE}"}}'
    assert_failure(api.ask("POST", PATH, headers=basic(), body=body), 404)


def test_platforms_that_share_a_password_see_both_codes_and_their_tokens_one(make_api, identity):
    api = make_api(
        [identity(), identity(platform="region", computility_code=OTHER_CODE)],
        tokens=[("region", "t-2")],
    )

    assert codes(api.ask("GET", PATH, headers=basic())) == [CODE, OTHER_CODE]
    page = '{"PageNumber":2,"PageSize":1}'
    assert codes(api.ask("POST", PATH, headers=basic(), body=page)) == [OTHER_CODE]
    assert codes(api.ask("GET", PATH, headers={"Token": "t-2"})) == [OTHER_CODE]


def test_a_token_that_was_dropped_no_longer_opens(api):
    assert codes(api.ask("GET", PATH, headers={"Token": "t-1"})) == [CODE]

    api.held.clear()

    assert_failure(api.ask("GET", PATH, headers={"Token": "t-1"}), 401)


@pytest.mark.parametrize("headers", [{}, WRONG], ids=["none", "wrong"])
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", PATH, ""),
        ("POST", PATH, "{bad"),
        ("PUT", PATH, ""),
        ("GET", "/ACSMP/Nowhere", ""),
        ("OPTIONS", PATH, ""),
        ("HEAD", PATH, ""),
        ("GET", "/", ""),
    ],
)
def test_without_credentials_every_path_looks_the_same(api, headers, method, path, body):
    answer = api.ask(method, path, headers=headers, body=body)

    assert answer.status_code == 401
    assert "allow" not in answer.headers


# Guessing.


def test_guesses_are_slowed_down_and_forgiven_with_time(api, clock):
    for _ in range(10):
        assert_failure(api.ask("GET", PATH, headers=WRONG), 401)

    slowed = api.ask("GET", PATH, headers=WRONG)
    assert_failure(slowed, 429, "too many failed logins")
    assert slowed.headers["retry-after"] == "6"
    clock.advance(6.0)
    assert_failure(api.ask("GET", PATH, headers=WRONG), 401)
    assert_failure(api.ask("GET", PATH, headers=WRONG), 429)


def test_while_slowed_down_a_right_password_is_not_told_from_a_wrong_one(api):
    for _ in range(10):
        api.ask("GET", PATH, headers=WRONG)

    assert api.ask("GET", PATH, headers=basic()).status_code == 429


def test_a_guesser_locks_nobody_else_out(api):
    for _ in range(50):
        api.ask("GET", PATH, headers=WRONG, remote_addr="203.0.113.66")

    assert codes(api.ask("GET", PATH, headers=basic(), remote_addr="203.0.113.67")) == [CODE]


def test_asking_without_credentials_is_no_guess(api):
    for _ in range(50):
        assert api.ask("GET", PATH).status_code == 401

    assert codes(api.ask("GET", PATH, headers=basic())) == [CODE]


def test_failed_logins_are_logged_once_and_without_secrets(api, caplog):
    caplog.set_level(logging.INFO)
    for _ in range(30):
        api.ask("GET", PATH, headers=basic(password="guess-me"))

    assert len(caplog.records) == 2
    assert "guess" not in caplog.text


# Wrong requests.


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("{bad", ["not JSON", "byte"]),
        (b"\xff\xff", ["not JSON", "byte"]),
        ("[]", ["a list", "object"]),
        ('{"PageSize": "x"}', ["PageSize", "integer", "A.8"]),
        ('{"Type": "BOX"}', ["Type", "AI_BOX", "G.1"]),
        ("[" * 100_000, ["nested"]),
    ],
)
def test_a_wrong_body_gets_400_and_says_what_is_wrong(api, body, words):
    assert_failure(api.ask("POST", PATH, headers=basic(), body=body), 400, *words)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_a_wrong_method_gets_405_and_the_right_ones(api, method):
    answer = api.ask(method, PATH, headers=basic())

    assert_failure(answer, 405, method, "GET", "POST")
    assert {"GET", "HEAD", "POST"} <= set(answer.headers["allow"].split(", "))


@pytest.mark.parametrize("path", ["/", "/ACSMP", "/acsmp/computility", f"{PATH}/1", "/Computility"])
def test_a_wrong_path_gets_404(api, path):
    assert_failure(api.ask("GET", path, headers=basic()), 404, path)


def test_a_slash_at_the_end_does_not_matter(api):
    assert codes(api.ask("GET", f"{PATH}/", headers=basic())) == [CODE]


def test_head_has_the_headers_of_get_and_no_body(api):
    answer = api.ask("HEAD", PATH, headers=basic())

    assert answer.status_code == 200
    assert int(answer.headers["content-length"]) > 100
    assert answer.content == b""


def test_options_names_the_methods(api):
    answer = api.ask("OPTIONS", PATH, headers=basic())

    assert answer.status_code in (200, 204)
    assert {"GET", "POST"} <= set(answer.headers["allow"].split(", "))


def test_a_fault_of_ours_shows_no_trace_and_is_logged(make_api, caplog):
    def show():
        raise RuntimeError("secret inside")

    answer = make_api(show=show).ask("GET", PATH, headers=basic())

    assert_failure(answer, 500)
    assert "secret" not in answer.text
    assert answer.json["RequestID"] in caplog.text
    assert "secret inside" in caplog.text


@settings(max_examples=100)
@given(body=st.binary(max_size=200))
def test_no_body_makes_a_fault(api_forever, body):
    answer = api_forever.ask("POST", PATH, headers=basic(), body=body)

    assert answer.status_code in (200, 400, 404)
    assert isinstance(answer.json["Code"], int)


@pytest.fixture(scope="module")
def api_forever(identity, make_clock):
    """Return a device API for tests that ask a thousand times."""
    from datetime import datetime, timezone

    from agent.model.view import AgentView

    empty = AgentView(
        taken_at=datetime(2026, 1, 1, tzinfo=timezone.utc), taken_monotonic_seconds=0.0
    )
    application = create_application(
        view=lambda: empty,
        gate=Gate([identity()], tokens=tuple, clock=make_clock()),
        address=lambda _identity: None,
        identify=lambda _: None,
        prefix="/ACSMP",
    )
    return SimpleNamespace(ask=falcon.testing.TestClient(application).simulate_request)


# Health, prefix, the server's own refusals.


def test_the_health_check_is_open_and_says_no_more_than_alive(api):
    answer = api.ask("GET", "/healthz")

    assert (answer.status_code, answer.text) == (200, "alive\n")
    assert_failure(api.ask("POST", "/healthz"), 405)


@pytest.mark.parametrize("prefix", ["", "/api/v1"])
def test_the_prefix_is_configurable(make_api, prefix):
    api = make_api(prefix=prefix)

    assert codes(api.ask("GET", f"{prefix}/Computility", headers=basic())) == [CODE]


def test_refusals_of_the_server_wear_the_envelope():
    content_type, body = waitress_error_body(413, "too much")

    assert content_type == "application/json"
    assert json.loads(body)["Code"] == 413
    assert json.loads(body)["Message"] == "too much"


def test_every_route_says_where_it_is_from():
    assert all("table" in route.source or "addition" in route.source for route in ROUTES)
    assert len({(route.path, method) for route in ROUTES for method in route.methods}) == sum(
        len(route.methods) for route in ROUTES
    )
