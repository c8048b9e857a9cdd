"""The commands `packages` and `services` that ask the running agent."""

from __future__ import annotations

import os
import pty
import shlex
import subprocess
import sys
import threading
from dataclasses import replace

import pytest

from agent.app.local_socket import LocalSocketServer
from agent.app.workloads import questions, service_logs
from agent.cli import agent_packages, main
from runtimes.fake.runtime import FakeRuntime
from tests.agent.app.workload_home import Home, package, until

PACKAGE = "1101080000502000000120260101080000000001"


@pytest.fixture
def config(operator):
    return operator.configure()


@pytest.fixture
def home(operator):
    """Return a node whose agent answers in the operator's folder."""
    one = Home(operator.folder)
    one.start()
    server = LocalSocketServer(
        operator.folder / "agent.sock",
        answers=questions.answers(lambda: one.workloads, are_wanted=lambda: True),
    )
    server.start()
    yield one
    server.stop(timeout_seconds=5)
    one.stop()


@pytest.fixture
def file(operator):
    path = operator.folder / "person.tar"
    path.write_bytes(package())
    return path


def test_a_package_and_its_services_by_hand(operator, config, home, file):
    words = ("--config", config)
    pushed = operator("packages", "push", file, "--id", PACKAGE, *words)
    assert (pushed.status, pushed.complaints) == (0, [])
    line = f"{PACKAGE}  ready        person-structure 1.0.0 (image)\n"
    assert pushed.out == line
    assert operator("packages", "list", *words).out == line
    listed = operator("packages", "list", "--json", *words).document
    assert [each["package_id"] for each in listed["packages"]] == [PACKAGE]

    loaded = operator("services", "load", PACKAGE, "--env", "AUTH_SERVER_ADDR=x", *words)
    assert (loaded.status, loaded.complaints) == (0, [])
    service_id = loaded.out.strip()
    until(lambda: "RUNNING" in operator("services", "list", *words).out)
    shown = operator("services", "list", *words).out
    assert f"{service_id}  RUNNING      1 of 1 run  package {PACKAGE}\n" in shown
    document = operator("services", "list", "--json", *words).document
    assert (document["orphans"], len(document["services"])) == ([], 1)

    refused = operator("packages", "delete", PACKAGE, *words)
    assert refused.status == 1
    assert "unload it first" in refused.err
    unloaded = operator("services", "unload", PACKAGE, *words)
    assert (unloaded.status, unloaded.out) == (0, f"unloaded     all services of {PACKAGE}\n")
    deleted = operator("packages", "delete", PACKAGE, *words)
    assert (deleted.status, deleted.out) == (0, f"deleted      {PACKAGE}\n")
    assert operator("packages", "list", *words).out == "no packages\n"
    assert operator("services", "list", *words).out == "no services\n"


def test_an_id_is_made_of_the_code_where_none_is_given(operator, config, home, file):
    pushed = operator("packages", "push", file, "--config", config)
    package_id = pushed.out.split()[0]
    assert package_id.startswith("11010800005020000001")
    assert len(package_id) == 40


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (["packages", "push", "/missing.tar"], 1, "/missing.tar: No such file"),
        (["packages", "push", "/"], 1, "/ is no file"),
        (["packages", "push", "/dev/null", "--id", "a/b"], 1, "/dev/null is no file"),
        (["packages", "push", "ftp://h/x"], 2, "http"),
        (["packages", "push", "http://h/x", "--md5", "1"], 2, "MD5"),
        (["packages", "push", "http://h/x", "--id", ".."], 2, "begins"),
        (["packages", "delete", "p-9"], 1, "there is no package p-9"),
        (["services", "load", "p-9"], 1, "there is no package p-9"),
        (["services", "load", "p-9", "--env", "my-secret"], 2, "--env: write NAME=VALUE"),
        (["services", "unload", "p-9", "--service", "s"], 1, "s"),
        (["services", "logs", "s", "--tail", "-1"], 2, "--tail takes"),
    ],
    ids=str,
)
def test_what_cannot_be_done_is_said(operator, config, home, words, status, says):
    asked = operator(*words, "--config", config)
    assert (asked.status, asked.out) == (status, "")
    assert says in asked.err
    assert "my-secret" not in asked.err


def test_a_file_that_is_no_package_is_refused(operator, config, home):
    path = operator.folder / "x"
    path.write_bytes(b"no package")
    asked = operator("packages", "push", path, "--config", config)
    assert (asked.status, asked.out) == (1, "")
    assert asked.complaints


@pytest.mark.parametrize(
    "words",
    [
        ["packages", "list"],
        ["packages", "push", "http://h/x"],
        ["packages", "delete", "p"],
        ["services", "list"],
        ["services", "load", "p"],
        ["services", "unload", "p"],
    ],
    ids=str,
)
def test_without_an_agent_or_a_configuration_the_socket_is_named(
    operator, words, monkeypatch, tmp_path
):
    monkeypatch.setattr(main, "DEFAULT_CONFIG", tmp_path / "none.yaml")
    defaults = agent_packages.once.DEFAULTS
    node = replace(defaults.node, state_dir=str(tmp_path))
    monkeypatch.setattr(agent_packages.once, "DEFAULTS", replace(defaults, node=node))
    asked = operator(*words)
    assert (asked.status, asked.out) == (1, "")
    assert f"no agent answers on {tmp_path}/agent.sock" in asked.err


@pytest.mark.parametrize(
    ("orphans", "shown"),
    [
        ([{"name": "computility-x-0", "state": "running"}], "computility-x-0  running  of another"),
        ([], "no services"),
        (None, "no services"),
    ],
    ids=str,
)
def test_containers_of_another_agent_are_listed(operator, config, orphans, shown):
    answer = {"services": [], "orphans": orphans}
    server = LocalSocketServer(
        operator.folder / "agent.sock", answers={questions.LIST_SERVICES: lambda _: answer}
    )
    server.start()
    try:
        assert operator("services", "list", "--config", config).out.startswith(shown)
    finally:
        server.stop(timeout_seconds=5)


def test_logs_need_no_agent(operator, config, monkeypatch):
    engine = FakeRuntime()
    opened = service_logs.opened

    def open_fake(settings, service_id, **options):
        return opened(settings, service_id, **options, build_runtime=lambda _: engine)

    monkeypatch.setattr(service_logs, "opened", open_fake)
    asked = operator("services", "logs", "76079e21", "--config", config)
    assert asked.status == 1
    assert "no container of a service 76079e21" in asked.err


def test_a_terminal_shows_how_far_it_is_and_is_left_clean(operator, config, home, file):
    """A download is shown until it is over; then its line is gone."""
    size = file.stat().st_size
    shown = threading.Event()

    def read(asked):
        asked.file.seek(size // 2)
        assert shown.wait(30)
        return {
            **dict.fromkeys(("name", "version", "type", "error", "progress_ratio")),
            "package_id": PACKAGE,
            "state": "ready",
        }

    folder = operator.folder / "other"
    folder.mkdir()
    server = LocalSocketServer(folder / "agent.sock", answers={questions.PUSH_PACKAGE: read})
    server.start()
    node = {"code": "11010800005020000001", "type": "AI_BOX", "state_dir": str(folder)}
    config = operator.configure(node=node)
    leader, follower = pty.openpty()
    try:
        command = [sys.executable, "-I", "-m", "agent", "packages", "push", str(file)]
        with subprocess.Popen(
            [*command, "--config", str(config)], stdout=subprocess.DEVNULL, stderr=follower
        ) as process:
            os.close(follower)
            seen = b""
            while b"%" not in seen:
                seen += os.read(leader, 4096)
            shown.set()
            assert process.wait(60) == 0
            seen += os.read(leader, 4096)
    finally:
        shown.set()
        os.close(leader)
        server.stop(timeout_seconds=5)
    assert b" 50.0%" in seen
    # What stands there last is an empty line.
    assert seen.endswith(b" \r")


def examples(text):
    """Return the command lines of a help text, without what they are piped into."""
    lines = text.split("example:\n", 1)[1].replace("\\\n", " ").splitlines()
    return [
        shlex.split(line.partition(" | ")[0])[1:]
        for line in lines
        if line.startswith("  computility-agent ")
    ]


@pytest.mark.parametrize(
    "words",
    [
        *(["packages", action] for action in ("inspect", "build", "list", "push", "delete")),
        *(["services", action] for action in ("plan", "list", "load", "unload", "logs")),
        ["packages"],
        ["services"],
    ],
    ids=" ".join,
)
def test_every_example_of_the_help_is_understood(operator, words):
    config = operator.configure(runtime={"socket": f"unix://{operator.folder}/none"})
    shown = examples(operator(*words, "--help").out)
    assert shown
    for example in shown:
        assert example[: len(words)] == words
        needs_config = example[1] not in ("inspect", "build")
        asked = operator(*example, *(["--config", config] if needs_config else []))
        # There is neither an agent nor a package here, but each word has its meaning.
        assert asked.status in (1, 2)
        assert "usage:" not in asked.err
