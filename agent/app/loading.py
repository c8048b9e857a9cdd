"""Loads the configuration as the commands and the daemon want it."""

from __future__ import annotations

import os
from pathlib import Path

from agent.config.load import Loaded, load
from agent.sampling.plugins import discover


def load_all(path: Path) -> Loaded:
    """Return the settings with their warnings.

    Raises:
        ConfigError: every problem of the file at once.
    """
    names = [each.name for each in discover() if each.group == "accelerators"]
    return load(path, environment=os.environ, known_accelerators=names)
