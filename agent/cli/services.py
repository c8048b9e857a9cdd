"""`computility-agent services`: algorithm services."""

from __future__ import annotations

import argparse
import json

from agent.app import once
from agent.app.workloads import plan as workload_plan
from agent.app.workloads import plan_text as workload_plan_text
from agent.app.workloads.plan import PlanRequest
from agent.cli import agent_services
from agent.cli.actions import add_config_action
from agent.cli.main import add_json_argument, load_settings_if_any
from agent.errors import BadInput, RequestError
from agent.model.workloads import EnvironmentVariable

EPILOG = """\
example:
  computility-agent services plan person-structure.tar --env LOG_LEVEL=debug
  computility-agent services list
  computility-agent services logs 76079e21 --follow
"""
PLAN_EPILOG = """\
example:
  computility-agent services plan person-structure.tar --replicas 2
  computility-agent services plan 1101150192508600000120231012203630000102 --json \\
      | jq '.replicas[].sent'

PACKAGE is a package's file, or the id of a package that the agent of this node has. Nothing is
written or started, and the engine is not asked. Chips are chosen as on a node that runs nothing
else. Ids of noughts stand for those that are given when a package arrives or a service is loaded.
Exit status 1: it could not be started, and why; 2: the agent would refuse these words.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's words."""
    parser.epilog = EPILOG
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    _add_plan(actions)
    agent_services.add_list(
        add_config_action(
            actions, "list", "list the services of the running agent", agent_services.LIST_EPILOG
        )
    )
    load = add_config_action(
        actions, "load", "load a service of a package", agent_services.LOAD_EPILOG
    )
    add_load_arguments(load)
    load.set_defaults(act=_load)
    agent_services.add_unload(
        add_config_action(
            actions, "unload", "unload services of a package", agent_services.UNLOAD_EPILOG
        )
    )
    agent_services.add_logs(
        add_config_action(
            actions, "logs", "print what a service printed", agent_services.LOGS_EPILOG
        )
    )


def execute(arguments: argparse.Namespace) -> int:
    """Do what the action says."""
    return int(arguments.act(arguments))


def add_load_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the words that say what is to be loaded."""
    parser.add_argument("package", metavar="PACKAGE")
    parser.add_argument(
        "--env",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a variable that the package declares; may be given several times",
    )
    parser.add_argument(
        "--replicas", type=int, default=1, metavar="N", help="1 to 64 containers (default: 1)"
    )
    parser.add_argument(
        "--licence", metavar="URL", help="where the licence of an offline authorisation lies"
    )


def variables(words: list[str]) -> tuple[EnvironmentVariable, ...]:
    """Return the variables of `--env`.

    Raises:
        BadInput: one is not NAME=VALUE.
    """
    pairs = [word.partition("=") for word in words]
    for name, equals, _ in pairs:
        if not name or not equals:
            # What stands there may be a secret whose name was forgotten.
            raise BadInput("--env: write NAME=VALUE")
    return tuple(EnvironmentVariable(name=name, value=value) for name, _, value in pairs)


def _add_plan(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = add_config_action(
        actions, "plan", "print exactly which containers a service would have", PLAN_EPILOG
    )
    add_load_arguments(parser)
    add_json_argument(parser)
    parser.set_defaults(act=_plan)


def _load(arguments: argparse.Namespace) -> int:
    return agent_services.load(arguments, variables=variables(arguments.env))


def _plan(arguments: argparse.Namespace) -> int:
    request = PlanRequest(
        package=arguments.package,
        env=variables(arguments.env),
        licence_url=arguments.licence,
        replicas=arguments.replicas,
    )
    settings = load_settings_if_any(arguments) or once.DEFAULTS
    try:
        plan = workload_plan.plan(request, settings=settings)
    except RequestError as error:
        raise BadInput(error.reason) from error
    if arguments.json:
        print(json.dumps(plan, ensure_ascii=False, indent=2))
    else:
        print(workload_plan_text.text(plan))
    return 0
