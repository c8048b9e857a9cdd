"""Shows what the plugins read in a recording of another machine.

Nothing of this machine is in it: the figures of its processors, memory and disks would only be
taken for those of the machine that was recorded, so they are null.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from agent.app import collect, plugin_choice, recording_folder
from agent.app.plugin_choice import Sections
from agent.model.view import AcceleratorView, AgentView, PluginState, PluginStatus
from agent.protocols.acsmp.identifiers import AcceleratorIdentifiers
from agent.sampling.hosts import HostOptions
from agent.sampling.plugins import FoundPlugin, PluginPlan
from agent.sampling.single_child import PluginFailed, SingleChild


def replay(
    path: Path,
    sections: Sections,
    *,
    found: Sequence[FoundPlugin] | None = None,
    options: HostOptions | None = None,
) -> dict[str, Any]:
    """Return the document of `collect --json` for a recording; each plugin in its child process.

    Raises:
        BadInput: the path holds no recording.
    """
    recording = recording_folder.read(path)
    plans = plugin_choice.plans(sections, found=found)
    cards: list[AcceleratorView] = []
    statuses: list[PluginStatus] = []
    for name, files in recording.plugins.items():
        plan = plans.get(name)
        if plan is None:
            reason = f"no plugin of this name is installed; installed are: {', '.join(plans)}"
            statuses.append(_status(name, PluginState.BROKEN, reason))
            continue
        try:
            cards += _cards(plan, files, options=options or HostOptions())
            statuses.append(_status(name, PluginState.ACTIVE, None))
        except PluginFailed as failed:
            statuses.append(_status(name, failed.state, failed.reason))
    view = AgentView(
        taken_at=_taken_at(recording.machine),
        taken_monotonic_seconds=0.0,
        accelerators=tuple(cards),
        plugins=tuple(statuses),
    )
    document = collect.document(
        view, node=None, address=None, identify=AcceleratorIdentifiers().identify
    )
    for key in ("os", "architecture"):
        value = recording.machine.get(key)
        document["node"][key] = value if isinstance(value, str) else None
    return document


def _cards(
    plan: PluginPlan, files: Mapping[str, str], *, options: HostOptions
) -> list[AcceleratorView]:
    with SingleChild(plan, options=options, replayed=files) as child:
        read = child.read()
    return [
        AcceleratorView(accelerator=each, reading=read.readings[each.uuid])
        for each in read.accelerators
    ]


def _status(name: str, state: PluginState, detail: str | None) -> PluginStatus:
    return PluginStatus(group="accelerators", name=name, state=state, detail=detail)


def _taken_at(machine: Mapping[str, Any]) -> datetime:
    """Return when the recording was made; now where it does not say."""
    try:
        return datetime.strptime(str(machine.get("recorded_at")), "%Y-%m-%dT%H:%M:%SZ").replace(
            tzinfo=timezone.utc
        )
    except ValueError:
        return datetime.now(timezone.utc)
