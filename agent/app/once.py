"""Reads everything once, for the commands that need no running agent."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence
from typing import Any

from agent.app import collect, platforms
from agent.config.settings import NodeSettings, Settings
from agent.errors import TransientError
from agent.model.clock import SystemClock
from agent.model.view import AgentView, PluginState, PluginStatus
from agent.protocols.acsmp.identifiers import AcceleratorIdentifiers
from agent.sampling.hosts import HostOptions
from agent.sampling.inspection import inspect_plugins
from agent.sampling.plugins import FoundPlugin
from agent.sampling.sampler import Sampler
from agent.transport.client import HttpClient

# A plugin's own deadlines (15 s to probe, 15 s to read) end sooner.
SAMPLE_SECONDS = 33.0
ADDRESS_SECONDS = 2.0

# Only its sections on what is sampled are used; the code is never shown.
DEFAULTS = Settings(node=NodeSettings(code="", type="AI_BOX"))


def take(settings: Settings | None) -> dict[str, Any]:
    """Return one sample of everything as the document of `collect --json`.

    None samples with the defaults, on a machine without a configuration.
    """
    return collect.document(
        sample(settings or DEFAULTS),
        node=settings.node if settings else None,
        address=own_address(settings) if settings else None,
        identify=AcceleratorIdentifiers().identify,
    )


def sample(
    settings: Settings,
    *,
    found: Sequence[FoundPlugin] | None = None,
    options: HostOptions | None = None,
) -> AgentView:
    """Return one sample of everything; `found` are the plugins, None for those installed."""
    sampler = Sampler(settings, clock=SystemClock(), found=found, options=options)
    with _states_kept_from_the_log():
        return sampler.sample_once(deadline_seconds=SAMPLE_SECONDS)


def plugins(settings: Settings | None) -> list[dict[str, Any]]:
    """Return every plugin's state after one probe; None probes with the defaults."""
    return [
        {"group": each.group, "name": each.name, "state": each.state.value, "detail": each.detail}
        for each in _inspect(settings or DEFAULTS)
    ]


def broken_plugins(settings: Settings) -> tuple[PluginStatus, ...]:
    """Return the plugins that cannot be loaded, or whose own settings are wrong."""
    return tuple(each for each in _inspect(settings) if each.state is PluginState.BROKEN)


def own_address(settings: Settings) -> str | None:
    """Return the address that the first platform is, or would be, told; None if there is none."""
    first = settings.acsmp[0] if settings.acsmp else None
    address = (first and first.address) or settings.node.address
    if address != "auto":
        return address
    if first is None:
        return None
    client = HttpClient(base_url=first.url, user_agent=platforms.USER_AGENT)
    try:
        return client.local_address(deadline_seconds=ADDRESS_SECONDS)
    except TransientError:
        return None
    finally:
        client.close()


def _inspect(settings: Settings) -> tuple[PluginStatus, ...]:
    with _states_kept_from_the_log():
        return inspect_plugins(settings)


@contextlib.contextmanager
def _states_kept_from_the_log() -> Iterator[None]:
    """Say the state of a plugin once: the command prints it, and its log would come between."""
    log = logging.getLogger("agent.sampling.status")
    before = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(before)
