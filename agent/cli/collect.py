"""`computility-agent collect`: one sample of everything."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from agent.app import collect, once, replay
from agent.cli.main import (
    DEFAULT_CONFIG,
    add_config_argument,
    add_json_argument,
    load_accelerator_sections,
    load_settings_if_any,
)

EPILOG = """\
example:
  computility-agent collect --json | jq '.accelerators[] | {product_name, power_watts}'
  computility-agent collect --replay recording.tar.gz

Without a configuration the defaults are used, and the node has no code.
A value that is not known is null, and `unknown` says why. Exit status 1: a plugin is at fault.
--replay shows the accelerators in what `record` wrote, on any machine. It needs no configuration;
--config gives the plugins their own settings. Nothing is told of node, CPU, memory and disks.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's words."""
    parser.epilog = EPILOG
    add_config_argument(parser)
    add_json_argument(parser)
    parser.add_argument(
        "--replay",
        type=Path,
        metavar="PATH",
        help="a recording, folder or .tar.gz, instead of this machine",
    )


def execute(arguments: argparse.Namespace) -> int:
    """Take one sample and print it."""
    if arguments.replay is None:
        found = once.take(load_settings_if_any(arguments))
    else:
        # The file of this machine's own agent says nothing about a recording.
        is_given = arguments.config != DEFAULT_CONFIG
        sections = load_accelerator_sections(arguments) if is_given else {}
        found = replay.replay(arguments.replay, sections)
    print(
        json.dumps(found, ensure_ascii=False, indent=2) if arguments.json else collect.text(found)
    )
    return 1 if collect.broken(found["plugins"]) else 0
