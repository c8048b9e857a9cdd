"""Annex B: the platform asks the agent's query API, and centres that answer badly."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import certifi
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from agent.model.clock import SystemClock
from agent.model.operations import CentreLoad
from agent.model.secret import Secret
from agent.protocols.tc609.query_api import QueryOptions, create_application, server_error_body
from agent.protocols.tc609.questions import CentreNames
from agent.protocols.tc609.sign import Verifier
from agent.protocols.tc609.sign_options import SignOptions
from agent.protocols.tc609.tokens import TOKENS_PER_USER, TokenStore
from agent.protocols.tc609.users import Users
from agent.security import tls
from agent.security.password_hashes import PasswordHash
from agent.simulator.monitoring import tables
from agent.simulator.monitoring.judgement import judge
from agent.simulator.monitoring.settings import AskedCentre, SignSettings
from agent.simulator.run import Simulator
from agent.transport.server import HttpServer, ServerLimits
from tests.agent.protocols.tc609.makers import hour, unknown
from tests.agent.simulator.monitoring.conftest import control, events_of

NAME = "示例算力中心"
HOUR = {
    "electricityConsume": 1234.568,
    "greenElectricityConsume": 617.284,
    "pue": 1.25,
    "wue": 1.8012,
}
OPERATIONAL, SUPERVISION = "queryOperationalData", "querySupervisionSystemData"


@pytest.fixture
def agent_of() -> Iterator[Callable[..., SimpleNamespace]]:
    """Return a function that serves the agent's annex B."""
    running: list[HttpServer] = []

    def serve(
        *, sign: SignOptions | None = None, latest: Any = None, certificate: Path | None = None
    ) -> SimpleNamespace:
        clock = SystemClock()
        tokens = TokenStore(clock=clock)
        told = SimpleNamespace(hour=hour() if latest is None else latest, tokens=tokens)
        application = create_application(
            options=QueryOptions(
                names=CentreNames(centre_id=7, centre_name=NAME), signs_token_request=True
            ),
            users=Users({"city": PasswordHash.of(Secret("Passw0rd"))}, clock=clock),
            tokens=tokens,
            latest_hour=lambda: told.hour,
            operational=lambda: CentreLoad(figures={"node_count": 1}),
            verifier=None if sign is None else Verifier(sign, clock=clock),
        )
        server = HttpServer(
            application,
            listen=("127.0.0.1", 0),
            limits=ServerLimits(max_body_bytes=65536),
            name="query-api",
            error_body=server_error_body,
            ssl_context=None
            if certificate is None
            else tls.server_context(certificate, private_key=certificate, client_ca=None),
        )
        server.start()
        running.append(server)
        scheme = "http" if certificate is None else "https"
        told.url = f"{scheme}://127.0.0.1:{server.port}"
        return told

    yield serve
    for server in running:
        server.stop(timeout_seconds=5)


def centre(url: str, **changed: Any) -> dict[str, Any]:
    described = {
        "url": url,
        "centerId": 7,
        "username": "city",
        "password": "Passw0rd",
        "seconds": 0,
    }
    return {name: value for name, value in {**described, **changed}.items() if value is not None}


def ask(simulator: Simulator, described: dict[str, Any]) -> list[dict[str, Any]]:
    number = control(simulator, "/centres", method="POST", json=described)["number"]
    answers = control(simulator, "/ask", method="POST", params={"number": number})["answers"]
    assert isinstance(answers, list)
    return answers


def test_the_agent_s_answers_keep_to_the_tables(platform, agent_of):
    simulator = platform()
    load, figures = ask(simulator, centre(agent_of().url, centerName=NAME))

    assert (load["question"], load["failure"], load["findings"]) == (OPERATIONAL, None, [])
    assert load["data"]["computePowerScale"]["nodeCount"] == 1
    assert (figures["question"], figures["failure"], figures["findings"]) == (SUPERVISION, None, [])
    assert figures["data"] == pytest.approx(HOUR, abs=0.001)

    state = control(simulator)["asked"]
    assert state[0]["last"][SUPERVISION]["data"] == figures["data"]
    kept = control(simulator, "/answers")
    assert [each["question"] for each in kept["answers"]] == [OPERATIONAL, SUPERVISION]
    assert control(simulator, "/answers", params={"after": kept["last"]})["answers"] == []
    (event,) = events_of(simulator, SUPERVISION)
    assert (event["kind"], event["accepted"], event["result_code"]) == ("asked", True, 200)
    assert "pue 1.25" in event["text"]


def test_a_figure_that_the_agent_does_not_know_is_no_fault(platform, agent_of):
    latest = hour(green=unknown("no meter has a green role"), water=unknown("x"))
    _, figures = ask(platform(), centre(agent_of(latest=latest).url))
    assert (figures["failure"], figures["findings"]) == (None, [])
    assert "greenElectricityConsume" not in figures["data"]
    assert "greenElectricityConsume is unknown" in figures["msg"]


def test_questions_are_signed_where_both_know_a_secret(platform, agent_of):
    agent = agent_of(sign=SignOptions(secret=Secret("geheim")))
    _, figures = ask(
        platform(sign=SignSettings(secret="geheim", signs_login=True)), centre(agent.url)
    )
    assert figures["failure"] is None
    _, figures = ask(platform(), centre(agent.url))
    assert "10006" in figures["failure"]


@pytest.mark.peer
@pytest.mark.parametrize("checked", ["own CA", "no CA", "other CA"])
def test_a_centre_is_asked_over_tls(platform, agent_of, certificate, checked):
    files = {"own CA": certificate, "no CA": None, "other CA": Path(certifi.where())}
    simulator = platform(device_ca_file=files[checked])
    for answer in ask(simulator, centre(agent_of(certificate=certificate).url)):
        if checked == "other CA":
            assert "certificate verify failed" in answer["failure"]
        else:
            assert answer["failure"] is None


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"password": "wrong"}, "refused the login with 10001"),
        ({"centerId": 8}, "refused with 10003"),
        ({"centerName": "别的"}, "refused with 10004"),
    ],
)
def test_a_refusal_is_told_with_its_code(platform, agent_of, changed, says):
    for answer in ask(platform(), centre(agent_of().url, **changed)):
        assert says in answer["failure"]
        assert answer["data"] is None


def test_a_token_is_kept_and_fetched_anew_where_it_is_refused(platform, agent_of):
    simulator, agent = platform(), agent_of()
    number = control(simulator, "/centres", method="POST", json=centre(agent.url))["number"]
    for _ in range(2):
        control(simulator, "/ask", method="POST", params={"number": number})
    assert len(agent.tokens) == 1
    for _ in range(TOKENS_PER_USER):  # which ends the oldest
        agent.tokens.issue("city")
    answers = control(simulator, "/ask", method="POST", params={"number": number})["answers"]
    assert [each["failure"] for each in answers] == [None, None]


def test_a_centre_is_asked_again_and_again_and_only_news_are_events(platform, agent_of):
    agent = agent_of()
    simulator = platform(
        asked=(
            AskedCentre(
                url=agent.url,
                centre_name=NAME,
                username="city",
                password="Passw0rd",
                period_seconds=0.02,
            ),
        )
    )
    last = wait_for(simulator, lambda answers: len(answers) >= 8)
    assert len(events_of(simulator, SUPERVISION)) == 1
    agent.hour = hour(pue=1.5)
    last = wait_for(
        simulator,
        lambda answers: (
            sum(each["question"] == SUPERVISION and each["data"]["pue"] == 1.5 for each in answers)
            >= 2
        ),
        after=last,
    )
    assert [each["details"]["data"]["pue"] for each in events_of(simulator, SUPERVISION)] == [
        1.25,
        1.5,
    ]
    control(simulator, "/centres", method="DELETE", params={"number": 1})
    assert control(simulator)["asked"] == []


def wait_for(
    simulator: Simulator, is_enough: Callable[[list[dict[str, Any]]], bool], *, after: int = 0
) -> int:
    """Return the id of the last answer once there are enough."""
    waiting = threading.Event()
    for _ in range(1000):
        kept = control(simulator, "/answers", params={"after": after})
        if is_enough(kept["answers"]):
            return int(kept["last"])
        waiting.wait(0.01)
    raise AssertionError("the answers did not come")


@contextmanager
def bad_centre(answer: Any, *, login: Any = None) -> Iterator[str]:
    """Be a centre that answers questions with `answer`, bytes or JSON."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send({"code": 200, "token": "t", "expiresIn": 60} if login is None else login)

        def do_GET(self) -> None:
            self.send(answer)

        def send(self, told: Any) -> None:
            body = told if isinstance(told, bytes) else json.dumps(told).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ({"code": 200, "data": {**HOUR, "pue": "1.25"}}, "table B.2-3 row 3, data.pue"),
        ({"code": 200, "data": {**HOUR, "wue": -1}}, "at least 0"),
        ({"code": 200}, "table B.2-2 row 2, data: is mandatory"),
        ({"data": HOUR}, "table B.2-2 row 1, code: is mandatory"),
        ({"code": "200", "data": HOUR}, "must be of type int"),
        ({"code": 10003}, "row 3, msg: has to tell why"),
        ({"code": 200, "data": [HOUR, HOUR]}, "must be of type object"),
        (b'{"code": 200, "data": {"pue": 1e999}}', "too large"),
        (b"<html>", "not JSON"),
        ([], "must be an object"),
    ],
)
def test_an_answer_that_breaks_the_tables_is_told_with_its_row(platform, answer, says):
    with bad_centre(answer) as url:
        _, figures = ask(platform(), centre(url))
    assert says in figures["failure"]
    assert figures["data"] is None


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ({"code": 200, "data": [HOUR]}, "is a list of one object"),
        ({"code": 200, "data": {**HOUR, "pue": 0.9}}, "is less than 1"),
        ({"code": 200, "data": {**HOUR, "greenElectricityConsume": 9999}}, "is more than"),
        ({"code": 200, "data": {**HOUR, "wue": None}}, "msg does not say why"),
        ({"code": 200, "data": {}}, "holds no figure"),
        ({"code": 200, "data": {**HOUR, "more": 1}}, "is not a field"),
    ],
)
def test_what_is_odd_in_an_answer_is_a_finding(platform, answer, says):
    with bad_centre(answer) as url:
        _, figures = ask(platform(), centre(url))
    assert figures["failure"] is None
    assert any(says in finding for finding in figures["findings"])


def test_what_a_centre_says_cannot_write_to_the_terminal(platform):
    simulator = platform()
    with bad_centre({"code": 200, "data": {"\x1b[2J\n": 1}}) as url:
        ask(simulator, centre(url))
    (event,) = events_of(simulator, OPERATIONAL)
    assert event["text"].isprintable()


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ({"code": 20001, "msg": "x"}, "20001 is not in annex C"),
        ({"code": 10003, "msg": "x"}, None),
    ],
)
def test_a_code_of_no_annex_is_a_finding(platform, answer, says):
    with bad_centre(answer) as url:
        told, _ = ask(platform(), centre(url))
    assert f"refused with {answer['code']}: 'x'" in told["failure"]
    assert [says in finding for finding in told["findings"]] == ([True] if says else [])


@pytest.mark.parametrize(
    ("login", "says"),
    [
        ({"code": 200, "token": "t"}, "expiresIn: is mandatory"),
        ({"code": 200, "token": "t", "expiresIn": 0}, "at least 1"),
        ({"code": 200, "token": "t\r\nX: y", "expiresIn": 60}, "no header can carry"),
        ({"code": 10001, "msg": "no"}, "refused the login with 10001: 'no'"),
        (b"", "not JSON"),
    ],
)
def test_a_login_that_gives_no_token_is_told(platform, login, says):
    with bad_centre({"code": 200, "data": HOUR}, login=login) as url:
        for answer in ask(platform(), centre(url)):
            assert says in answer["failure"]


def test_a_centre_that_is_gone_or_hangs_is_told(platform, fake_device):
    simulator = platform(ask_timeout_seconds=0.2)
    for answer in ask(simulator, centre("http://127.0.0.1:1")):
        assert "cannot connect" in answer["failure"]
    hung = threading.Event()

    with fake_device(lambda _: hung.wait(10)) as device:
        answers = ask(simulator, centre(f"http://127.0.0.1:{device.port}"))
        hung.set()
    assert "no answer within 0.2 s" in answers[0]["failure"]


@pytest.mark.parametrize(
    ("described", "says"),
    [
        ([], "a centre is an object"),
        ({"url": "ftp://x", "centerId": 1}, "is not http://ADDRESS:PORT"),
        ({"url": "http://x:99999", "centerId": 1}, "is no URL"),
        ({"url": "http://x"}, "needs an id or a name"),
        ({"url": "http://x", "centerId": "seven"}, "centerId must be a whole number"),
        ({"url": "http://x", "centerId": 1, "seconds": -1}, "seconds must be"),
        ({"url": "http://x", "centerId": 1, "user": "x"}, "unknown key 'user'"),
        ({"url": 1, "centerId": 1}, "url must be a text"),
    ],
)
def test_a_centre_that_cannot_be_asked_is_refused(platform, described, says):
    url = f"{platform().control_url}/_control/monitoring/centres"
    answer = requests.post(url, json=described, timeout=5)
    assert (answer.status_code, says in answer.json()["description"]) == (400, True), answer.text


def test_a_number_of_no_centre_is_not_found(platform):
    url = f"{platform().control_url}/_control/monitoring"
    assert requests.post(f"{url}/ask?number=9", timeout=5).status_code == 404
    assert requests.delete(f"{url}/centres?number=9", timeout=5).status_code == 404


@given(
    answer=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["code", "msg", "data", "pue", "wue", "token"]), inner
            )
        ),
    )
)
def test_whatever_comes_is_judged(answer: Any) -> None:
    for table in (tables.OPERATIONAL_ANSWER, tables.SUPERVISION_ANSWER, tables.TOKEN_ANSWER):
        judged = judge(answer, table)
        assert judged.is_valid or judged.findings
        assert not judged.is_success or judged.code == 200
        # What is kept has to be JSON.
        json.dumps(dict(judged.value), allow_nan=not judged.is_success)
