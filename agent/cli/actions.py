"""The actions of a command that has several, such as `meters list`."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from agent.cli.main import add_config_argument

Actions = argparse._SubParsersAction  # noqa: SLF001 - argparse has no public name for it


def add_action(
    actions: Actions[argparse.ArgumentParser], name: str, text: str, epilog: str
) -> argparse.ArgumentParser:
    """Add an action that needs no configuration."""
    return actions.add_parser(
        name,
        help=text,
        description=text[0].upper() + text[1:] + ".",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def add_config_action(
    actions: Actions[argparse.ArgumentParser],
    name: str,
    text: str,
    epilog: str,
    act: Callable[[argparse.Namespace], int] | None = None,
) -> argparse.ArgumentParser:
    """Add an action on a configuration; `act` does it, None where the caller says so later."""
    parser = add_action(actions, name, text, epilog)
    add_config_argument(parser)
    if act is not None:
        parser.set_defaults(act=act)
    return parser
