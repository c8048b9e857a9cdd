"""Commands that messages, help and documents name are commands that there are."""

from __future__ import annotations

import argparse
import importlib
import re

import pytest

from agent.cli.main import COMMANDS

# In backquotes, `computility-agent meters` is the whole command; as advice it would end with 2.
NAMED = re.compile(r"computility-agent ([a-z][a-z0-9-]*)(?: ([a-z]+)|(?![`\w-]))")


def actions_of(command):
    """Return the actions of a command; empty where it has none."""
    parser = argparse.ArgumentParser()
    importlib.import_module(f"agent.cli.{command.replace('-', '_')}").add_arguments(parser)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return set(action.choices)
    return set()


def texts(root):
    for folder, pattern in (("agent", "*.py"), ("docs", "*.md"), ("packaging", "*"), ("", "*.md")):
        for path in sorted((root / folder).rglob(pattern) if folder else root.glob(pattern)):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path, path.read_text(encoding="utf-8")


@pytest.mark.parametrize("command", ["meters", "monitoring", "packages", "services", "sm2"])
def test_an_action_that_is_advised_is_there(command, pytestconfig):
    known = actions_of(command)
    wrong = [
        f"{path.relative_to(pytestconfig.rootpath)}: {found[0]}"
        for path, text in texts(pytestconfig.rootpath)
        for found in NAMED.finditer(text)
        if found[1] == command and found[2] not in known
    ]
    assert wrong == []
    assert command in COMMANDS
