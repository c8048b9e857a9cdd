"""Finds the plugins by the metadata of the installed packages, and plans which of them to run.

Nothing is imported here: an accelerator plugin may pull in a vendor's library, which belongs into
a child process and nowhere else.
"""

from __future__ import annotations

import difflib
import importlib.metadata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agent import contracts
from agent.config.kinds import Enabled, RawSection
from agent.config.settings import AcceleratorSettings, CollectSettings, Settings
from agent.model.view import PluginState, PluginStatus

GROUP_NAMES = {contracts.COLLECTORS: "collectors", contracts.ACCELERATORS: "accelerators"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundPlugin:
    """Is one entry point; `target` reads "module:attribute", `distribution` names its package."""

    group: str
    name: str
    target: str
    distribution: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginPlan:
    """Is one plugin to run, with all that it is started with; equal plans need no restart.

    `group` is the short name, as it is shown: "collectors" or "accelerators".
    """

    group: str
    name: str
    target: str
    enabled: Enabled = "auto"
    options: RawSection = field(default_factory=RawSection)
    values: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Lists the plugins to run, and the states of those that are not."""

    plugins: tuple[PluginPlan, ...]
    settled: tuple[PluginStatus, ...]


def discover(search_paths: Sequence[str] | None = None) -> tuple[FoundPlugin, ...]:
    """Return every plugin of the installed packages, in the order of the search path.

    `search_paths` are folders to look in; None stands for the interpreter's own.
    """
    # An editable install can be met twice on one path: a distribution's first place counts.
    seen: set[str] = set()
    found = []
    distributions = (
        importlib.metadata.distributions()
        if search_paths is None
        else importlib.metadata.distributions(path=list(search_paths))
    )
    for distribution in distributions:
        offered = [each for each in distribution.entry_points if each.group in GROUP_NAMES]
        if not offered:  # the name is dear: it costs the parsing of the package's whole metadata
            continue
        name = distribution.metadata["Name"] or "a package without a name"
        if name in seen:
            continue
        seen.add(name)
        found += [
            FoundPlugin(
                group=GROUP_NAMES[each.group],
                name=each.name,
                target=each.value,
                distribution=name,
            )
            for each in offered
        ]
    return tuple(found)


def plan(settings: Settings, *, found: Iterable[FoundPlugin]) -> Plan:
    """Return which plugins these settings run.

    Of two plugins with one name the first runs and the later is BROKEN; so is a section of the
    configuration that no installed plugin answers to, unless it is switched off.
    """
    first: dict[tuple[str, str], FoundPlugin] = {}
    plugins: list[PluginPlan] = []
    settled: list[PluginStatus] = []
    for each in found:
        before = first.setdefault((each.group, each.name), each)
        if before is not each:
            settled.append(_status(each, PluginState.BROKEN, _duplicate(each, before=before)))
        elif each.group == "collectors":
            plugins.append(_collector(each, settings.collect))
        else:
            section = settings.accelerators.get(each.name, AcceleratorSettings())
            if section.enabled is False:
                settled.append(_status(each, PluginState.DISABLED, "enabled is false"))
            else:
                plugins.append(_accelerator(each, section))
    names = sorted(name for group, name in first if group == "accelerators")
    settled += [
        _without_plugin(name, section, names=names)
        for name, section in settings.accelerators.items()
        if name not in names
    ]
    return Plan(plugins=tuple(plugins), settled=tuple(settled))


def accelerator_plans(
    sections: Mapping[str, AcceleratorSettings], *, found: Iterable[FoundPlugin]
) -> dict[str, PluginPlan]:
    """Return a plan for each accelerator plugin by its name, those switched off included."""
    plans: dict[str, PluginPlan] = {}
    for each in found:
        if each.group == "accelerators" and each.name not in plans:
            section = sections.get(each.name, AcceleratorSettings())
            plans[each.name] = _accelerator(each, section)
    return plans


def _accelerator(found: FoundPlugin, section: AcceleratorSettings) -> PluginPlan:
    return PluginPlan(
        group=found.group,
        name=found.name,
        target=found.target,
        enabled=section.enabled,
        options=section.options,
    )


def _collector(found: FoundPlugin, collect: CollectSettings) -> PluginPlan:
    """Plan a collector; its own setting is the key of its name in the section `collect`."""
    values = ((found.name, getattr(collect, found.name)),) if hasattr(collect, found.name) else ()
    return PluginPlan(group=found.group, name=found.name, target=found.target, values=values)


def _status(found: FoundPlugin, state: PluginState, detail: str) -> PluginStatus:
    return PluginStatus(group=found.group, name=found.name, state=state, detail=detail)


def _duplicate(found: FoundPlugin, *, before: FoundPlugin) -> str:
    return (
        f"{found.distribution} offers {found.target} under a name that {before.distribution} has "
        f"taken for {before.target}, which is used: remove one of the two packages"
    )


def _without_plugin(
    name: str, section: AcceleratorSettings, *, names: Sequence[str]
) -> PluginStatus:
    if section.enabled is False:
        return PluginStatus(
            group="accelerators", name=name, state=PluginState.DISABLED, detail="enabled is false"
        )
    near = difflib.get_close_matches(name, names, n=1)
    place = section.options
    where = f"{place.file}: {place.key}: " if place.file else ""
    advice = f"did you mean {near[0]}?" if near else f"installed are: {', '.join(names) or 'none'}"
    return PluginStatus(
        group="accelerators",
        name=name,
        state=PluginState.BROKEN,
        detail=f"{where}no plugin of this name is installed; {advice}",
    )
