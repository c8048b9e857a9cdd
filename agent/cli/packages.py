"""`computility-agent packages`: algorithm packages."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from agent.app.workloads import package_file, package_text
from agent.cli import agent_packages
from agent.cli.actions import add_action
from agent.cli.main import add_json_argument, fail
from agent.workloads.package_format.errors import PackageRefused

EPILOG = """\
example:
  computility-agent packages build person-structure/ --output person-structure.tar
  computility-agent packages inspect person-structure.tar
  computility-agent packages push person-structure.tar
  computility-agent packages list
"""
INSPECT_EPILOG = """\
example:
  computility-agent packages inspect person-structure.tar --json | jq .image
  computility-agent packages inspect person-structure.tar --architecture arm64

Nothing is unpacked, and no configuration or engine is needed. Exit status 1: an agent would refuse
this package, and says why.
"""
BUILD_EPILOG = """\
example:
  docker save person-structure:1.0.0 --output person-structure/image.tar
  computility-agent packages build person-structure/ --output person-structure.tar

DIR holds algo.yaml and the file that it names; nothing else is packed. The same files give the
same package, byte for byte. Exit status 1: an agent would refuse it; then nothing is written.
"""
_PROGRESS_SECONDS = 0.2
_MIB = 1024**2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's words."""
    parser.epilog = EPILOG
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    _add_inspect(actions)
    _add_build(actions)
    agent_packages.add_list(
        add_action(
            actions, "list", "list the packages of the running agent", agent_packages.LIST_EPILOG
        )
    )
    agent_packages.add_push(
        add_action(
            actions, "push", "hand a package to the running agent", agent_packages.PUSH_EPILOG
        )
    )
    agent_packages.add_delete(
        add_action(
            actions,
            "delete",
            "delete a package from the running agent",
            agent_packages.DELETE_EPILOG,
        )
    )


def execute(arguments: argparse.Namespace) -> int:
    """Do what the action says."""
    return int(arguments.act(arguments))


def _add_inspect(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = add_action(
        actions, "inspect", "check a package's file and print what is in it", INSPECT_EPILOG
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the package's file")
    _add_architecture(parser)
    add_json_argument(parser)
    parser.set_defaults(act=_inspect)


def _inspect(arguments: argparse.Namespace) -> int:
    try:
        inspected = package_file.inspect_file(
            arguments.file,
            architecture=arguments.architecture,
            on_bytes=_progress(),
        )
    except PackageRefused as error:
        return _refused(arguments.file, error)
    finally:
        _end_progress()
    if arguments.json:
        print(json.dumps(package_file.document(inspected), ensure_ascii=False, indent=2))
    else:
        print("\n".join(package_text.inspected_lines(inspected)))
    return 0


def _add_build(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = add_action(actions, "build", "make a package's file of a folder", BUILD_EPILOG)
    parser.add_argument("folder", type=Path, metavar="DIR", help="the folder with algo.yaml")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="the package's file; default: NAME-VERSION.tar here",
    )
    _add_architecture(parser)
    parser.set_defaults(act=_build)


def _build(arguments: argparse.Namespace) -> int:
    try:
        built, digests = package_file.build(
            arguments.folder,
            output=arguments.output,
            architecture=arguments.architecture,
            on_bytes=_progress(),
        )
    except PackageRefused as error:
        return _refused(arguments.folder, error)
    finally:
        _end_progress()
    print("\n".join(package_text.built_lines(built, digests)))
    return 0


def _add_architecture(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--architecture",
        metavar="NAME",
        help="the machine that it is for, such as arm64 or amd64; default: this one",
    )


def _refused(path: Path, error: PackageRefused) -> int:
    """Print everything that is wrong with a package, and return the exit status."""
    return fail("\n".join(f"{path}: {problem}" for problem in error.problems), status=1)


def _progress() -> Callable[[int], None]:
    """Return what shows on a terminal how many bytes went by."""
    done_bytes = 0
    shown_at = 0.0

    def count(more_bytes: int) -> None:
        nonlocal done_bytes, shown_at
        done_bytes += more_bytes
        now = time.monotonic()
        if now - shown_at >= _PROGRESS_SECONDS:
            shown_at = now
            print(f"\r{done_bytes / _MIB:>10.0f} MiB", end="", file=sys.stderr, flush=True)

    return count if sys.stderr.isatty() else lambda _: None


def _end_progress() -> None:
    if sys.stderr.isatty():
        print(f"\r{'':<20}\r", end="", file=sys.stderr, flush=True)
