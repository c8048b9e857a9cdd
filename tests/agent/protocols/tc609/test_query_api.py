"""What monitoring platforms ask is answered by the tables, and refused by the codes of annex C."""

from __future__ import annotations

import json
import logging
from types import SimpleNamespace
from urllib.parse import quote, urlencode

import falcon.testing
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import PermanentError, TransientError
from agent.model.operations import CentreLoad
from agent.model.secret import Secret
from agent.protocols.tc609.query_api import (
    MAXIMUM_BODY_BYTES,
    QueryOptions,
    create_application,
    server_error_body,
)
from agent.protocols.tc609.question_rate import QuestionRate
from agent.protocols.tc609.questions import CentreNames
from agent.protocols.tc609.sign import Signer, Verifier
from agent.protocols.tc609.sign_options import CanonicalForm, SignOptions
from agent.protocols.tc609.tokens import TokenStore
from agent.protocols.tc609.users import Users
from agent.security.password_hashes import PasswordHash
from tests.agent.protocols.tc609.conftest import FakeClock
from tests.agent.protocols.tc609.makers import hour

TOKEN, OPERATIONAL, SUPERVISION = (
    "/api/token",
    "/api/queryOperationalData",
    "/api/querySupervisionSystemData",
)
NAME = "示例算力中心"
LOGIN = {"username": "city", "password": "Passw0rd"}
HASHES = {"city": PasswordHash.of(Secret("Passw0rd"))}
SIGN = SignOptions(secret=Secret("s3cret"))


def make_api(
    clock,
    *,
    sign=None,
    latest=hour,
    operational=lambda: CentreLoad(figures={"node_count": 1}),
    rate=None,
    **changes,
):
    options = {"names": CentreNames(centre_id=7, centre_name=NAME), **changes}
    tokens = TokenStore(clock=clock)
    answers = []
    application = create_application(
        options=QueryOptions(**options),
        users=Users(HASHES, clock=clock),
        tokens=tokens,
        latest_hour=latest,
        operational=operational,
        verifier=None if sign is None else Verifier(sign, clock=clock),
        answered=lambda *answer: answers.append(answer),
        rate=rate,
    )
    ask = falcon.testing.TestClient(application).simulate_request
    token = tokens.issue("city").token.reveal()
    return SimpleNamespace(ask=ask, tokens=tokens, token=token, clock=clock, answers=answers)


@pytest.fixture
def api(clock):
    return make_api(clock)


def query(api, query_string="centerId=7", *, path=SUPERVISION, method="GET", headers=None, **rest):
    headers = {"Authorization": f"Bearer {api.token}", **(headers or {})}
    return api.ask(method, path, query_string=query_string, headers=headers, **rest)


def code(answer):
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    if answer.json["code"] != 200:
        assert answer.json["msg"]
        assert set(answer.json) == {"code", "msg"}
    return answer.json["code"]


def log_in(api, **login):
    return api.ask("POST", TOKEN, body=json.dumps({**LOGIN, **login}))


def test_a_platform_gets_a_token_and_asks_with_it(api, golden):
    answer = log_in(api)
    assert (answer.status_code, code(answer), answer.json["expiresIn"]) == (200, 200, 3600)

    api.token = answer.json["token"]
    assert query(api).json == golden("supervision_system_data_response")
    operational = query(api, path=OPERATIONAL)
    assert operational.json["data"]["computePowerScale"]["nodeCount"] == 1


def test_a_form_is_a_login_too(api):
    answer = api.ask("POST", TOKEN, body=urlencode(LOGIN), headers={
        "Content-Type": "application/x-www-form-urlencoded"})  # fmt: skip
    assert code(answer) == 200


def test_a_password_in_the_url_is_not_read(api):
    assert code(api.ask("POST", TOKEN, query_string=urlencode(LOGIN))) == 10005


@pytest.mark.parametrize(
    ("login", "expected"),
    [
        ({"password": "wrong"}, 10001),
        ({"username": "nobody"}, 10001),
        ({"password": "\ud800"}, 10001),
        ({"username": None}, 10005),
        ({"password": ""}, 10005),
        ({"username": 7}, 10004),
        ({"password": ["Passw0rd"]}, 10004),
        ({"password": "x" * 1025}, 10004),
    ],
)
def test_a_login_is_refused_by_its_fault(api, login, expected):
    answer = log_in(api, **login)
    assert (answer.status_code, code(answer)) == (200, expected)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"7", b"\xff", b"[" * 60_000, b'{"a":1,"a":2}'])
def test_a_body_that_is_no_object_is_refused(api, body):
    assert code(api.ask("POST", TOKEN, body=body)) in (10005, 99999)


def test_guessing_is_slowed_down(api):
    while code(answer := log_in(api, password="guess")) == 10001:
        if "retry-after" in answer.headers:
            break
    assert answer.headers["retry-after"] == "6"
    assert code(log_in(api)) == 10001

    api.clock.advance(6)
    assert code(log_in(api)) == 200


@pytest.mark.parametrize(
    "template",
    ["Authorization: Bearer {}", "Authorization: bearer {}", "Authorization: {}", "token: {}",
     "Token: {}", "X-Access-Token: {}", "token: Bearer {}"],
)  # fmt: skip
def test_a_token_is_read_in_every_usual_header(api, template):
    name, _, value = template.partition(": ")
    headers = {name: value.format(api.token)}

    assert code(api.ask("GET", SUPERVISION, params={"centerId": 7}, headers=headers)) == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"token": ""},
        {"token": "x"},
        {"Authorization": "Bearer"},
        {"Authorization": "Basic eDp5"},
        {"X-Token": "x"},
        {"token": "x" * 9000},
    ],
)
@pytest.mark.parametrize("path", [OPERATIONAL, SUPERVISION])
def test_without_a_token_nobody_learns_anything(api, headers, path):
    answer = api.ask("GET", path, query_string="centerId=7", headers=headers)
    assert code(answer) == 10002


def test_a_token_that_ended_is_refused(api):
    api.clock.advance(3600)
    assert code(query(api)) == 10002


@pytest.mark.parametrize(
    ("query_string", "expected"),
    [
        ("centerId=7", 200),
        ("centerId=007", 200),
        ("centerid=7", 200),
        (f"centerName={quote(NAME)}", 200),
        (f"centerId=7&centerName={quote(NAME)}", 200),
        ("centerId=7&centerName=", 200),
        ("centerId=7&unknown=1", 200),
        ("", 10005),
        ("centerId=", 10005),
        ("centreId=7", 10005),
        ("centerId=8", 10003),
        ("centerId=-7", 10003),
        ("centerName=other", 10003),
        ("centerId=8&centerName=other", 10003),
        (f"centerId=8&centerName={quote(NAME)}", 10004),
        ("centerId=7&centerName=other", 10004),
        ("centerId=seven", 10004),
        ("centerId=7.5", 10004),
        ("centerId=%EF%BC%97", 10004),
        ("centerId=" + "9" * 5000, 10004),
        ("centerName=" + "x" * 257, 10004),
        ("centerId=7&centerId=8", 99999),
        ("centerId=%FF", 99999),
    ],
)
@pytest.mark.parametrize("path", [OPERATIONAL, SUPERVISION])
def test_the_centre_is_named_by_id_or_name(api, path, query_string, expected):
    answer = query(api, query_string, path=path)
    assert (answer.status_code, code(answer)) == (200, expected)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"centerId": 7}, 200),
        ({"centerId": 7.0}, 200),
        ({"centerId": "7", "centerName": None}, 200),
        ({"centerName": NAME}, 200),
        ({"centerId": 7.5}, 10004),
        ({"centerId": True}, 10004),
        ({"centerId": [7]}, 10004),
        ({"centerName": 7}, 10004),
        ({"centerName": {"a": 1}}, 10004),
        ({}, 10005),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_parameters_may_stand_in_the_body(api, method, fields, expected):
    assert code(query(api, "", method=method, json=fields)) == expected


def test_query_and_body_may_share_the_parameters_and_not_contradict(api):
    assert code(query(api, "centerId=7", method="POST", json={"centerName": NAME})) == 200
    assert code(query(api, "centerId=7", method="POST", json={"centerId": 7})) == 200
    assert code(query(api, "centerId=7", method="POST", json={"centerId": 8})) == 99999


def test_a_centre_without_an_id_is_known_by_its_name(clock):
    api = make_api(clock, names=CentreNames(centre_id=None, centre_name=NAME))

    assert code(query(api, f"centerName={quote(NAME)}")) == 200
    assert code(query(api, "centerId=7")) == 10003


@pytest.mark.parametrize(
    ("query_string", "expected"),
    [("centerId=8", 403), ("centerId=x", 400), ("", 400), ("centerId=7&centerId=8", 400)],
)
def test_failures_have_http_statuses_where_a_platform_wants_them(clock, query_string, expected):
    api = make_api(clock, uses_http_statuses=True)

    assert query(api, query_string).status_code == expected
    assert query(api).status_code == 200
    assert log_in(api, password="wrong").status_code == 401
    assert api.ask("GET", SUPERVISION).status_code == 401


def signed(api, query_string="centerId=7", *, sign=SIGN, method="GET", body=b"", **rest):
    signer = Signer(sign, clock=api.clock)
    headers = {**signer.headers(query=query_string, body=body), **rest.pop("headers", {})}
    return query(api, query_string, method=method, body=body, headers=headers, **rest)


def test_where_a_secret_is_set_every_question_is_signed(clock):
    api = make_api(clock, sign=SIGN)

    assert code(query(api)) == 10006
    assert code(query(api, path=OPERATIONAL)) == 10006
    assert code(signed(api)) == 200
    assert code(signed(api, f"centerName={quote(NAME)}", path=OPERATIONAL)) == 200
    assert code(signed(api, "", method="POST", body=b'{"centerId": 7.0}')) == 200


def test_a_wrong_a_late_and_a_second_signature_are_refused_in_words(clock):
    api = make_api(clock, sign=SIGN)
    headers = {**Signer(SIGN, clock=clock).headers(query="centerId=7")}

    assert "wrong" in query(api, f"centerName={quote(NAME)}", headers=headers).json["msg"]
    assert code(query(api, headers=headers)) == 200
    assert "before" in query(api, headers=headers).json["msg"]
    clock.advance(301)
    late = query(api, headers=headers)
    assert (late.status_code, code(late)) == (200, 99999)
    assert "clock" in late.json["msg"]


def test_the_signature_covers_raw_utf_8_in_a_url(clock):
    raw = SignOptions(secret=Secret("s3cret"), form=CanonicalForm.RAW_BODY)
    api = make_api(clock, sign=raw)

    assert code(signed(api, f"centerName={quote(NAME)}", sign=raw)) == 200
    assert code(signed(api, "", sign=raw, method="POST", body=b'{ "centerId": 7 }')) == 200


def test_a_token_is_asked_for_unsigned_unless_a_site_wants_it_signed(clock):
    assert code(log_in(make_api(clock, sign=SIGN))) == 200
    api = make_api(clock, sign=SIGN, signs_token_request=True)
    assert code(log_in(api)) == 10006

    body = json.dumps(LOGIN).encode()
    headers = {**Signer(SIGN, clock=clock).headers(body=body)}
    assert code(api.ask("POST", TOKEN, body=body, headers=headers)) == 200


def test_who_has_no_token_uses_up_no_nonce(clock):
    api = make_api(clock, sign=SIGN)
    headers = {**Signer(SIGN, clock=clock).headers(query="centerId=7")}
    assert code(api.ask("GET", SUPERVISION, query_string="centerId=7", headers=headers)) == 10002

    assert code(query(api, headers=headers)) == 200


def test_unknown_figures_are_null_and_named(clock):
    api = make_api(clock, latest=lambda: None, operational=lambda: None)

    for path in (OPERATIONAL, SUPERVISION):
        answer = query(api, path=path)
        assert answer.json["code"] == 200
        assert answer.json["msg"]
    assert set(query(api).json["data"].values()) == {None}


def test_a_source_that_cannot_tell_now_is_no_fault(clock):
    def unreachable():
        raise TransientError("the nodes of the centre are not reachable", retry_after_seconds=2.5)

    answer = query(make_api(clock, operational=unreachable), path=OPERATIONAL)
    assert (answer.status_code, code(answer)) == (200, 99999)
    assert answer.headers["retry-after"] == "3"
    api = make_api(clock, operational=unreachable, uses_http_statuses=True)
    assert query(api, path=OPERATIONAL).status_code == 503


@pytest.mark.parametrize("error", [RuntimeError("secret"), PermanentError("secret")])
def test_a_fault_here_is_logged_and_not_told(clock, caplog, error):
    def broken():
        raise error

    with caplog.at_level(logging.ERROR):
        answer = query(make_api(clock, latest=broken))

    assert (answer.status_code, code(answer)) == (500, 99999)
    assert "secret" not in answer.text
    assert answer.json["msg"].split()[-1].rstrip(")") in caplog.text


def test_what_is_no_question_keeps_its_http_status(api):
    for method, path, status in (
        ("GET", "/api/project", 404),
        ("GET", TOKEN, 405),
        ("PUT", SUPERVISION, 405),
    ):
        answer = api.ask(method, path)
        assert (answer.status_code, code(answer)) == (status, 99999)
    answer = query(api, method="POST", body=b" " * (MAXIMUM_BODY_BYTES + 1))
    assert (answer.status_code, code(answer)) == (413, 99999)
    kind, body = server_error_body(400, "no HTTP")
    assert (kind, json.loads(body)) == ("application/json", {"code": 99999, "msg": "no HTTP"})


def test_neither_token_nor_password_is_logged(api, caplog):
    with caplog.at_level(logging.DEBUG):
        log_in(api)
        log_in(api, password="wr0ng-one")
        query(api)

    assert "Passw0rd" not in caplog.text
    assert "wr0ng-one" not in caplog.text
    assert api.token not in caplog.text


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


@settings(max_examples=100)
@given(
    st.dictionaries(st.sampled_from(["centerId", "centerName", "CENTERID", "x"]), json_values),
    st.sampled_from(["GET", "POST"]),
)
def test_whatever_is_asked_has_a_code_of_annex_c(fields, method):
    answer = query(make_api_once(), "", method=method, json=fields)
    assert code(answer) in {200, 10003, 10004, 10005, 99999}
    assert answer.status_code == 200


def make_api_once(made=[]):  # noqa: B006 - kept on purpose: making one hashes a password
    if not made:
        made.append(make_api(FakeClock()))
    return made[0]


def test_every_answer_is_counted_with_its_code(api):
    log_in(api)
    log_in(api, password="wrong")
    query(api)
    query(api, path=OPERATIONAL + "/")
    query(api, "centerId=8", path=OPERATIONAL)
    query(api, path="/api/other")
    query(api, method="DELETE")

    assert api.answers == [
        ("token", 200),
        ("token", 10001),
        ("supervision", 200),
        ("operational", 200),
        ("operational", 10003),
        ("other", 99999),
        ("supervision", 99999),
    ]


def test_a_fault_is_counted_as_what_it_was_answered_with(clock):
    def broken():
        raise RuntimeError("a fault")

    api = make_api(clock, latest=broken)
    assert code(query(api)) == 99999
    assert api.answers == [("supervision", 99999)]


def test_who_asks_too_often_has_to_wait(clock):
    api = make_api(clock, rate=QuestionRate(clock=clock, per_minute=2), uses_http_statuses=True)
    assert [code(query(api)) for _ in range(3)] == [200, 200, 99999]
    refused = query(api)
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "30")
    assert "2 questions a minute" in refused.json["msg"]
    # Who has no token is told so, however often it asks.
    api.token = "unknown"
    assert code(query(api)) == 10002
    api.token = log_in(api).json["token"]
    clock.advance(30)
    assert code(query(api)) == 200
