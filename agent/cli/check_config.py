"""`computility-agent check-config`: everything that is wrong, with its line."""

from __future__ import annotations

import argparse
import sys

from agent.app import named_files, once
from agent.app.centre import meter_kinds
from agent.cli.main import add_config_argument, fail
from agent.config.settings import Settings
from agent.errors import ConfigError, ConfigProblem

EPILOG = """\
example:
  computility-agent check-config --config ./config.yaml

Prints every problem at once as FILE:LINE:COLUMN: KEY: what is wrong and what to write instead.
Plugins check their own sections too; files of figures are checked like the configuration. Meters
that could not be read from this machine as they are set are warned of; no meter is asked.
Warnings do not change the exit status: 0 or 2.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's words."""
    parser.epilog = EPILOG
    add_config_argument(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Check the file and the plugins' own sections."""
    loaded = named_files.load_checked(arguments.config)
    for warning in loaded.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    kinds = meter_kinds.MeterKinds(meter_kinds.installed())
    problems = [
        *kinds.problems(loaded.settings.meters),
        *_problems_of_figures(loaded.settings),
    ]
    if problems:
        raise ConfigError(problems)
    for caution in kinds.cautions(loaded.settings.meters):
        print(f"warning: {caution}", file=sys.stderr)
    broken = once.broken_plugins(loaded.settings)
    for plugin in broken:
        fail(f"plugin {plugin.name}: {plugin.detail}", status=2)
    if broken:
        return 2
    for file in (arguments.config, *loaded.drop_ins):
        print(f"{file}: good")
    return 0


def _problems_of_figures(settings: Settings) -> tuple[ConfigProblem, ...]:
    if not settings.monitoring:
        return ()
    # It weighs, and most nodes report nothing.
    from agent.app.monitoring import declared as monitoring_declared

    return tuple(monitoring_declared.problems_of_figures(settings))
