"""Imports what an entry point names; light, because the children use it too."""

from __future__ import annotations

import importlib
from typing import Any


def load(target: str) -> Any:
    """Return the object that "module:attribute.of.it" names.

    Raises:
        Exception: whatever importing the module raises; AttributeError if it lacks the object.
    """
    module, _, attributes = target.partition(":")
    found: Any = importlib.import_module(module.strip())
    # "[extra]" after it is an old form that says nothing here.
    for attribute in attributes.partition("[")[0].strip().split("."):
        found = getattr(found, attribute)
    return found
