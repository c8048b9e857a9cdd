"""Owns the encryption of SNMP version 3, in the form in which puresnmp takes it.

puresnmp finds such modules in its namespace `puresnmp_plugins.priv`. Those of its own rest on
modes that the library beneath them has given up; these use the one that is here for SM2 anyway.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any


def offer_to_puresnmp() -> None:
    """Let puresnmp find what is in this folder; may be called twice."""
    folder = str(Path(__file__).parent)
    paths: Any = importlib.import_module("puresnmp_plugins.priv").__path__
    if folder not in list(paths):
        paths.append(folder)
