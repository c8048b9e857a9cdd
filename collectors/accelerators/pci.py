"""Looks for cards on the PCI bus, and for the device nodes of a card, in sysfs."""

from __future__ import annotations

from dataclasses import dataclass

from collectors.accelerators.machine_files import MachineFiles

AMD = "1002"
HYGON = "1d94"

_DEVICES = "/sys/bus/pci/devices"
# Display controllers, co-processors and processing accelerators. The makers of CPUs have bridges
# and much else under the same vendor id.
_CARD_CLASSES = ("0x03", "0x0b40", "0x12")


@dataclass(frozen=True, slots=True, kw_only=True)
class PciCard:
    """Is a device that can be an accelerator; the ids have four small hexadecimal digits."""

    address: str
    vendor_id: str


def cards(files: MachineFiles) -> list[PciCard]:
    """Return the cards on the bus, in its order; [] where the kernel shows no bus."""
    try:
        addresses = files.names(_DEVICES)
    except OSError:
        return []
    found = []
    for address in addresses:
        try:
            if files.read(f"{_DEVICES}/{address}/class").startswith(_CARD_CLASSES):
                vendor = files.read(f"{_DEVICES}/{address}/vendor")
                found.append(PciCard(address=address, vendor_id=vendor.removeprefix("0x").lower()))
        except OSError:  # taken out while we looked
            continue
    return found


def render_nodes(files: MachineFiles, address: str) -> tuple[str, ...]:
    """Return the nodes in /dev through which programs compute on a card; () if it has none."""
    try:
        names = files.names(f"{_DEVICES}/{address}/drm")
    except OSError:
        return ()
    nodes = (f"/dev/dri/{name}" for name in names if name.startswith("renderD"))
    return tuple(node for node in nodes if files.exists(node))
