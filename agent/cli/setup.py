"""`computility-agent setup`: the first configuration of a machine."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from agent.app.setup import process
from agent.app.setup.answers import CODE, LISTEN, PLATFORM, STATE_DIR, TYPE, URL, USERNAME
from agent.app.setup.asking import Given
from agent.app.setup.dialog import Dialog
from agent.cli.main import add_config_argument
from agent.errors import BadInput
from agent.model.clock import SystemClock

EPILOG = """\
example:
  sudo computility-agent setup
  sudo computility-agent setup --non-interactive --code 11010800005020000001 --type AI_BOX \\
      --platform city --url https://acsmp.example --sm2-key city.sm2.pem --generate-password

Asks for what no flag gave, tries the connection and a registration (the node is taken off again
until the service starts), and writes the configuration, the platform's key and the password beside
it. What stands in the file stays, comments too; what is changed is asked about first (--force), and
the old file kept as .bak. No secret is given on the command line.
Exit status: 0 written, 1 the platform was not reached or nothing was written, 2 bad input.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's words."""
    parser.epilog = EPILOG
    add_config_argument(parser)
    for question in (CODE, TYPE, PLATFORM, URL, USERNAME, LISTEN, STATE_DIR):
        parser.add_argument(
            question.flag,
            metavar=question.name.upper().replace("-", "_"),
            help=f"{question.english} {question.chinese}",
        )
    parser.add_argument("--sm2-key", metavar="KEY", help="the platform's public key: file or hex")
    parser.add_argument("--ca-file", metavar="FILE", help="CA of the platform's certificate")
    password = parser.add_mutually_exclusive_group()
    password.add_argument(
        "--password-file", type=Path, metavar="FILE", help="password of the device API, one line"
    )
    password.add_argument(
        "--password-stdin", action="store_true", help="read it from standard input, one line"
    )
    password.add_argument("--generate-password", action="store_true", help="make one up")
    parser.add_argument("--non-interactive", action="store_true", help="ask nothing")
    parser.add_argument("--no-try", action="store_true", help="do not speak to the platform")
    parser.add_argument(
        "--save-anyway", action="store_true", help="write although the platform was not reached"
    )
    parser.add_argument(
        "--force", action="store_true", help="change what stands there already, without a question"
    )


def execute(arguments: argparse.Namespace) -> int:
    """Ask, try and write."""
    dialog = None
    if not arguments.non_interactive:
        if arguments.password_stdin:
            raise BadInput("--password-stdin goes with --non-interactive")
        if not sys.stdin.isatty():
            raise BadInput("this is no terminal: give the answers as flags, with --non-interactive")
        dialog = Dialog(input=sys.stdin, output=sys.stdout)
    given = Given(
        code=arguments.code,
        type=arguments.type,
        platform=arguments.platform,
        url=arguments.url,
        sm2_key=arguments.sm2_key,
        ca_file=arguments.ca_file,
        username=arguments.username,
        password_file=arguments.password_file,
        password_input=sys.stdin if arguments.password_stdin else None,
        generates_password=arguments.generate_password,
        listen=arguments.listen,
        state_dir=arguments.state_dir,
    )
    options = process.Options(
        is_forced=arguments.force,
        tries=not arguments.no_try,
        saves_anyway=arguments.save_anyway,
    )
    done = process.run(
        arguments.config,
        given,
        options=options,
        dialog=dialog,
        clock=SystemClock(),
        say=print,
    )
    return 0 if done else 1
