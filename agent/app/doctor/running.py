"""What the running agent says of itself on its local socket."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import agent
from agent.app import local_client
from agent.app.doctor import reporting
from agent.app.doctor.check import Check, Finding, failed, ok, skipped, warning
from agent.app.local_socket import SOCKET_NAME
from agent.errors import AgentError

AGENT, REGISTRATION, PLUGINS = "running agent", "registration", "plugins of the agent"
WORKLOADS, LEDGER = "workloads", "ledger"
# So long after its start nobody need be registered yet.
_STARTING_SECONDS = 30.0
_AT_FAULT = frozenset({"broken", "failing", "stalled"})
_NOT_RUNNING = "no agent answers"


def ask(state_dir: Path) -> tuple[Mapping[str, Any] | None, str | None]:
    """Return the status of the running agent, or None with the reason."""
    try:
        return local_client.read_status(state_dir / SOCKET_NAME), None
    except (AgentError, OSError) as error:
        return None, str(error)


def chain(status: Mapping[str, Any] | None, *, why: str | None) -> list[Check]:
    """Return the checks of what the agent says; `why` is the reason where it says nothing."""

    def look() -> Finding:
        if status is None:
            return warning(
                why or _NOT_RUNNING,
                advice="systemctl status computility-agent; only root and the agent's own user "
                "may ask it",
            )
        return judge_agent(status)

    def of(judge: Any) -> Any:
        return lambda: skipped(_NOT_RUNNING) if status is None else judge(status)

    return [
        Check(name=AGENT, look=look),
        Check(name=REGISTRATION, look=of(judge_registrations)),
        Check(name=PLUGINS, look=of(judge_plugins)),
        Check(name=WORKLOADS, look=of(judge_workloads)),
        Check(name=LEDGER, look=of(judge_ledger)),
        Check(name=reporting.REPORTING, look=of(reporting.judge_reporting)),
        Check(name=reporting.SOURCES, look=of(reporting.judge_sources)),
    ]


def judge_agent(status: Mapping[str, Any]) -> Finding:
    """Return whether every loop of the agent lives, and whether it is the installed version."""
    found = (
        f"version {status['version']}, process {status['pid']}, up {status['uptime_seconds']:.0f} s"
    )
    if status["stale_loops"]:
        return failed(
            f"{found}; stuck: {', '.join(status['stale_loops'])}",
            advice="systemctl restart computility-agent, and report it with --bundle",
        )
    if status["version"] != agent.__version__:
        return warning(
            f"{found}; installed is {agent.__version__}",
            advice="systemctl restart computility-agent",
        )
    return ok(found)


def judge_registrations(status: Mapping[str, Any]) -> Sequence[Finding]:
    """Return how each platform holds this node."""
    return list(_registrations(status)) or [skipped("no platform is configured")]


def judge_plugins(status: Mapping[str, Any]) -> Finding:
    """Return the plugins that are at fault as the service's own user sees them."""
    bad = [
        f"{each['name']} {each['state']}: {each['detail']}"
        for each in status["plugins"]
        if each["state"] in _AT_FAULT
    ]
    if bad:
        return failed(
            "\n".join(bad),
            advice="where `plugin` above is ok, the service's user or unit lacks a permission: "
            "look at `device nodes`, and use the vendor's drop-in for the unit",
        )
    active = sum(each["state"] == "active" for each in status["plugins"])
    return ok(f"{active} active, none at fault")


def judge_workloads(status: Mapping[str, Any]) -> Finding:
    """Return how packages and services fare."""
    workloads = status["workloads"]
    if workloads is None:
        return skipped("off")
    if workloads["unknown"] is not None:
        return failed(str(workloads["unknown"]), advice="look at `disk` and `state folder` above")
    packages, services = workloads["packages"], workloads["services"]
    bad = [f"package {each['package_id']}: {each['error']}" for each in packages if each["error"]]
    bad += [
        f"service {each['service_id']}: {each['reason']}" for each in services if each["reason"]
    ]
    found = f"{len(packages)} packages, {len(services)} services"
    if bad:
        return warning(
            "\n".join([found, *bad[:10]]),
            advice="computility-agent packages list; computility-agent services logs ID",
        )
    return ok(found)


def judge_ledger(status: Mapping[str, Any]) -> Finding:
    """Return whether readings are kept."""
    meters = status["meters"]
    if meters is None:
        return skipped("no meters are configured")
    if meters["unknown"]:
        return failed(str(meters["unknown"]), advice="look at `disk` and `state folder` above")
    return ok(f"readings of {len(meters['meters'] or ())} meters are kept")


def _registrations(status: Mapping[str, Any]) -> Iterator[Finding]:
    is_new = status["uptime_seconds"] < _STARTING_SECONDS
    for each in status["platforms"]:
        name = str(each["name"])
        if each["is_registered"]:
            gap = each["worst_gap_seconds"]
            known = "unknown" if gap is None else f"{gap:.0f} s"
            yield ok(
                f"registered, {each['keepalives_accepted']} keepalives, worst gap {known}",
                subject=name,
            )
        elif is_new and each["last_error"] is None:
            yield warning(f"{each['state']}, the agent just started", advice="wait", subject=name)
        else:
            yield failed(
                f"{each['state']}: {each['last_error'] or 'never answered'}",
                subject=name,
                advice="refused: compare code, type and `sm2 key` with the platform's operator "
                "(docs/security.md lists the layouts); otherwise see `dns` to `platform answer`",
            )
