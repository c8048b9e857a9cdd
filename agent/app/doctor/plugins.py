"""The vendors' tools and libraries, as their plugins find them, and the nodes of their cards."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agent.app import once, plugin_choice
from agent.app.doctor import accounts
from agent.app.doctor.accounts import READ, WRITE, Account
from agent.app.doctor.check import Check, Finding, State, failed, ok, skipped, warning
from agent.config.settings import Settings
from agent.errors import AgentError
from agent.sampling.hosts import HostOptions
from agent.sampling.single_child import SingleChild

PLUGIN, NODES = "plugin", "device nodes"
_PROBE_SECONDS = 36.0
_NODES_SECONDS = 20.0


class Probed:
    """Holds the states of the plugins once they were probed, for whoever needs them later."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._states: list[dict[str, Any]] | None = None

    def states(self) -> list[dict[str, Any]]:
        """Probe every plugin, the first time; any thread."""
        with self._lock:
            if self._states is None:
                self._states = once.plugins(self._settings)
            return self._states

    def known(self) -> list[dict[str, Any]]:
        """Return the states if they are known; never waits for a plugin."""
        return self._states or []


def chain(settings: Settings, *, account: Account, probed: Probed) -> list[Check]:
    """Return the checks of what is sampled."""
    return [
        Check(
            name=PLUGIN,
            look=lambda: [judge(each) for each in probed.states()],
            deadline_seconds=_PROBE_SECONDS,
        ),
        Check(
            name=NODES,
            look=lambda: _nodes(settings, account=account, states=probed.known()),
            deadline_seconds=_NODES_SECONDS,
        ),
    ]


def judge(plugin: dict[str, Any]) -> Finding:
    """Return what a plugin's state means. Pure."""
    name, state, detail = plugin["name"], plugin["state"], plugin["detail"]
    found = f"{state}: {detail}" if detail else str(state)
    if state == "active":
        return ok(found, subject=name)
    if state in {"absent", "disabled"}:
        return skipped(found, subject=name)
    advice = f"computility-agent plugins; for a report: computility-agent record --plugin {name}"
    if state == "broken":
        advice = f"mend the section of {name} in the configuration, or install the package again"
    return failed(found, subject=name, advice=advice)


def judge_nodes(name: str, devices: Sequence[str], *, account: Account) -> Finding:
    """Return whether an account may open the device nodes of a plugin's cards."""
    if not devices:
        return skipped("its cards need no device nodes", subject=name)
    obstacles = [accounts.obstacle(account, Path(each), READ | WRITE) for each in devices]
    found = [each for each in obstacles if each is not None]
    if not found:
        return ok(f"{account.name} may open {', '.join(devices)}", subject=name)
    return warning(
        "; ".join(found),
        advice=f"add {account.name} to the group of the nodes (usermod -aG GROUP {account.name}), "
        "or use the vendor's drop-in for the unit; then restart the service",
        subject=name,
    )


def _nodes(
    settings: Settings, *, account: Account, states: Sequence[dict[str, Any]]
) -> Sequence[Finding]:
    plans = plugin_choice.plans(settings.accelerators)
    active = [
        each["name"]
        for each in states
        if each["group"] == "accelerators" and each["state"] == "active" and each["name"] in plans
    ]
    found = []
    for name in active:
        try:
            with SingleChild(plans[name], options=HostOptions()) as child:
                uuids = [card.uuid for card in child.read().accelerators]
                devices = child.grant(uuids).devices
        except AgentError as error:
            found.append(skipped(str(error), subject=name))
        else:
            found.append(judge_nodes(name, devices, account=account))
    return found or [Finding(state=State.SKIPPED, found="no accelerator was found")]
