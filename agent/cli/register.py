"""`computility-agent register`: one registration now, and what the platform said."""

from __future__ import annotations

import argparse
import sys

from agent.app import platforms
from agent.cli.main import add_config_argument, load_settings
from agent.errors import AgentError, PermanentError
from agent.protocols.acsmp.session import PlatformSession

EPILOG = """\
example:
  computility-agent register city

No running agent is needed. One that runs notices that its token has changed and registers again.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's words."""
    parser.epilog = EPILOG
    add_config_argument(parser)
    parser.add_argument("platform", nargs="*", help="names of platforms (default: every platform)")


def execute(arguments: argparse.Namespace) -> int:
    """Register with each platform once."""
    settings = load_settings(arguments)
    done = platforms.each_platform(settings, arguments.platform, act=_register, tell=tell)
    return 0 if done else 1


def _register(session: PlatformSession) -> str:
    identity = session.identity
    if identity.port == 0:
        raise PermanentError(
            "only the running agent knows its port, because device_api.listen ends in :0; give a "
            "port there, or device_api.advertise_port"
        )
    registration = session.register_once()
    return (
        f"registered {identity.computility_code} {identity.node_type} at "
        f"{registration.address}:{identity.port}, token of "
        f"{len(registration.token.reveal())} characters received"
    )


def tell(name: str, error: AgentError | None, text: str) -> None:
    """Print the outcome for one platform."""
    print(f"{name}: {text}", file=sys.stderr if error else sys.stdout)
