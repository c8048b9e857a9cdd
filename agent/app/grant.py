"""Tells what a container needs to use accelerators of this machine."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from agent.app import plugin_choice
from agent.app.plugin_choice import Sections
from agent.errors import BadInput, ReadingUnavailable
from agent.model.accelerator import Accelerator, ContainerGrant
from agent.sampling.hosts import HostOptions
from agent.sampling.plugins import FoundPlugin
from agent.sampling.single_child import PluginFailed, SingleChild


def grant(
    sections: Sections,
    *,
    plugin: str,
    chips: Sequence[str],
    found: Sequence[FoundPlugin] | None = None,
    options: HostOptions | None = None,
) -> ContainerGrant:
    """Return the grant for chips of one plugin; each is told by its index or its uuid.

    Raises:
        BadInput: there is no such plugin or chip, or an index that several have.
        ReadingUnavailable: the plugin cannot tell.
    """
    plan = plugin_choice.named(plugin_choice.plans(sections, found=found), plugin)
    try:
        with SingleChild(plan, options=options or HostOptions()) as child:
            accelerators = child.read().accelerators
            uuids = [_uuid(chip, accelerators, plugin=plugin) for chip in chips]
            # Two words for one chip are one chip.
            return child.grant(list(dict.fromkeys(uuids)))
    except PluginFailed as failed:
        raise ReadingUnavailable(f"{plugin}: {failed.reason}") from failed


def document(grant: ContainerGrant) -> dict[str, Any]:
    """Return a grant as JSON; a mount is a pair of the path here and that in the container."""
    return {
        "devices": list(grant.devices),
        "mounts": [list(pair) for pair in grant.mounts],
        "environment": dict(grant.environment),
        "runtime": grant.runtime,
    }


def text(grant: ContainerGrant) -> str:
    """Return a grant for people, with the words of `docker run` that give it."""
    lines = [f"device       {device}" for device in grant.devices]
    lines += [f"mount        {here} at {there}" for here, there in grant.mounts]
    lines += [f"environment  {name}={value}" for name, value in grant.environment.items()]
    if grant.runtime is not None:
        lines.append(f"runtime      {grant.runtime}")
    if not lines:
        return "nothing is needed"
    return "\n".join([*lines, f"docker run   {_docker_words(grant)}"])


def _docker_words(grant: ContainerGrant) -> str:
    words = [] if grant.runtime is None else ["--runtime", grant.runtime]
    for device in grant.devices:
        words += ["--device", device]
    for here, there in grant.mounts:
        words += ["--volume", f"{here}:{there}:ro"]
    for name, value in grant.environment.items():
        words += ["--env", f"{name}={value}"]
    return shlex.join(words)


def _uuid(chip: str, accelerators: Sequence[Accelerator], *, plugin: str) -> str:
    matching = [each.uuid for each in accelerators if chip in (str(each.index), each.uuid)]
    if len(matching) == 1:
        return matching[0]
    if matching:
        raise BadInput(f"{plugin} has {chip} more than once; name it by uuid: {_listed(matching)}")
    known = [f"{each.index} ({each.uuid})" for each in accelerators]
    raise BadInput(f"{plugin} has no chip {chip}; it has: {_listed(known)}")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"
