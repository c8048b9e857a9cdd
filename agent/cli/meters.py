"""`computility-agent meters`: the meters of a centre, and its hours."""

from __future__ import annotations

import argparse
import functools
import json
import os
import stat
import sys
import time
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from agent.app import once
from agent.app.centre import asking as centre_asking
from agent.app.centre import meter_kinds, meter_reading, meter_text
from agent.cli.actions import add_config_action
from agent.cli.main import add_json_argument, load_settings
from agent.config.kinds import time_zone
from agent.config.settings import Settings
from agent.errors import BadInput
from agent.model.clock import SystemClock

EPILOG = """\
example:
  computility-agent meters list
  computility-agent meters hours --count 48
  computility-agent meters import readings.csv
"""
LIST_EPILOG = """\
example:
  computility-agent meters list --json | jq '.meters[] | {name, state, detail}'

Asks the running agent; without one it shows the last readings of the ledger.
"""
READ_EPILOG = """\
example:
  computility-agent meters read incomer

Asks the meters themselves, now; no running agent is needed, and nothing is kept of it. Some
gateways take one connection only: stop the agent then. Exit status 1: one of them did not answer.
"""
IMPORT_EPILOG = """\
example:
  computility-agent meters import readings.csv
  computility-agent meters import readings.csv --zone Asia/Shanghai
  computility-agent meters import corrections.csv --correct

Columns: meter,time,energy_kwh,water_litres,power_kw - what the registers show; times in ISO 8601
with zone; empty means not given. The same file twice changes nothing. Exit status 1: rows were
refused, and why; all others were taken. It goes through the running agent, or without one into the
ledger itself.

With --correct a row takes the place of the reading of its meter and time; a row without values
withdraws it. Only what was read by hand or imported can be corrected. What it said before stays in
the ledger, the hours are closed again, and `meters explain` shows both.
"""
HOURS_EPILOG = """\
example:
  computility-agent meters hours
  computility-agent meters hours --json | jq '.hours[] | {start_at, pue}'

The last closed hours, the latest at the end. A figure that is not known reads `unknown`; `meters
explain` says why. PUE and WUE of an hour are interim values: both are defined for a year.
"""
EXPLAIN_EPILOG = """\
example:
  computility-agent meters explain 2026-01-31T08:00+08:00
  computility-agent meters explain 2026-01-31T08

HOUR is when the hour begins; without a zone it is in that of the ledger.
"""
_PROGRESS_SECONDS = 0.2
_BYTES_PER_MB = 1_000_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's words."""
    parser.epilog = EPILOG
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = add_config_action(
        actions, "list", "list the meters and how they fare", LIST_EPILOG, _list
    )
    add_json_argument(listing)
    reading = add_config_action(actions, "read", "read meters now", READ_EPILOG, _read)
    reading.add_argument("name", metavar="NAME", nargs="?", help="one meter; default: all")
    add_json_argument(reading)
    importing = add_config_action(
        actions, "import", "keep the readings of a file", IMPORT_EPILOG, _import
    )
    importing.add_argument("file", metavar="FILE.csv", type=Path)
    importing.add_argument("--zone", metavar="ZONE", help="zone of times without one")
    importing.add_argument(
        "--correct", action="store_true", help="put rows in the place of readings that were wrong"
    )
    add_json_argument(importing)
    hours = add_config_action(actions, "hours", "list the last closed hours", HOURS_EPILOG, _hours)
    hours.add_argument("--count", metavar="N", type=int, default=24, help="default: 24")
    add_json_argument(hours)
    explaining = add_config_action(
        actions, "explain", "show the way from readings to an hour", EXPLAIN_EPILOG, _explain
    )
    explaining.add_argument("hour", metavar="HOUR")
    add_json_argument(explaining)


def execute(arguments: argparse.Namespace) -> int:
    """Do what the action says."""
    return int(arguments.act(arguments))


def _kinds() -> meter_kinds.MeterKinds:
    return meter_kinds.MeterKinds(meter_kinds.installed())


def _list(arguments: argparse.Namespace) -> int:
    document = centre_asking.list_meters(load_settings(arguments), kinds=_kinds())
    if arguments.json:
        return _print(document)
    for meter in document["meters"]:
        print(meter_text.meter(meter))
    if document["trouble"]:
        print(f"{document['waiting']} readings wait: {document['trouble']}")
    return 0


def _read(arguments: argparse.Namespace) -> int:
    settings = load_settings(arguments)
    meters = settings.meters
    chosen = [each for each in meters if arguments.name in {None, each.name}]
    if not chosen:
        names = ", ".join(each.name for each in meters) or "none"
        raise BadInput(f"no meter is called {arguments.name}; configured are: {names}")
    # Of all kinds, one only reads the accelerators, in one sample for all of them.
    sample = functools.lru_cache(lambda: once.sample(settings))
    kinds = meter_kinds.MeterKinds(meter_kinds.installed(), view=sample)
    found = meter_reading.read(chosen, kinds=kinds, clock=SystemClock())
    if arguments.json:
        _print({"meters": found})
    else:
        for each in found:
            print(meter_text.read(each))
    return 1 if any(each["error"] for each in found) else 0


def _import(arguments: argparse.Namespace) -> int:
    settings = load_settings(arguments)
    if arguments.zone is not None:
        _zone(arguments.zone)
    progress = _Progress()
    try:
        with arguments.file.open("rb") as file:
            if stat.S_ISCHR(os.fstat(file.fileno()).st_mode) and not file.isatty():
                raise BadInput(f"{arguments.file} is a device and has no end")
            document = centre_asking.import_file(
                settings,
                file,
                kinds=_kinds(),
                zone=arguments.zone,
                correct=arguments.correct,
                progress=progress,
                reading=progress.reading,
                closing=progress.closing,
            )
    except OSError as error:
        raise BadInput(f"{arguments.file} cannot be read: {error.strerror}") from error
    finally:
        progress.end()
    if arguments.json:
        _print(document)
    else:
        for refusal in document["refusals"]:
            print(f"line {refusal['line']}: {refusal['reason']}", file=sys.stderr)
        unsaid = document["refused"] - len(document["refusals"])
        if unsaid:
            print(f"and {unsaid} more lines", file=sys.stderr)
        counts = ["accepted", "repeated", "refused"]
        if arguments.correct:
            counts.insert(2, "corrected")
        print(", ".join(f"{name} {document[name]}" for name in counts))
    return 1 if document["refused"] else 0


def _hours(arguments: argparse.Namespace) -> int:
    settings = load_settings(arguments)
    document = centre_asking.list_hours(settings, kinds=_kinds(), count=arguments.count)
    if arguments.json:
        return _print(document)
    print(meter_text.hours(document["hours"], zone=time_zone(settings.ledger.time_zone)))
    return 0


def _explain(arguments: argparse.Namespace) -> int:
    settings = load_settings(arguments)
    start_at = _hour(arguments.hour, settings=settings)
    document = centre_asking.explain(settings, kinds=_kinds(), start_at=start_at.isoformat())
    if arguments.json:
        return _print(document)
    print(meter_text.way(document["steps"]))
    return 0


def _hour(text: str, *, settings: Settings) -> datetime:
    try:
        start_at = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError as error:
        raise BadInput(f"HOUR is like 2026-01-31T08:00+08:00, not {text}") from error
    if start_at.tzinfo is None:
        start_at = start_at.replace(tzinfo=time_zone(settings.ledger.time_zone))
    start_at = start_at.astimezone(timezone.utc)
    if (start_at.minute, start_at.second, start_at.microsecond) != (0, 0, 0):
        raise BadInput(f"{text} is no full hour of UTC")
    return start_at


def _zone(text: str) -> None:
    try:
        time_zone(text)
    except ValueError as error:
        raise BadInput(f"--zone is like Asia/Shanghai or +08:00, not {text}") from error


def _print(document: Mapping[str, Any]) -> int:
    print(json.dumps(document, ensure_ascii=False, indent=2))
    return 0


class _Progress:
    """Shows on a terminal how much is done."""

    def __init__(self) -> None:
        self._shown_at = 0.0

    def __call__(self, rows: int) -> None:
        self._show_now_and_then(f"{rows} rows")

    def reading(self, done: int, size: int) -> None:
        """Show how many bytes of a file are read."""
        share = f"{100 * done / size:.0f} % of " if size else ""
        self._show_now_and_then(f"{share}{max(done, size) / _BYTES_PER_MB:.1f} MB")

    def closing(self) -> None:
        """Say that the hours are closed now."""
        self._show("closing hours")

    def end(self) -> None:
        """Take the line away."""
        if self._shown_at:
            self._show("")

    def _show_now_and_then(self, text: str) -> None:
        now = time.monotonic()
        if now - self._shown_at >= _PROGRESS_SECONDS:
            self._shown_at = now
            self._show(text)

    def _show(self, text: str) -> None:
        if sys.stderr.isatty():
            print(f"\r{text:<30}\r{text}", end="", file=sys.stderr, flush=True)
