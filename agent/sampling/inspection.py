"""The states of all plugins, for the commands `plugins` and `check-config`."""

from __future__ import annotations

from collections.abc import Sequence

from agent.config.settings import Settings
from agent.model.clock import SystemClock
from agent.model.view import PluginStatus
from agent.sampling.hosts import HostOptions
from agent.sampling.plugins import FoundPlugin
from agent.sampling.sampler import Sampler


def inspect_plugins(
    settings: Settings,
    *,
    found: Sequence[FoundPlugin] | None = None,
    options: HostOptions | None = None,
) -> tuple[PluginStatus, ...]:
    """Start every plugin once and return how it fared; takes as long as the slowest probe.

    One whose own section is wrong is BROKEN, and its detail names file, line and key.
    """
    options = options or HostOptions()
    # A second more than the plugins' own deadlines, so that a hanging one is told by its own.
    deadline_seconds = options.probe_seconds + options.read_seconds + 3.0
    return Sampler(settings, clock=SystemClock(), found=found, options=options).inspect(
        deadline_seconds=deadline_seconds
    )
