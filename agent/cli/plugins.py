"""`computility-agent plugins`: the plugins and their states."""

from __future__ import annotations

import argparse
import json

from agent.app import collect, once
from agent.cli.main import add_config_argument, add_json_argument, load_settings

EPILOG = """\
example:
  computility-agent plugins

states: active, absent (what it reads is not on this machine), disabled (by the configuration),
broken (it cannot be loaded, or its own settings are wrong), failing, stalled. Exit status 1: one
of the last three.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's words."""
    parser.epilog = EPILOG
    add_config_argument(parser)
    add_json_argument(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Probe every plugin once and print its state."""
    plugins = once.plugins(load_settings(arguments))
    if arguments.json:
        print(json.dumps(plugins, ensure_ascii=False, indent=2))
    else:
        for plugin in plugins:
            print(collect.plugin_line(plugin))
    return 1 if collect.broken(plugins) else 0
