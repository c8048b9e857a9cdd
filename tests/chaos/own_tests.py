"""Makes `tests` the folder above, when a program of this folder runs by itself.

Some distributions install a package `tests` of their own, which would be found instead.
"""

import sys
import types
from pathlib import Path

_TESTS = types.ModuleType("tests")
_TESTS.__path__ = [str(Path(__file__).parents[1])]
sys.modules["tests"] = _TESTS
