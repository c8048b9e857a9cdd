"""Asks the amdgpu driver through its files in /sys; converts nothing.

The files are the kernel's documented interface (`Documentation/gpu/amdgpu`), they need no right to
be read, and reading a card costs no process.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from collectors.accelerators.machine_files import MachineFiles
from collectors.accelerators.quantities import Unknown

DRIVER = "/sys/bus/pci/drivers/amdgpu"
_ADDRESS = re.compile(r"[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")
_IDENTITY = ("device", "product_name", "unique_id", "mem_info_vram_total")
_MEASURED = ("mem_info_vram_used", "gpu_busy_percent")
_ASLEEP = Unknown(reason="the driver has switched the card off; it is not woken to be asked")
_NO_SENSORS = Unknown(reason="amdgpu has no sensors for this card")
EDGE = "edge"
_SENSORS = ("temp1", "temp2", "temp3")
_POWERS = ("power1_average", "power1_input")


@dataclass(frozen=True, slots=True, kw_only=True)
class RawCard:
    """Holds a card's files by name, as the kernel wrote them or why not.

    `temperatures` are those of the sensors by their labels. A card that the driver has switched off
    is not asked for what it measures, because that would wake it.
    """

    address: str
    files: Mapping[str, str | Unknown]
    temperatures: Mapping[str, str | Unknown]
    power: str | Unknown


def addresses(files: MachineFiles) -> list[str]:
    """Return the PCI addresses of the cards that amdgpu drives; raises OSError without it."""
    return [name for name in files.names(DRIVER) if _ADDRESS.fullmatch(name)]


def card(files: MachineFiles, address: str) -> RawCard:
    """Return what the driver says of one card; what it refuses is unknown, with its reason."""
    folder = f"{DRIVER}/{address}"
    identity = {name: _read(files, f"{folder}/{name}") for name in _IDENTITY}
    if _read(files, f"{folder}/power/runtime_status") == "suspended":
        return RawCard(
            address=address,
            files={**identity, **dict.fromkeys(_MEASURED, _ASLEEP)},
            temperatures={EDGE: _ASLEEP},
            power=_ASLEEP,
        )
    sensors = _sensors(files, folder)
    return RawCard(
        address=address,
        files={**identity, **{name: _read(files, f"{folder}/{name}") for name in _MEASURED}},
        temperatures={} if sensors is None else _temperatures(files, sensors),
        power=_NO_SENSORS if sensors is None else _power(files, sensors),
    )


def _sensors(files: MachineFiles, folder: str) -> str | None:
    """Return the folder of a card's sensors; its number changes with every boot."""
    try:
        names = files.names(f"{folder}/hwmon")
    except OSError:
        return None
    found = [name for name in names if name.startswith("hwmon")]
    return f"{folder}/hwmon/{found[0]}" if found else None


def _temperatures(files: MachineFiles, sensors: str) -> dict[str, str | Unknown]:
    found: dict[str, str | Unknown] = {}
    for name in _SENSORS:
        label = _read(files, f"{sensors}/{name}_label")
        if not isinstance(label, Unknown):
            found[label] = _read(files, f"{sensors}/{name}_input")
    if not found:  # a kernel that knows one sensor and no labels
        found[EDGE] = _read(files, f"{sensors}/temp1_input")
    return found


def _power(files: MachineFiles, sensors: str) -> str | Unknown:
    """Return the average power; newer chips give the power of now instead."""
    answers = [_read(files, f"{sensors}/{name}") for name in _POWERS]
    return next((text for text in answers if not isinstance(text, Unknown)), answers[0])


def _read(files: MachineFiles, path: str) -> str | Unknown:
    try:
        return files.read(path)
    except FileNotFoundError:
        return Unknown(reason="amdgpu does not offer it for this card")
    except OSError as error:
        return Unknown(reason=f"amdgpu answers: {error.strerror or error}")
