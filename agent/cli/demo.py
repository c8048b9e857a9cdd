"""`computility-agent demo`: an agent and a platform at work on this machine."""

from __future__ import annotations

import argparse
from pathlib import Path

from agent.app.demo import centre as demo_centre
from agent.app.demo import node as demo
from agent.errors import BadInput, PermanentError
from agent.simulator.meters import script_file

EPILOG = """\
example:
  computility-agent demo --seconds 20
  computility-agent demo --centre

Nothing leaves this machine: the platform simulator and the agent talk over loopback, and what they
write stands in a temporary folder. Exit status 0: the platform accepted the registration and at
least two keepalives, decrypted the password, and read back what the operating system says itself.

--centre shows a computing centre instead: simulated meters, and every hour that the agent makes of
them beside the truth. Exit status 0: no figure was wrong, and none unknown without a cause.
"""

LONGEST_SECONDS = 86_400


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's words."""
    parser.epilog = EPILOG
    parser.add_argument(
        "--seconds",
        type=_seconds,
        default=0.0,
        metavar="N",
        help="end after N seconds (default: 0, run until Ctrl-C)",
    )
    parser.add_argument(
        "--centre",
        type=Path,
        nargs="?",
        const=script_file.SMALL_CENTRE,
        metavar="SCRIPT.yaml",
        help="show a small computing centre hour by hour, in fast time; or that of a script of "
        "your own (docs/simulator.md)",
    )


def execute(arguments: argparse.Namespace) -> int:
    """Run the demonstration."""
    seconds = arguments.seconds or None
    if arguments.centre is None:
        return demo.run(seconds=seconds)
    try:
        script = script_file.load(arguments.centre)
    except PermanentError as error:
        raise BadInput(error.reason) from error
    return demo_centre.run(script, seconds=seconds)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= LONGEST_SECONDS:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a number of seconds from 0 to {LONGEST_SECONDS}"
        )
    return value
