"""`computility-agent unregister`: takes this node off the platforms."""

from __future__ import annotations

import argparse

from agent.app import platforms
from agent.cli.main import add_config_argument, load_settings
from agent.cli.register import tell
from agent.protocols.acsmp.session import PlatformSession

EPILOG = """\
example:
  systemctl stop computility-agent && computility-agent unregister

Stop the agent first: one that runs finds itself unknown and registers again.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's words."""
    parser.epilog = EPILOG
    add_config_argument(parser)
    parser.add_argument("platform", nargs="*", help="names of platforms (default: every platform)")


def execute(arguments: argparse.Namespace) -> int:
    """Unregister from each platform once."""
    settings = load_settings(arguments)
    done = platforms.each_platform(settings, arguments.platform, act=_unregister, tell=tell)
    return 0 if done else 1


def _unregister(session: PlatformSession) -> str:
    session.unregister_once()
    return f"unregistered {session.identity.computility_code}"
