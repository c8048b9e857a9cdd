"""What the commands ask over the local socket, and how every field is checked."""

from __future__ import annotations

import hashlib
import json

import pytest

from agent.app.local_client import ask
from agent.app.local_socket import LocalSocketServer
from agent.app.workloads import questions
from agent.errors import ConflictError, NotFoundError, PermanentError, RequestError, TransientError
from tests.agent.app.workload_home import Home, package, until


@pytest.fixture
def home(tmp_path):
    one = Home(tmp_path)
    one.start()
    yield one
    one.stop()


@pytest.fixture
def socket(home, tmp_path):
    path = tmp_path / "agent.sock"
    server = LocalSocketServer(
        path, answers=questions.answers(lambda: home.workloads, are_wanted=lambda: True)
    )
    server.start()
    yield path
    server.stop(timeout_seconds=5)


def push(socket, tmp_path, **fields):
    path = tmp_path / "package.tar"
    path.write_bytes(package())
    with path.open("rb") as file:
        return ask(
            socket,
            questions.PUSH_PACKAGE,
            fields={"package_id": "p", **fields},
            file=file.fileno(),
            answer_seconds=30,
        )


def test_a_package_and_a_service_come_and_go(home, socket, tmp_path):
    md5 = hashlib.md5(package()).hexdigest()
    pushed = push(socket, tmp_path, md5=md5)
    assert (pushed["state"], pushed["name"], pushed["md5"]) == ("ready", "person-structure", md5)
    assert ask(socket, questions.LIST_PACKAGES) == {"packages": [pushed]}

    secret = "my-secret"
    service_id = ask(
        socket,
        questions.LOAD_SERVICE,
        fields={"package_id": "p", "env": {"AUTH_SERVER_ADDR": secret}, "replicas": 2},
    )["service_id"]

    def listed():
        answer = ask(socket, questions.LIST_SERVICES)
        assert secret not in json.dumps(answer)
        return answer

    until(lambda: listed()["services"][0]["state"] == "RUNNING")
    answer = listed()
    (service,) = answer["services"]
    assert (service["service_id"], service["package_id"]) == (service_id, "p")
    assert service["env"] == ["AUTH_SERVER_ADDR"]
    assert [each["state"] for each in service["replicas"]] == ["running", "running"]
    assert answer["orphans"] == []

    with pytest.raises(ConflictError):
        ask(socket, questions.DELETE_PACKAGE, fields={"package_id": "p"})
    ask(socket, questions.UNLOAD_SERVICE, fields={"package_id": "p", "service_id": service_id})
    ask(socket, questions.DELETE_PACKAGE, fields={"package_id": "p"})
    assert ask(socket, questions.LIST_PACKAGES) == {"packages": []}


@pytest.mark.parametrize(
    ("name", "fields", "says"),
    [
        (questions.PUSH_PACKAGE, {}, "package_id is missing"),
        (questions.PUSH_PACKAGE, {"package_id": 1}, "package_id is no text"),
        (questions.PUSH_PACKAGE, {"package_id": "p"}, "url is missing"),
        (questions.PUSH_PACKAGE, {"package_id": "p", "url": "http://h/", "md5": 1}, "md5 is no"),
        (questions.PUSH_PACKAGE, {"package_id": "../p", "url": "http://h/"}, "id is 1 to 64"),
        (questions.DELETE_PACKAGE, {}, "package_id is missing"),
        (questions.LOAD_SERVICE, {"package_id": "p", "env": ["A=b"]}, "env is no object"),
        (questions.LOAD_SERVICE, {"package_id": "p", "env": {"A": 1}}, "env is no object"),
        (questions.LOAD_SERVICE, {"package_id": "p", "env": {"A": None}}, "env is no object"),
        (questions.LOAD_SERVICE, {"package_id": "p", "replicas": True}, "replicas is no whole"),
        (questions.LOAD_SERVICE, {"package_id": "p", "replicas": "2"}, "replicas is no whole"),
        (questions.LOAD_SERVICE, {"package_id": "p", "replicas": 1.5}, "replicas is no whole"),
        (questions.LOAD_SERVICE, {"package_id": "p", "replicas": None}, "replicas is no whole"),
        (questions.LOAD_SERVICE, {"package_id": "p", "licence_url": {}}, "licence_url is no text"),
        (questions.UNLOAD_SERVICE, {"package_id": "p", "service_id": 7}, "service_id is no text"),
    ],
    ids=str,
)
def test_a_field_that_cannot_be_is_named(socket, name, fields, says):
    with pytest.raises(RequestError, match=says):
        ask(socket, name, fields=fields)


def test_what_is_not_here_is_said(socket):
    with pytest.raises(NotFoundError):
        ask(socket, questions.DELETE_PACKAGE, fields={"package_id": "p"})
    with pytest.raises(NotFoundError):
        ask(socket, questions.LOAD_SERVICE, fields={"package_id": "p"})
    with pytest.raises(NotFoundError):
        ask(socket, questions.UNLOAD_SERVICE, fields={"package_id": "p", "service_id": "s"})


def test_fields_of_a_newer_command_are_tolerated(socket, tmp_path):
    assert push(socket, tmp_path, colour="blue")["state"] == "ready"


def test_a_file_that_is_no_package_is_refused_and_leaves_nothing(home, socket, tmp_path):
    (tmp_path / "x").write_bytes(b"no package")
    with (tmp_path / "x").open("rb") as file, pytest.raises(PermanentError):
        ask(socket, questions.PUSH_PACKAGE, fields={"package_id": "p"}, file=file.fileno())
    assert home.workloads.packages.list() == ()
    assert list((tmp_path / "packages").iterdir()) == []


def test_an_agent_without_services_says_why():
    answers = questions.answers(lambda: None, are_wanted=lambda: False)
    with pytest.raises(PermanentError, match=r"runtime\.kind is none"):
        answers[questions.LIST_PACKAGES](None)


def test_an_agent_that_is_still_starting_is_worth_another_try():
    answers = questions.answers(lambda: None, are_wanted=lambda: True)
    with pytest.raises(TransientError, match="try again"):
        answers[questions.LIST_PACKAGES](None)
