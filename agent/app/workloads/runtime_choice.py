"""Finds the runtime that the configuration names, and builds it."""

from __future__ import annotations

import dataclasses
import difflib
import importlib.metadata

from agent import contracts
from agent.config.settings import RuntimeSettings
from agent.contracts import Runtime
from agent.errors import PermanentError
from agent.sampling import entry_points

NONE = "none"


def build(settings: RuntimeSettings) -> Runtime:
    """Return the runtime of these settings; its library is loaded now, and nothing is asked.

    Of the settings it is given those that it knows.

    Raises:
        PermanentError: none is wanted, none of this name is installed, or it cannot be loaded.
    """
    if settings.kind == NONE:
        raise PermanentError("runtime.kind is none: this node runs no algorithm services")
    found = {
        each.name: each.value for each in importlib.metadata.entry_points(group=contracts.RUNTIMES)
    }
    if settings.kind not in found:
        near = difflib.get_close_matches(settings.kind, found, n=1)
        advice = (
            f"did you mean {near[0]}?" if near else f"installed are: {', '.join(sorted(found))}"
        )
        raise PermanentError(f"runtime.kind: no runtime is called {settings.kind}; {advice}")
    return load(found[settings.kind], settings)


def load(target: str, settings: RuntimeSettings) -> Runtime:
    """Return the runtime that "module:attribute" names.

    Raises:
        PermanentError: it cannot be loaded.
    """
    try:
        runtime_type = entry_points.load(target)
        known = {each.name for each in dataclasses.fields(runtime_type.config_type)}
        values = {"socket": settings.socket} if "socket" in known else {}
        runtime: Runtime = runtime_type(runtime_type.config_type(**values))
    except Exception as error:
        raise PermanentError(
            f"the runtime {settings.kind} cannot be loaded: {type(error).__name__}: {error}"
        ) from error
    return runtime
