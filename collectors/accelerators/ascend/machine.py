"""Looks at this machine's files for Ascend devices: nodes, PCI functions, runtime; runs nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

_VENDOR = "0x19e5"
# "Processing accelerators" of the PCI classes: Huawei's network cards and disks are others.
_CLASS = "0x1200"


@dataclass(frozen=True, slots=True)
class Machine:
    """Is the tree of files of this machine; None as root is no machine at all (a recording)."""

    root: Path | None

    def has_nodes(self) -> bool:
        """Return whether the driver has made a device node for any chip."""
        if self.root is None:
            return True
        return any((self.root / "dev").glob("davinci[0-9]*"))

    def has(self, path: str) -> bool:
        """Return whether an absolute path is there."""
        return self.root is not None and (self.root / path.lstrip("/")).exists()

    def pci_addresses(self) -> frozenset[str]:
        """Return the PCI addresses of all Ascend functions on the bus."""
        if self.root is None:
            return frozenset()
        found = set()
        for device in (self.root / "sys/bus/pci/devices").glob("*"):
            try:
                is_ascend = (device / "vendor").read_text().strip() == _VENDOR and (
                    device / "class"
                ).read_text().startswith(_CLASS)
            except OSError:
                continue
            if is_ascend:
                found.add(device.name.lower())
        return frozenset(found)

    def docker_runtimes(self) -> frozenset[str]:
        """Return the names of the runtimes that docker is configured with."""
        if self.root is None:
            return frozenset()
        try:
            text = (self.root / "etc/docker/daemon.json").read_text(encoding="utf-8")
            runtimes = json.loads(text)["runtimes"]
        except (OSError, ValueError, KeyError, TypeError):
            return frozenset()
        return frozenset(runtimes) if isinstance(runtimes, dict) else frozenset()
