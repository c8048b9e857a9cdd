"""The actions of `computility-agent services` on what runs."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from agent.app import local_client
from agent.app.workloads import service_logs
from agent.app.workloads.questions import LIST_SERVICES, LOAD_SERVICE, UNLOAD_SERVICE
from agent.cli.agent_packages import settings_of, socket_of
from agent.cli.main import add_json_argument
from agent.errors import BadInput
from agent.model.workloads import EnvironmentVariable

LIST_EPILOG = """\
example:
  computility-agent services list
  computility-agent services list --json | jq '.services[] | {service_id, state, reason}'
"""
LOAD_EPILOG = """\
example:
  computility-agent services load 1101080000502000000120260101080000000001 \\
      --env AUTH_SERVER_ADDR=192.0.2.7:8088 --replicas 2

Prints the id of the service. It is noted when this returns, and started as soon as that is
possible, also after a restart. A platform sees it like one that it loaded itself.
"""
UNLOAD_EPILOG = """\
example:
  computility-agent services unload 1101080000502000000120260101080000000001
  computility-agent services unload 1101080000502000000120260101080000000001 \\
      --service 76079e21-1b8b-4151-b904-6c56a4635d58

Without --service, all services of the package are unloaded.
"""
LOGS_EPILOG = """\
example:
  computility-agent services logs 76079e21 --tail 50
  computility-agent services logs 76079e21-1b8b-4151-b904-6c56a4635d58 --replica 1 --follow

Asks the engine itself, so no agent need run; the service's id may be cut short.
"""
TAIL_MAXIMUM = 1_000_000


def add_list(parser: argparse.ArgumentParser) -> None:
    """Add the words of `services list`."""
    add_json_argument(parser)
    parser.set_defaults(act=_list)


def add_unload(parser: argparse.ArgumentParser) -> None:
    """Add the words of `services unload`."""
    parser.add_argument("package", metavar="PACKAGE", help="the id of the package")
    parser.add_argument("--service", metavar="ID", help="only this service of it")
    parser.set_defaults(act=_unload)


def add_logs(parser: argparse.ArgumentParser) -> None:
    """Add the words of `services logs`."""
    parser.add_argument("service", metavar="SERVICE", help="the id of the service")
    parser.add_argument(
        "--replica", type=int, default=0, metavar="N", help="which replica (default: 0)"
    )
    parser.add_argument(
        "--tail", type=int, default=200, metavar="N", help="how many lines (default: 200)"
    )
    parser.add_argument("--follow", action="store_true", help="go on until Ctrl-C")
    parser.set_defaults(act=_logs)


def load(arguments: argparse.Namespace, *, variables: tuple[EnvironmentVariable, ...]) -> int:
    """Load a service of a package that the running agent has."""
    answer = local_client.ask(
        socket_of(settings_of(arguments)),
        LOAD_SERVICE,
        fields={
            "package_id": arguments.package,
            "env": {each.name: each.value for each in variables},
            "licence_url": arguments.licence,
            "replicas": arguments.replicas,
        },
    )
    print(answer["service_id"])
    return 0


def _list(arguments: argparse.Namespace) -> int:
    answer = local_client.ask(socket_of(settings_of(arguments)), LIST_SERVICES)
    if arguments.json:
        print(json.dumps(answer, ensure_ascii=False, indent=2))
        return 0
    for service in answer["services"]:
        print("\n".join(_lines(service)))
    # None while the engine is not asked.
    orphans = answer["orphans"] or []
    for orphan in orphans:
        print(f"{orphan['name']}  {orphan['state']}  of another agent, left alone")
    if not answer["services"] and not orphans:
        print("no services")
    return 0


def _unload(arguments: argparse.Namespace) -> int:
    local_client.ask(
        socket_of(settings_of(arguments)),
        UNLOAD_SERVICE,
        fields={"package_id": arguments.package, "service_id": arguments.service},
    )
    print(f"unloaded     {arguments.service or f'all services of {arguments.package}'}")
    return 0


def _logs(arguments: argparse.Namespace) -> int:
    if not 0 <= arguments.tail <= TAIL_MAXIMUM:
        raise BadInput(f"--tail takes 0 to {TAIL_MAXIMUM} lines")
    settings = settings_of(arguments)
    with service_logs.opened(
        settings.runtime,
        arguments.service,
        replica=arguments.replica,
        tail_lines=arguments.tail,
        follow=arguments.follow,
    ) as chunks:
        for chunk in chunks:
            sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()
    return 0


def _lines(service: dict[str, Any]) -> list[str]:
    running = sum(replica["state"] == "running" for replica in service["replicas"])
    lines = [
        f"{service['service_id']}  {service['state']:<11}  "
        f"{running} of {service['replicas_wanted']} run  package {service['package_id']}"
    ]
    if service["reason"]:
        lines.append(f"  {service['reason']}")
    for replica in service["replicas"]:
        chips = ", ".join(replica["accelerators"])
        words = [f"  {replica['index']}", replica["state"] or "no container"]
        words += [f"{replica['restarts']} restarts"] if replica["restarts"] else []
        words += [f"on {chips}"] if chips else []
        words += [replica["reason"]] if replica["reason"] else []
        lines.append("  ".join(words))
    return lines
