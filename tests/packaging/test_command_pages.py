"""The manual page and bash's completion know every command."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from agent.cli.main import COMMANDS

PACKAGING = Path(__file__).resolve().parents[2] / "packaging"
ASK = """\
source "$1"
shift
COMP_WORDS=(computility-agent "$@")
COMP_CWORD=$(($# ))
_computility_agent computility-agent "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def pages():
    path = PACKAGING / "command_pages.py"
    spec = importlib.util.spec_from_file_location("command_pages", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    before = list(sys.path)
    spec.loader.exec_module(module)
    sys.path[:] = before
    yield module
    del sys.modules[spec.name]


@pytest.fixture(scope="module")
def commands(pages):
    return pages.read_commands()


def completions(*words):
    """Return what bash offers for the last word."""
    script = PACKAGING / "computility-agent.bash-completion"
    command = ["bash", "--norc", "-c", ASK, "ask", script, *words]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=20)
    return set(done.stdout.split())


def test_the_manual_page_is_not_stale(pages, commands):
    assert pages.MANUAL.read_text("utf-8") == pages.manual(commands), "run make docs"


def test_the_completion_is_not_stale(pages, commands):
    assert pages.COMPLETION.read_text("utf-8") == pages.completion(commands), "run make docs"


def test_the_manual_page_names_every_command(commands):
    text = (PACKAGING / "computility-agent.1").read_text("utf-8")
    for each in commands:
        for name in (each.name, *(action.name for action in each.actions)):
            assert f"\n.B {name}\n".replace("-", "\\-") in text


def test_bash_offers_every_command():
    assert completions("") >= COMMANDS.keys()


def test_bash_offers_the_actions_of_a_command_and_their_options():
    assert completions("packages", "") >= {"build", "inspect"}
    assert "--architecture" in completions("packages", "build", "--a")


def test_bash_offers_files_where_an_option_wants_one(tmp_path):
    (tmp_path / "site.yaml").touch()
    offered = completions("run", "--config", f"{tmp_path}/si")
    assert offered == {f"{tmp_path}/site.yaml"}
