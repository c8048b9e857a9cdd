"""The command `computility-agent`: finds the command's module and turns errors into words."""

from __future__ import annotations

import argparse
import errno
import importlib
import io
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import agent
from agent.app import loading
from agent.config.settings import AcceleratorSettings, Settings
from agent.errors import AgentError, BadInput, ConfigError, RequestError

DEFAULT_CONFIG = Path("/etc/computility-agent/config.yaml")

# Name, one line of help. A command's module is imported only when it is called: `status` must not
# pay for the simulator.
COMMANDS = {
    "run": "run the agent in the foreground (what the service does)",
    "setup": "ask what the agent needs to know, try it, and write the configuration",
    "doctor": "check everything that the agent depends on, and say what to do",
    "check-config": "check the configuration and say everything that is wrong with it",
    "print-config": "print the configuration in force, defaults included, secrets masked",
    "collect": "take one sample of everything; no running agent is needed",
    "plugins": "list the plugins and their states",
    "register": "register with the platforms now; no running agent is needed",
    "unregister": "unregister from the platforms",
    "record": "record what vendors' tools and libraries answer, redacted, for a bug report",
    "status": "ask the running agent how it fares",
    "packages": "check and make algorithm packages, and hand them to the running agent",
    "services": "plan, load, list and unload algorithm services, and read their logs",
    "meters": "the meters of a computing centre, and its hours",
    "monitoring": "the monitoring platforms that are told of the centre: sync, report, list",
    "sm2": "check a platform's SM2 key and the layout of what is sent to it",
    "hash-password": "print what stands for a password in a file, without telling it",
    "simulate": "be the platforms (T/BAX 0006.5 and TC609), and the meters of a centre",
    "demo": "show an agent and a platform at work on this machine, or a computing centre",
}

EPILOG = """\
example:
  computility-agent check-config --config /etc/computility-agent/config.yaml

exit status: 0 done, 1 failed, 2 bad input
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that does not know a character must not end the command.
            stream.reconfigure(errors="backslashreplace")
    try:
        try:
            return _run(words)
        finally:
            # Now, while it can still be dealt with, and not at the end of the interpreter.
            if sys.stdout is not None:  # `>&-`
                sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output went away (`| head`): nothing is left to say it to.
        _drop_output()
        return 0
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        _drop_output()
        return fail(f"the output cannot be written: {error.strerror}", status=1)


def _drop_output() -> None:
    """Let what is still unwritten go nowhere, or the interpreter complains of it at its end."""
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def _run(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="computility-agent",
        description="Registers compute with platforms, keeps it alive and reports what it has.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=agent.__version__)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    chosen = next((word for word in words if not word.startswith("-")), None)
    for name, text in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=text,
            description=text[0].upper() + text[1:] + ".",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        if name == chosen:
            module = importlib.import_module(f"agent.cli.{name.replace('-', '_')}")
            module.add_arguments(command)
            command.set_defaults(execute=module.execute)
    parsed = parser.parse_args(words)
    try:
        return int(parsed.execute(parsed))
    except (BadInput, ConfigError, RequestError) as error:
        return fail(str(error), status=2)
    except AgentError as error:
        return fail(str(error), status=1)


def add_config_argument(parser: argparse.ArgumentParser) -> None:
    """Give a command the option that every command on a configuration has."""
    parser.add_argument(
        "--config",
        type=Path,
        default=DEFAULT_CONFIG,
        metavar="FILE",
        help=f"default: {DEFAULT_CONFIG}",  # the longest path that 80 columns do not break
    )


def load_settings(arguments: argparse.Namespace) -> Settings:
    """Return the settings of `--config`; their warnings go to standard error.

    Raises:
        ConfigError: every problem of the file at once.
    """
    loaded = loading.load_all(arguments.config)
    for warning in loaded.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    return loaded.settings


def load_settings_if_any(arguments: argparse.Namespace) -> Settings | None:
    """Return the settings; None on a machine that has no configuration and was given none.

    Raises:
        ConfigError: every problem of the file at once.
    """
    if arguments.config == DEFAULT_CONFIG and not DEFAULT_CONFIG.exists():
        print(f"note: there is no {DEFAULT_CONFIG}; defaults are used", file=sys.stderr)
        return None
    return load_settings(arguments)


def load_accelerator_sections(arguments: argparse.Namespace) -> Mapping[str, AcceleratorSettings]:
    """Return the sections of the plugins; defaults where the default file is not there.

    Raises:
        ConfigError: every problem of the file at once.
    """
    if arguments.config == DEFAULT_CONFIG and not DEFAULT_CONFIG.exists():
        return {}
    return load_settings(arguments).accelerators


def add_json_argument(parser: argparse.ArgumentParser) -> None:
    """Give a command the choice of JSON."""
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def fail(message: str, *, status: int) -> int:
    """Print an error, a line for each of its lines, and return the exit status."""
    for line in message.splitlines():
        print(f"computility-agent: {line}", file=sys.stderr)
    return status
