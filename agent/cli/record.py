"""`computility-agent record`: a redacted recording of every vendor's tools and libraries."""

from __future__ import annotations

import argparse
import sys
from datetime import datetime, timezone
from pathlib import Path

from agent.app import record, recording_folder
from agent.cli.main import add_config_argument, load_accelerator_sections

EPILOG = """\
example:
  computility-agent record --output recording
  computility-agent collect --replay recording.tar.gz

It writes a folder and a .tar.gz of it for a bug report, and overwrites nothing. Names of the
machine, of its users and of its cards are replaced; look into the folder before you send it.
No running agent is needed. Exit status 1: no vendor's tool or library answered.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's words."""
    parser.epilog = EPILOG
    add_config_argument(parser)
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="folder to make; default: computility-agent-recording-TIME here",
    )
    parser.add_argument(
        "--plugin",
        action="extend",
        nargs="+",
        default=[],
        metavar="NAME",
        help="ask these plugins only; default: every one that is not switched off",
    )


def execute(arguments: argparse.Namespace) -> int:
    """Ask the plugins, redact, write, and say what is in it."""
    now = datetime.now(timezone.utc)
    folder = arguments.output or Path(f"computility-agent-recording-{now:%Y%m%dT%H%M%SZ}")
    recording_folder.require_free(folder)
    recorded = record.record(
        load_accelerator_sections(arguments), names=arguments.plugin, on_plugin=_progress
    )
    _progress(None)
    recording = record.redacted(
        recorded, identity=record.identity(), machine=record.machine(now=now)
    )
    archive = recording_folder.write(recording, folder)
    for name, told in recording.machine["plugins"].items():
        count = len(recording.plugins.get(name, ()))
        detail = f"  {told['detail']}" if told["detail"] else ""
        print(f"plugin       {name:<12} {told['state']}, {count} files{detail}")
    replaced = ", ".join(f"{count} {what}" for what, count in recording.machine["redacted"].items())
    print(f"redacted     {replaced or 'nothing was found that names a machine or a person'}")
    print(f"folder       {folder}  (look into it before you send it)")
    print(f"archive      {archive}")
    return 0 if recording.plugins else 1


def _progress(name: str | None) -> None:
    """Show on a terminal who is asked; None wipes it away."""
    if sys.stderr.isatty():
        text = "" if name is None else f"asking {name}"
        print(f"\r{text:<40}", end="" if name else "\r", file=sys.stderr, flush=True)
