"""Notices that the machine's hardware or drivers have changed, without asking any vendor.

Looking for a vendor's card costs a process. Most machines have the cards of one vendor or none,
so the search is repeated when there is a reason to: a device, a driver or a device node that came
or went.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

from agent.model.clock import Clock

VALID_SECONDS = 5.0
# Consoles and loop devices come and go all day and mean no card.
_NOT_A_CARD = ("loop", "tty", "pts", "vcs", "dm-", "nbd", "zd")


class Hardware:
    """Gives a mark of the machine that changes with its devices; safe in every thread.

    A mark is looked at anew after 5 s, so that a dozen plugins share one look.
    """

    def __init__(self, *, clock: Clock, root: Path = Path("/")) -> None:
        self._clock = clock
        self._root = root
        self._lock = threading.Lock()
        self._mark = 0
        self._valid_until_seconds = float("-inf")

    def mark(self) -> int:
        """Return the mark of now; two that are equal mean that nothing has come or gone."""
        with self._lock:
            now = self._clock.monotonic()
            if now >= self._valid_until_seconds:
                self._mark = hash((self._pci_devices(), self._modules(), self._device_nodes()))
                self._valid_until_seconds = now + VALID_SECONDS
            return self._mark

    def _pci_devices(self) -> frozenset[str]:
        return self._names("sys/bus/pci/devices")

    def _device_nodes(self) -> frozenset[str]:
        return frozenset(name for name in self._names("dev") if not name.startswith(_NOT_A_CARD))

    def _modules(self) -> frozenset[str]:
        try:
            text = (self._root / "proc/modules").read_text(encoding="ascii", errors="replace")
        except OSError:  # a kernel without modules
            return frozenset()
        return frozenset(line.partition(" ")[0] for line in text.splitlines())

    def _names(self, path: str) -> frozenset[str]:
        try:
            return frozenset(os.listdir(self._root / path))  # noqa: PTH208 - names are enough
        except OSError:
            return frozenset()
