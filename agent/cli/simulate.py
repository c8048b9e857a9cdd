"""`computility-agent simulate`: the platform's side."""

from __future__ import annotations

import argparse

from agent.simulator import run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's words."""
    run.add_arguments(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Run the simulator until it is stopped."""
    return run.run_from_arguments(arguments)
