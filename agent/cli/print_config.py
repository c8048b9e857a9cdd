"""`computility-agent print-config`: the configuration in force."""

from __future__ import annotations

import argparse

from agent.app import loading
from agent.cli.main import add_config_argument
from agent.config import show

EPILOG = """\
example:
  computility-agent print-config | less

Every setting with its value, default or given, as YAML that loads again. No secret is shown, only
where it comes from.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's words."""
    parser.epilog = EPILOG
    add_config_argument(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Print the settings."""
    print(show.render(loading.load_all(arguments.config)), end="")
    return 0
