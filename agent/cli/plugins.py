"""`computility-agent plugins`: the plugins and their states."""

from __future__ import annotations

import argparse
import json

from agent.app import collect, grant, once
from agent.cli.main import (
    add_config_argument,
    add_json_argument,
    load_accelerator_sections,
    load_settings_if_any,
)
from agent.errors import BadInput

EPILOG = """\
example:
  computility-agent plugins
  computility-agent plugins --grant ascend 0,1

states: active, absent (what it reads is not on this machine), disabled (by the configuration),
broken (it cannot be loaded, or its own settings are wrong), failing, stalled. Exit status 1: one
of the last three. With --grant: what a container needs to use these chips, told by index or
uuid; exit status 1: the plugin cannot tell, 2: there is no such plugin or chip.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's words."""
    parser.epilog = EPILOG
    add_config_argument(parser)
    add_json_argument(parser)
    parser.add_argument(
        "--grant",
        nargs=2,
        metavar=("NAME", "CHIPS"),
        help="show the devices, mounts and environment for chips of a plugin, such as ascend 0,1",
    )


def execute(arguments: argparse.Namespace) -> int:
    """Probe every plugin once and print its state, or print a grant."""
    if arguments.grant is not None:
        return _grant(arguments)
    plugins = once.plugins(load_settings_if_any(arguments))
    if arguments.json:
        print(json.dumps(plugins, ensure_ascii=False, indent=2))
    else:
        for plugin in plugins:
            print(collect.plugin_line(plugin))
    return 1 if collect.broken(plugins) else 0


def _grant(arguments: argparse.Namespace) -> int:
    name, words = arguments.grant
    chips = [word.strip() for word in words.split(",")]
    if not all(chips):
        raise BadInput(f"--grant {name} {words!r}: write the chips as 0,1")
    given = grant.grant(load_accelerator_sections(arguments), plugin=name, chips=chips)
    if arguments.json:
        print(json.dumps(grant.document(given), ensure_ascii=False, indent=2))
    else:
        print(grant.text(given))
    return 0
