"""Chooses accelerator plugins for the commands that speak to single ones."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from agent.config.settings import AcceleratorSettings
from agent.errors import BadInput
from agent.sampling.plugins import FoundPlugin, PluginPlan, accelerator_plans, discover

Sections = Mapping[str, AcceleratorSettings]


def plans(
    sections: Sections, *, found: Sequence[FoundPlugin] | None = None
) -> dict[str, PluginPlan]:
    """Return a plan for each installed accelerator plugin by its name, in the order of names."""
    made = accelerator_plans(sections, found=discover() if found is None else found)
    return dict(sorted(made.items()))


def named(plans: Mapping[str, PluginPlan], name: str) -> PluginPlan:
    """Return the plan of one plugin.

    Raises:
        BadInput: no plugin of this name is installed; says which are.
    """
    if name in plans:
        return plans[name]
    near = difflib.get_close_matches(name, plans, n=1)
    advice = f"did you mean {near[0]}?" if near else f"installed are: {', '.join(plans) or 'none'}"
    raise BadInput(f"no accelerator plugin is called {name}; {advice}")
