"""The command `doctor`, on a machine of the tests."""

from __future__ import annotations

import json
import socket
import tarfile
import tempfile
import threading
from pathlib import Path

import pytest

from agent.app import local_socket, once
from agent.app.doctor import accounts, bundle, examination, programs, unit
from agent.app.doctor.accounts import Account
from agent.app.local_socket import LocalSocketServer

CODE = "11010800005020000001"
PLANTED = {
    "password": "open-sesame-芝麻开门",
    "environment": "planted-environment-secret",
    "community": "planted-community",
    "auth": "planted-authorization",
    "journal token": "planted-journal-token",
    "private key": "cGxhbnRlZC1wcml2YXRlLWtleQ",
    "url": "planted-signature",
    "serial": "2102312NPX10M7000123",
    "uuid": "GPU-6f1ce2ba-8d3e-4c1a-9b5e-0a1b2c3d4e5f",
}


@pytest.fixture(autouse=True)
def without_systemd(monkeypatch):
    """Let the tests' machine have no unit, whatever runs it."""
    monkeypatch.setattr(unit, "properties", dict)


@pytest.fixture
def few_plugins(monkeypatch):
    """Let the plugins be known already: they have tests of their own."""
    states = [
        {"group": "collectors", "name": "cpu", "state": "active", "detail": None},
        {"group": "accelerators", "name": "ascend", "state": "absent", "detail": "no npu-smi"},
    ]
    monkeypatch.setattr(once, "plugins", lambda _: states)


@pytest.fixture
def nobody():
    """Return the URL of a port on which nobody listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{unused.getsockname()[1]}"


def by_name(document):
    return {(each["name"], each["subject"]): each for each in document["checks"]}


def test_a_machine_without_a_configuration_is_checked_as_far_as_possible(operator, few_plugins):
    asked = operator("doctor", "--json", "--config", operator.folder / "nowhere.yaml")
    assert asked.status == 1
    checks = by_name(asked.document)
    assert checks["configuration", None]["state"] == "failed"
    assert "computility-agent setup" in checks["configuration", None]["advice"]
    assert checks["sm2 self-test", None]["state"] == "ok"
    assert checks["plugin", "cpu"]["state"] == "ok"
    assert checks["dns", None]["found"] == "the configuration cannot be used"
    assert asked.document["summary"]["failed"] == sum(
        each["state"] == "failed" for each in asked.document["checks"]
    )


def test_a_bad_configuration_is_told_line_by_line_and_the_rest_is_checked(operator, few_plugins):
    path = operator.write("node: {code: 12, type: AI_BOXX}\n")
    checks = by_name(operator("doctor", "--json", "--config", path).document)
    assert checks["configuration", None]["state"] == "failed"
    assert f"{path}:1:14: node.code" in checks["configuration", None]["found"]
    assert checks["docker socket", None]["state"] in {"ok", "warning"}


def test_a_file_of_conf_d_that_the_service_may_not_read_fails(operator, few_plugins, monkeypatch):
    stranger = Account(name="stranger", user_id=54321, group_ids=frozenset({54321}))
    monkeypatch.setattr(accounts, "service_account", lambda _: stranger)
    with tempfile.TemporaryDirectory() as name:
        path, part = Path(name) / "config.yaml", Path(name) / "conf.d/50-site.yaml"
        part.parent.mkdir()
        path.write_text("node: {type: AI_BOX}\n")
        part.write_text(f'node: {{code: "{CODE}"}}\n')
        for each, mode in ((path.parent, 0o755), (part.parent, 0o755), (path, 0o644)):
            each.chmod(mode)
        part.chmod(0o600)
        found = operator("doctor", "--json", "--config", path).document["checks"]
    (told,) = [each for each in found if each["name"] == "file permissions"]
    assert told["state"] == "failed"
    assert told["found"].startswith(f"stranger may not read {part} ")


def test_a_configuration_that_this_user_may_not_read_says_to_be_root(
    operator, few_plugins, monkeypatch
):
    path = operator.configure()
    monkeypatch.setattr(examination.os, "access", lambda *_: False)
    path.write_text("node: [")
    checks = by_name(operator("doctor", "--json", "--config", path).document)
    assert "run doctor as root" in checks["configuration", None]["advice"]


def test_what_fails_says_what_to_do(operator, few_plugins, nobody):
    path = operator.configure({"url": nobody}, runtime={"kind": "none"})
    asked = operator("doctor", "--config", path)
    assert asked.status == 1
    lines = asked.out.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("failed    connect"))
    assert "nothing listens there" in lines[at]
    assert "-> ask for the right address and port" in lines[at + 1]
    assert any(line.startswith("skipped   platform answer city") for line in lines)
    assert any("ok        sm2 key city" in line for line in lines)
    assert lines[-1].endswith(" skipped")
    assert ", 1 failed, " in lines[-1]


def test_every_finding_that_is_no_success_says_what_to_do(operator, few_plugins, nobody):
    path = operator.configure({"url": nobody})
    document = operator("doctor", "--json", "--config", path).document
    assert all(
        (each["advice"] is not None) == (each["state"] in {"failed", "warning"})
        for each in document["checks"]
    )


def test_what_is_absent_for_many_stands_on_one_line(operator, monkeypatch):
    states = [
        {"group": "accelerators", "name": name, "state": "absent", "detail": "no tool"}
        for name in ("amd", "ascend", "kunlun")
    ]
    monkeypatch.setattr(once, "plugins", lambda _: states)
    out = operator("doctor", "--config", operator.configure()).out
    assert "skipped   plugin                       amd, ascend, kunlun (--json tells why)\n" in out


def test_a_meter_that_does_not_answer_is_told(operator, few_plugins):
    path = operator.configure(
        runtime={"kind": "none"},
        meters=[{"name": "by-hand", "kind": "csv", "role": "water", "path": "missing.csv"}],
    )
    checks = by_name(operator("doctor", "--json", "--config", path).document)
    assert checks["meter", "by-hand"]["state"] == "failed"


@pytest.mark.parametrize("name", ["report", "report.zip", "gone/report.tar.gz"])
def test_a_bundle_that_cannot_be_made_is_bad_input_before_anything_is_checked(operator, name):
    asked = operator("doctor", "--bundle", operator.folder / name)
    assert (asked.status, asked.out) == (2, "")


def test_a_bundle_overwrites_nothing(operator):
    path = operator.folder / "report.tar.gz"
    path.write_text("mine")
    assert operator("doctor", "--bundle", path).status == 2
    assert path.read_text() == "mine"


@pytest.fixture
def planted(operator, few_plugins, monkeypatch):
    """Return a configuration whose machine leaks a secret everywhere it can."""
    monkeypatch.setenv("PLANTED", PLANTED["environment"])
    (operator.folder / "city.key").write_text(
        f"-----BEGIN PRIVATE KEY-----\n{PLANTED['private key']}\n-----END PRIVATE KEY-----\n"
    )
    (operator.folder / "web.auth").write_text(f"Bearer {PLANTED['auth']}\n")
    leak = " ".join(f"{name}={text}" for name, text in PLANTED.items() if name != "url")
    leak += f" https://files.example/a.tar?sign={PLANTED['url']} serial number: {PLANTED['serial']}"
    sample = {"accelerators": [{"uuid": PLANTED["uuid"], "serial": PLANTED["serial"]}], "x": leak}
    monkeypatch.setattr(once, "take", lambda _: sample)
    monkeypatch.setattr(programs, "answer", lambda *_, **__: f"Jan 01 box: {leak}\n" * 3)
    status = {
        "version": "0.1.0",
        "pid": 1,
        "uptime_seconds": 9.0,
        "stale_loops": [],
        "device_api": None,
        "platforms": [],
        "plugins": [{"name": "cpu", "state": "failing", "detail": leak}],
        "workloads": None,
        "meters": None,
    }
    server = LocalSocketServer(
        operator.folder / local_socket.SOCKET_NAME,
        answers={"status": lambda _: status, "packages": lambda _: {"packages": [leak]}},
    )
    server.start()
    yield operator.configure(
        {
            "password": "${PLANTED}",
            "client_certificate": "city.pem",
            "client_private_key": "city.key",
        },
        runtime={"kind": "none"},
        meters=[
            {
                "name": "pdu",
                "kind": "snmp",
                "role": "it",
                "host": "127.0.0.1",
                "community": PLANTED["community"],
            },
            {"name": "web", "kind": "prometheus", "role": "it", "authorization_file": "web.auth"},
        ],
        log={"level": "info"},
    )
    server.stop(timeout_seconds=10)


def texts_of(path):
    with tarfile.open(path) as archive:
        members = archive.getmembers()
        assert {(each.uid, each.uname, each.mtime) for each in members} == {(0, "", 0)}
        return {
            each.name.partition("/")[2]: archive.extractfile(each).read().decode()
            for each in members
        }


def test_no_planted_secret_is_in_a_bundle(operator, planted):
    path = operator.folder / "report.tar.gz"
    asked = operator("doctor", "--config", planted, "--bundle", path)
    assert path.stat().st_mode & 0o777 == 0o600
    texts = texts_of(path)
    assert set(texts) == {bundle.README, *bundle.CONTENTS}
    for what, secret in PLANTED.items():
        for name, text in texts.items():
            assert secret not in text, (what, name)
            assert json.dumps(secret)[1:-1] not in text, (what, name)
    assert "***" in texts["journal.txt"]
    assert f"bundle       {path}" in asked.out
    assert " secrets" in asked.out.splitlines()[-1]


def test_a_bundle_lists_what_is_inside_and_what_was_taken_out(operator, planted):
    path = operator.folder / "report.tar.gz"
    operator("doctor", "--json", "--config", planted, "--bundle", path)
    texts = texts_of(path)
    for name, words in bundle.CONTENTS.items():
        assert f"  {name:<20} {words}\n" in texts[bundle.README]
    assert "serial numbers" in texts[bundle.README]
    assert CODE in texts["configuration.yaml"]
    assert json.loads(texts["doctor.json"])["checks"]
    assert "msgspec" in json.loads(texts["machine.json"])["libraries"]
    assert texts["meters.json"].startswith("unknown: ")


def test_with_json_the_output_is_the_document_alone(operator, planted):
    path = operator.folder / "report.tar.gz"
    asked = operator("doctor", "--json", "--config", planted, "--bundle", path)
    assert asked.document["checks"]
    assert "bundle       " in asked.err


def test_a_bundle_of_a_bad_configuration_does_not_hold_the_file(operator, few_plugins, monkeypatch):
    monkeypatch.setattr(once, "take", lambda _: {})
    monkeypatch.setattr(programs, "answer", lambda *_, **__: "")
    path = operator.folder / "report.tar.gz"
    config = operator.write("device_api: {password: written-where-it-should-not}\nnode: {}\n")
    assert operator("doctor", "--config", config, "--bundle", path).status == 1
    texts = texts_of(path)
    assert "node.code" in texts["configuration.yaml"]
    assert not any("written-where-it-should-not" in text for text in texts.values())


def test_checks_of_a_whole_machine_end_in_time(operator, monkeypatch):
    never = threading.Event()
    monkeypatch.setattr(once, "plugins", lambda _: never.wait() and [])
    monkeypatch.setattr("agent.app.doctor.plugins._PROBE_SECONDS", 0.2)
    try:
        asked = operator("doctor", "--json", "--config", operator.folder / "nowhere.yaml")
    finally:
        never.set()
    checks = by_name(asked.document)
    assert checks["plugin", None]["state"] == "failed"
    assert checks["device nodes", None]["state"] == "skipped"
