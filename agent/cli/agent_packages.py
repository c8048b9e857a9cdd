"""The actions of `computility-agent packages` that ask the running agent."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from agent.app import local_client, once
from agent.app.local_socket import SOCKET_NAME
from agent.app.workloads import package_pushing
from agent.app.workloads.questions import DELETE_PACKAGE, LIST_PACKAGES
from agent.cli.main import add_config_argument, add_json_argument, load_settings_if_any
from agent.config.kinds import time_zone
from agent.config.settings import Settings
from agent.model.clock import SystemClock
from agent.model.workloads import Digests

LIST_EPILOG = """\
example:
  computility-agent packages list
  computility-agent packages list --json | jq '.packages[] | {package_id, state, progress_ratio}'
"""
PUSH_EPILOG = """\
example:
  computility-agent packages push /media/usb/person-structure.tar
  computility-agent packages push https://files.example/person-structure.tar \\
      --id 1101080000502000000120260101080000000001 --md5 0123456789abcdef0123456789abcdef

SOURCE is a file on this machine, or an address that the agent fetches; it goes on after a break,
a restart or a power cut, and after Ctrl-C here. Without --id an id is made of the node's code and
the time. Exit status 1: the package was refused or could not be fetched, and why.
"""
DELETE_EPILOG = """\
example:
  computility-agent packages delete 1101080000502000000120260101080000000001

Refused while a service of the package exists: see `services unload`.
"""
# Of the standard's platforms; a node without a device API has no other.
_ZONE = "+08:00"
_WIDTH = 78
_MIB = 1024**2


def add_list(parser: argparse.ArgumentParser) -> None:
    """Add the words of `packages list`."""
    add_config_argument(parser)
    add_json_argument(parser)
    parser.set_defaults(act=_list)


def add_push(parser: argparse.ArgumentParser) -> None:
    """Add the words of `packages push`."""
    add_config_argument(parser)
    parser.add_argument("source", metavar="SOURCE", help="a package's file, or its URL")
    parser.add_argument("--id", metavar="ID", help="1 to 64 letters, digits, dots, - or _")
    parser.add_argument("--md5", metavar="HEX", help="what its MD5 must be")
    parser.add_argument("--sha256", metavar="HEX", help="what its SHA-256 must be")
    parser.add_argument("--sm3", metavar="HEX", help="what its SM3 must be")
    parser.add_argument(
        "--no-wait", action="store_true", help="do not wait until a URL has been fetched"
    )
    parser.set_defaults(act=_push)


def add_delete(parser: argparse.ArgumentParser) -> None:
    """Add the words of `packages delete`."""
    add_config_argument(parser)
    parser.add_argument("package", metavar="ID")
    parser.set_defaults(act=_delete)


def settings_of(arguments: argparse.Namespace) -> Settings:
    """Return the settings of `--config`; the defaults on a machine without a configuration."""
    return load_settings_if_any(arguments) or once.DEFAULTS


def socket_of(settings: Settings) -> Path:
    """Return where the running agent of these settings is asked."""
    return Path(settings.node.state_dir) / SOCKET_NAME


def _list(arguments: argparse.Namespace) -> int:
    answer = local_client.ask(socket_of(settings_of(arguments)), LIST_PACKAGES)
    if arguments.json:
        print(json.dumps(answer, ensure_ascii=False, indent=2))
        return 0
    for package in answer["packages"]:
        print(_line(package))
    if not answer["packages"]:
        print("no packages")
    return 0


def _push(arguments: argparse.Namespace) -> int:
    settings = settings_of(arguments)
    zone = settings.device_api.time_zone if settings.device_api else _ZONE
    package_id = arguments.id or package_pushing.package_id(
        settings.node.code, now=SystemClock().now(), zone=time_zone(zone)
    )
    digests = Digests(md5=arguments.md5, sha256=arguments.sha256, sm3=arguments.sm3)
    show = _Progress()
    try:
        if "://" in arguments.source:
            package = package_pushing.push_url(
                socket_of(settings),
                arguments.source,
                package_id=package_id,
                digests=digests,
                progress=None if arguments.no_wait else show,
            )
        else:
            package = package_pushing.push_file(
                socket_of(settings),
                Path(arguments.source),
                package_id=package_id,
                digests=digests,
                progress=show,
            )
    finally:
        show.end()
    print(_line(package))
    return 0


def _delete(arguments: argparse.Namespace) -> int:
    local_client.ask(
        socket_of(settings_of(arguments)),
        DELETE_PACKAGE,
        fields={"package_id": arguments.package},
    )
    print(f"deleted      {arguments.package}")
    return 0


def _line(package: dict[str, Any]) -> str:
    name = package["name"] and f"{package['name']} {package['version']} ({package['type']})"
    lines = f"{package['package_id']}  {package['state']:<11}  {name or 'not known yet'}"
    if package["state"] == "downloading":
        ratio = package["progress_ratio"]
        here = f"{package['received_bytes'] / _MIB:.1f} MiB"
        lines += f"\n  {here if ratio is None else f'{ratio:.1%}, {here}'}"
    if package["error"]:
        lines += f"\n  {package['error']}"
    return lines


class _Progress:
    """Shows on a terminal how far a package is."""

    def __init__(self) -> None:
        self._is_shown = False

    def __call__(self, ratio: float | None, trouble: str | None) -> None:
        if not sys.stderr.isatty():
            return
        self._is_shown = True
        text = "…" if ratio is None else f"{min(ratio, 1.0):6.1%}"
        line = f"{text}  {trouble or ''}"[:_WIDTH]
        print(f"\r{line:<{_WIDTH}}", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        """Take the line away."""
        if self._is_shown:
            print(f"\r{'':<{_WIDTH}}\r", end="", file=sys.stderr, flush=True)
