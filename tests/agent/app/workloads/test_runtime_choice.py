"""Which runtime is built."""

from __future__ import annotations

import pytest

from agent.app.workloads import runtime_choice
from agent.config.settings import RuntimeSettings
from agent.errors import NotPresent, PermanentError
from runtimes.fake.runtime import FakeRuntime


def test_docker_is_built_of_its_socket_and_asks_nobody(tmp_path):
    socket = f"unix://{tmp_path}/nobody.sock"
    runtime = runtime_choice.build(RuntimeSettings(socket=socket))
    assert runtime.name == "docker"
    with pytest.raises(NotPresent, match=r"nobody\.sock"):
        runtime.probe()
    runtime.close()


@pytest.mark.parametrize(
    ("kind", "words"),
    [("none", "runs no algorithm services"), ("dockr", "did you mean docker"), ("x", "installed")],
)
def test_where_there_is_none_it_says_what_to_do(kind, words):
    with pytest.raises(PermanentError, match=words):
        runtime_choice.build(RuntimeSettings(kind=kind))


def test_a_runtime_gets_only_the_settings_that_it_knows():
    settings = RuntimeSettings(kind="fake")
    runtime = runtime_choice.load("runtimes.fake.runtime:FakeRuntime", settings)
    assert isinstance(runtime, FakeRuntime)


@pytest.mark.parametrize(
    "target", ["no.such.module:X", "runtimes.fake.runtime:Nothing", "json:load"]
)
def test_a_runtime_that_cannot_be_loaded_is_named(target):
    with pytest.raises(PermanentError, match="the runtime mine cannot be loaded"):
        runtime_choice.load(target, RuntimeSettings(kind="mine"))
