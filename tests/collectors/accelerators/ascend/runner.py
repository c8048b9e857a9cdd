"""Reads Ascend chips through the library in a process of its own, which may hang or crash.

python runner.py LIBRARY
"""

from __future__ import annotations

import sys

from collectors.accelerators.ascend.plugin import AscendConfig, AscendPlugin

if __name__ == "__main__":
    plugin = AscendPlugin(AscendConfig(library=sys.argv[1], source="library"))
    print(len(plugin.list_accelerators()))
