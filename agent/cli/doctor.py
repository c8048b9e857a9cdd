"""`computility-agent doctor`: checks everything that the agent depends on."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from agent.app.doctor import bundle, examination, report, runner
from agent.app.doctor.check import Result, State
from agent.cli.main import add_config_argument, add_json_argument
from agent.model.clock import SystemClock

EPILOG = """\
example:
  sudo computility-agent doctor
  computility-agent doctor --json | jq '.checks[] | select(.state == "failed")'
  sudo computility-agent doctor --bundle report.tar.gz

Nothing is changed and no platform is registered with; docs/doctor.md describes each check. As root
it sees most. --bundle writes what support needs, without secrets; look into it before you send it.
Exit status: 0 nothing failed (warnings are no failure), 1 something failed, 2 bad input.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's words."""
    parser.epilog = EPILOG
    add_config_argument(parser)
    add_json_argument(parser)
    parser.add_argument(
        "--bundle",
        type=Path,
        metavar="FILE",
        help="write a redacted archive (.tar.gz) for support; overwrites nothing",
    )


def execute(arguments: argparse.Namespace) -> int:
    """Examine the machine and print what was found."""
    if arguments.bundle is not None:
        bundle.require_free(arguments.bundle)
    clock = SystemClock()
    patient = examination.meet(arguments.config)
    chains = examination.chains(patient, time=clock)
    progress = _Progress(sum(len(chain) for chain in chains))
    results = runner.run(chains, clock=clock, on_result=progress)
    progress.end()
    document = report.document(results, now=clock.now())
    if arguments.json:
        print(json.dumps(document, ensure_ascii=False, indent=2))
    else:
        print(report.text(results))
    if arguments.bundle is not None:
        # With --json, standard output is the document alone.
        told = sys.stderr if arguments.json else sys.stdout
        for line in bundle.write(arguments.bundle, patient=patient, document=document, clock=clock):
            print(line, file=told)
    return 0 if report.is_fine(results) else 1


class _Progress:
    """Shows on a terminal how many checks have ended."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._done = 0

    def __call__(self, result: Result) -> None:
        self._done += 1
        if sys.stderr.isatty():
            mark = "" if result.state is not State.FAILED else "  failed"
            text = f"{self._done} checks done, of about {self._count}: {result.name}{mark}"
            print(f"\r{text[:78]:<78}", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        """Take the line away."""
        if sys.stderr.isatty():
            print(f"\r{'':<78}\r", end="", file=sys.stderr, flush=True)
