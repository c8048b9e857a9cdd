"""Makes `tests` mean the folder of these tests, whatever a distribution installed by that name."""

from __future__ import annotations

import sys
import types
from pathlib import Path

_PACKAGE = types.ModuleType("tests")
_PACKAGE.__path__ = [str(Path(__file__).parents[1])]
sys.modules["tests"] = _PACKAGE
