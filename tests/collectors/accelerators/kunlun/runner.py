"""Reads the cards once through a library, in a process of its own that may hang or die.

python runner.py LIBRARY
"""

from __future__ import annotations

import sys

from collectors.accelerators.kunlun.plugin import KunlunConfig, KunlunPlugin

plugin = KunlunPlugin(KunlunConfig(library=sys.argv[1], source="library"), tools=[])
print([card.uuid for card in plugin.list_accelerators()])
