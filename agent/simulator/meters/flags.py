"""What the command `simulate` takes about meters, and what it says of them."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agent.simulator.meters import script_file
from agent.simulator.meters.simulator import MeterSimulator, running_clock

_FASTEST = 3600.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments to a parser."""
    meters = parser.add_argument_group("meters")
    meters.add_argument(
        "--meters",
        type=Path,
        nargs="?",
        const=script_file.SMALL_CENTRE,
        metavar="SCRIPT.yaml",
        help="meters that speak Modbus, SNMP and Redfish, by a script; without a file those of a "
        "small centre",
    )
    meters.add_argument(
        "--meters-address",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="where they listen, on the ports of the script (127.0.0.1)",
    )
    meters.add_argument(
        "--speed",
        type=_speed,
        default=1.0,
        metavar="N",
        help="how many seconds of the script pass in one (1)",
    )


def simulator(arguments: argparse.Namespace) -> MeterSimulator | None:
    """Return the meters that are asked for, not started yet; None for none.

    Raises:
        PermanentError: the script cannot be used.
    """
    if arguments.meters is None:
        return None
    script = script_file.load(arguments.meters)
    return MeterSimulator(
        script,
        now=running_clock(script, speed=arguments.speed),
        address=arguments.meters_address,
    )


def facts(meters: MeterSimulator | None) -> dict[str, Any]:
    """Return what a program is told of running meters."""
    return {} if meters is None else {"meters": [dict(each) for each in meters.section]}


def introduction(meters: MeterSimulator | None) -> Iterator[str]:
    """Yield the lines that a person is told of running meters."""
    if meters is not None:
        yield "meters       run by the script; for the agent's configuration:"
        yield meters.section_text().rstrip()


def _speed(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= _FASTEST:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to {_FASTEST:.0f}")
    return value
