"""`computility-agent run`: the agent in the foreground."""

from __future__ import annotations

import argparse
import os

from agent.app import allocator, named_files
from agent.app.lifecycle import Daemon
from agent.cli.main import add_config_argument

EPILOG = """\
example:
  computility-agent run --config ./config.yaml

signals: TERM and INT stop the agent (it stays registered; containers go on), HUP reads the
configuration again: a bad one changes nothing and says why.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's words."""
    parser.epilog = EPILOG
    add_config_argument(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Run until told to stop."""
    allocator.bound_arenas()
    Daemon(arguments.config, load=named_files.load_checked, environment=os.environ).run()
    return 0
