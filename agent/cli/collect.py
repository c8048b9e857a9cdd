"""`computility-agent collect`: one sample of everything."""

from __future__ import annotations

import argparse
import json

from agent.app import collect, once
from agent.cli.main import add_config_argument, add_json_argument, load_settings

EPILOG = """\
example:
  computility-agent collect --json | jq '.accelerators[] | {product_name, power_watts}'

A value that is not known is null, and `unknown` says why. Exit status 1: a plugin is at fault.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's words."""
    parser.epilog = EPILOG
    add_config_argument(parser)
    add_json_argument(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Take one sample and print it."""
    found = once.take(load_settings(arguments))
    print(
        json.dumps(found, ensure_ascii=False, indent=2) if arguments.json else collect.text(found)
    )
    return 1 if collect.broken(found["plugins"]) else 0
