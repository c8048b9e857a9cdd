"""Turns what the kernel says of a built-in GPU into the model; pure.

The GPU has no memory of its own: its total is the machine's, and how much of that is the GPU's is
not told. What NVML gives too is taken from there.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Mapping
from dataclasses import replace

from agent.model.accelerator import Accelerator, AcceleratorKind, AcceleratorReading, Health
from collectors.accelerators.nvidia.files import MISSING, FileText, Unreadable
from collectors.accelerators.nvidia.tegra import Rail, TegraIdentity, TegraSensors

VENDOR = "nvidia"
SOURCE = "tegra"

# Rails that feed the GPU and nothing else, by generation: Nano, TX2, Xavier, Thor.
_GPU_RAILS = frozenset({"POM_5V_GPU", "VDD_SYS_GPU", "GPU", "VDD_GPU"})
_MEMORY_TOTAL = re.compile(r"^MemTotal:\s+([0-9]+) kB$", re.MULTILINE)
_KIBIBYTE = 1024
_MOST_MILLICELSIUS = 250_000
_LEAST_MILLICELSIUS = -100_000
_MOST_MILLIWATTS = 1_000_000

_NO_PCI_ADDRESS = "the GPU is part of the processor and on no PCI bus"
_SHARED_MEMORY = "the GPU shares the machine's memory, and the kernel does not tell its part"
_NO_ENERGY = "no counter of energy on this machine"
_NO_PROCESSES = "the kernel does not tell who uses the GPU"
_NO_HEALTH = "the kernel says nothing about the GPU's health"


def accelerator(identity: TegraIdentity, *, index: int = 0) -> Accelerator:
    """Return the built-in GPU.

    Its `uuid` is made of the machine's serial number in the device tree; a Tegra has one GPU.
    """
    unknown = {"pci_address": _NO_PCI_ADDRESS}
    model = _text(identity.model)
    if model is None:
        unknown["product_name"] = _why(identity.model)
    total = _memory_total_bytes(identity.memory_information)
    if total is None:
        unknown["memory_total_bytes"] = _why(identity.memory_information)
    serial_number = _text(identity.serial_number)
    return Accelerator(
        uuid="tegra" if serial_number is None else f"tegra-{serial_number}",
        vendor=VENDOR,
        kind=AcceleratorKind.GPU,
        index=index,
        product_name=model,
        board_name=model,
        memory_total_bytes=total,
        source=SOURCE,
        unknown=unknown,
    )


def reading(uuid: str, sensors: TegraSensors) -> AcceleratorReading:
    """Return what is measured of the built-in GPU now."""
    unknown = {
        "memory_used_bytes": _SHARED_MEMORY,
        "energy_joules": _NO_ENERGY,
        "health": _NO_HEALTH,
        "processes": _NO_PROCESSES,
    }
    load = _number(sensors.load_per_mille, low=0, high=1000)
    if load is None:
        unknown["utilization_ratio"] = _why(sensors.load_per_mille)
    temperature = _number(
        sensors.temperature_millicelsius, low=_LEAST_MILLICELSIUS, high=_MOST_MILLICELSIUS
    )
    if temperature is None:
        unknown["temperature_celsius"] = _why(sensors.temperature_millicelsius)
    power = _power_watts(sensors.rails)
    if isinstance(power, str):
        unknown["power_watts"] = power
    return AcceleratorReading(
        uuid=uuid,
        utilization_ratio=None if load is None else load / 1000,
        temperature_celsius=None if temperature is None else temperature / 1000,
        power_watts=None if isinstance(power, str) else power,
        unknown=unknown,
    )


def completed(given: Accelerator, kernel: Accelerator) -> Accelerator:
    """Return NVML's entry of the built-in GPU with what the kernel knows beside it."""
    product_name = given.product_name or kernel.product_name
    total = given.memory_total_bytes
    if total is None:
        total = kernel.memory_total_bytes
    values = {"product_name": product_name, "memory_total_bytes": total}
    pci_address = given.pci_address
    return replace(
        given,
        product_name=product_name,
        memory_total_bytes=total,
        board_name=kernel.board_name,
        source=f"{given.source}+{SOURCE}",
        unknown=_reasons({**values, "pci_address": pci_address}, given.unknown, kernel.unknown),
    )


def completed_reading(given: AcceleratorReading, kernel: AcceleratorReading) -> AcceleratorReading:
    """Return NVML's reading of the built-in GPU; where that has no value, the kernel's."""
    utilization_ratio = _first(given.utilization_ratio, kernel.utilization_ratio)
    temperature_celsius = _first(given.temperature_celsius, kernel.temperature_celsius)
    power_watts = _first(given.power_watts, kernel.power_watts)
    health = None if given.health is Health.UNKNOWN else given.health
    values = {
        "memory_used_bytes": given.memory_used_bytes,
        "utilization_ratio": utilization_ratio,
        "temperature_celsius": temperature_celsius,
        "power_watts": power_watts,
        "energy_joules": given.energy_joules,
        "health": health,
        "processes": given.processes,
    }
    return replace(
        given,
        utilization_ratio=utilization_ratio,
        temperature_celsius=temperature_celsius,
        power_watts=power_watts,
        unknown=_reasons(values, given.unknown, kernel.unknown),
    )


def _reasons(
    values: Mapping[str, object], given: Mapping[str, str], kernel: Mapping[str, str]
) -> dict[str, str]:
    reasons = {**given, **kernel}
    return {name: reasons[name] for name, value in values.items() if value is None}


def _first(given: float | None, kernel: float | None) -> float | None:
    return kernel if given is None else given


def _memory_total_bytes(memory_information: FileText) -> int | None:
    text = _text(memory_information)
    found = None if text is None else _MEMORY_TOTAL.search(text)
    return None if found is None else int(found[1]) * _KIBIBYTE


def _power_watts(rails: tuple[Rail, ...]) -> float | str:
    """Return the power of the rail that feeds the GPU alone, or why there is none."""
    for rail in rails:
        if rail.label in _GPU_RAILS:
            milliwatts = _milliwatts(rail)
            if milliwatts is None:
                return f"the rail {rail.label} gives no figure now"
            return milliwatts / 1000
    shared = [rail.label for rail in rails if "GPU" in rail.label]
    if shared:
        return f"the rail {shared[0]} feeds more than the GPU"
    return "no rail of this board is the GPU's"


def _milliwatts(rail: Rail) -> float | None:
    power = _number(rail.milliwatts, low=0, high=_MOST_MILLIWATTS)
    if power is not None:
        return power
    voltage = _number(rail.millivolts, low=0, high=100_000)
    current = _number(rail.milliamperes, low=0, high=100_000)
    return None if voltage is None or current is None else voltage * current / 1000


def _number(text: FileText, *, low: int, high: int) -> int | None:
    if isinstance(text, Unreadable) or not re.fullmatch(r"-?[0-9]{1,9}", text):
        return None
    value = int(text)
    return value if low <= value <= high else None


def _text(text: FileText) -> str | None:
    if isinstance(text, Unreadable):
        return None
    return text.strip("\0 \n") or None


def _why(text: FileText) -> str:
    if text == MISSING:
        return "not offered by this kernel (sysfs)"
    if not isinstance(text, Unreadable):
        return f"not plausible: the kernel says {text[:40]!r}"
    if text.code == errno.EACCES:
        return "this user may not read it (sysfs)"
    if text.code == errno.EAGAIN:
        return "the sensor gives no figure now, as when the GPU is switched off"
    return f"the kernel gives no figure: {os.strerror(text.code)}"
