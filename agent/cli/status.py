"""`computility-agent status`: asks the running agent how it fares."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from agent.app import local_client, local_socket
from agent.app.collect import plugin_line
from agent.cli.main import add_config_argument, add_json_argument, load_settings
from agent.errors import PermanentError

EPILOG = """\
example:
  computility-agent status --json | jq '.platforms[].worst_gap_seconds'

exit status: 0 the agent runs and every platform holds it as registered, 1 otherwise
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's words."""
    parser.epilog = EPILOG
    add_config_argument(parser)
    parser.add_argument(
        "--socket",
        type=Path,
        metavar="FILE",
        help="the agent's socket, where the configuration cannot be read (default: agent.sock in "
        "node.state_dir)",
    )
    add_json_argument(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Print the status of the running agent."""
    path = arguments.socket
    if path is None:
        path = Path(load_settings(arguments).node.state_dir) / local_socket.SOCKET_NAME
    status = local_client.read_status(path)
    try:
        print(json.dumps(status, ensure_ascii=False, indent=2) if arguments.json else _text(status))
        return 0 if all(platform["is_registered"] for platform in status["platforms"]) else 1
    except (KeyError, TypeError, ValueError) as error:
        raise PermanentError(
            f"what answers on {path} is no agent, or one of another version: {error!r}"
        ) from error


def _text(status: dict[str, Any]) -> str:
    lines = [
        f"agent        {status['version']}, process {status['pid']}, "
        f"up {status['uptime_seconds']:.0f} s",
        f"node         {status['node']['computility_code']} {status['node']['type']}",
        f"device api   {status['device_api'] or 'off'}",
        f"metrics      {status['metrics'] or 'off'}",
        f"query api    {status['query_api'] or 'off'}",
    ]
    for platform in status["platforms"]:
        lines.append(f"platform     {platform['name']}  {platform['state']}  {platform['url']}")
        lines.append(
            f"             {platform['keepalives_accepted']} keepalives, "
            f"worst gap {_seconds(platform['worst_gap_seconds'])}, "
            f"last contact {platform['last_contact_at'] or 'never'}"
        )
        if platform["last_error"]:
            lines.append(f"             last error: {platform['last_error']}")
    lines.append(f"workloads    {_workloads(status['workloads'])}")
    lines.append(f"meters       {_meters(status['meters'])}")
    lines += _sources(status["operational_sources"])
    lines += _monitoring(status["monitoring"])
    lines += [plugin_line(plugin) for plugin in status["plugins"]]
    return "\n".join(lines)


def _workloads(workloads: dict[str, Any] | None) -> str:
    if workloads is None:
        return "off"
    if workloads["unknown"] is not None:
        return f"unknown: {workloads['unknown']}"
    packages = [each["state"] for each in workloads["packages"]]
    services = [each["state"] for each in workloads["services"]]
    orphans = workloads["orphans"] or []
    words = f"packages: {_counted(packages)}; services: {_counted(services)}"
    return words + (f"; {len(orphans)} containers of another agent" if orphans else "")


def _meters(meters: dict[str, Any] | None) -> str:
    if meters is None:
        return "off"
    trouble = f"unknown: {meters['unknown']}" if meters["unknown"] else ""
    if meters["meters"] is None:
        return trouble
    counted = _counted([each["state"] for each in meters["meters"]])
    return f"{counted}; {trouble}" if trouble else counted


def _monitoring(monitoring: dict[str, Any] | None) -> list[str]:
    """Return a line for each platform that is told of the centre; `monitoring list` says more."""
    if monitoring is None:
        return []
    lines = [f"monitoring   {_reports(each)}" for each in monitoring["platforms"]]
    lines += [
        f"monitoring   {each['name']}  not configured any more, {each['waiting']} waiting"
        for each in monitoring["removed"]
    ]
    return lines


def _reports(one: dict[str, Any]) -> str:
    if one["unknown"] is not None:
        return f"{one['name']}  unknown: {one['unknown']}"
    words = f"{one['name']}  {one['waiting']} waiting, {len(one['refused'])} refused"
    words += f", last delivered {one['last_delivered_month'] or 'none'}"
    trouble = one["figures_error"] or one["trouble"] or one["last_error"]
    return f"{words}: {trouble}" if trouble else words


def _sources(sources: list[dict[str, Any]] | None) -> list[str]:
    """Return a line for each other source of the operational data."""
    return [
        f"source       {each['name']}  "
        + (f"unknown: {each['unknown']}" if each["unknown"] else "known")
        for each in sources or ()
    ]


def _counted(states: list[str]) -> str:
    """Return how many there are of each state, in the order of their first."""
    counts = [f"{states.count(state)} {state}" for state in dict.fromkeys(states)]
    return ", ".join(counts) or "none"


def _seconds(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.1f} s"
