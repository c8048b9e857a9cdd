"""Turns what amdgpu answered into facts in base units; pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from collectors.accelerators import quantities
from collectors.accelerators.amd.sysfs import EDGE, RawCard
from collectors.accelerators.cards import CardFacts, gpu_uuid
from collectors.accelerators.quantities import Unknown

# PCI device ids of the cards that may have no name in their EEPROM, or whose driver is too old to
# read it.
_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "738c": "AMD Instinct MI100",
        "74a0": "AMD Instinct MI300A",
        "74a1": "AMD Instinct MI300X",
        "74a5": "AMD Instinct MI325X",
        "75a0": "AMD Instinct MI350X",
        "75a3": "AMD Instinct MI355X",
    }
)
_SENSORS = (EDGE, "junction")


def facts(card: RawCard, *, index: int) -> CardFacts:
    """Return what a card's files say."""
    total = quantities.not_nothing(_bytes(card.files["mem_info_vram_total"]))
    unique_id = card.files["unique_id"]
    return CardFacts(
        index=index,
        uuid=None if isinstance(unique_id, Unknown) else gpu_uuid(unique_id),
        pci_address=card.address,
        product_name=_name(card),
        memory_total_bytes=total,
        memory_used_bytes=quantities.not_above(_bytes(card.files["mem_info_vram_used"]), total),
        utilization_ratio=_ratio(card.files["gpu_busy_percent"]),
        temperature_celsius=_celsius(card),
        power_watts=_watts(card.power),
        energy_joules=Unknown(reason="amdgpu has no counter of energy"),
        health=Unknown(reason="amdgpu says nothing of health"),
    )


def _name(card: RawCard) -> str | Unknown:
    text = card.files["product_name"]
    name = text if isinstance(text, Unknown) else quantities.word(text)
    if not isinstance(name, Unknown):
        return name
    device = card.files["device"]
    device_id = "" if isinstance(device, Unknown) else device.removeprefix("0x").lower()
    return _NAMES.get(device_id) or Unknown(
        reason=f"amdgpu gives no name for this card (PCI device {device_id or 'unknown'})"
    )


def _celsius(card: RawCard) -> float | Unknown:
    for sensor in _SENSORS:
        text = card.temperatures.get(sensor)
        if text is not None:
            # The kernel gives thousandths of a degree.
            number = _integer(text)
            if isinstance(number, Unknown):
                return number
            return quantities.celsius(f"{number / 1000:.3f} C")
    return Unknown(reason="amdgpu has no sensor of the chip's temperature for this card")


def _watts(text: str | Unknown) -> float | Unknown:
    # The kernel gives millionths of a watt.
    number = _integer(text)
    return number if isinstance(number, Unknown) else quantities.watts(f"{number / 1e6:.6f} W")


def _ratio(text: str | Unknown) -> float | Unknown:
    number = _integer(text)
    return number if isinstance(number, Unknown) else quantities.ratio(f"{number} %")


def _bytes(text: str | Unknown) -> int | Unknown:
    number = _integer(text)
    return number if isinstance(number, Unknown) else quantities.size_bytes(f"{number} B")


def _integer(text: str | Unknown) -> int | Unknown:
    if isinstance(text, Unknown):
        return text
    digits = text.removeprefix("-")
    if not digits.isascii() or not digits.isdecimal() or len(digits) > 18:
        return Unknown(reason=f"amdgpu answers: {text[:40] or 'nothing'}")
    return int(text)
