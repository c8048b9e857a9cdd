"""The structures of cndev, and which function fills which of them.

The sizes hold for the 64-bit Linux ABI of library versions 5 and 6. Newer libraries append to some
of them: what they are read into is larger (see `library`).
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

MAX_INCIDENTS = 64


class CardInfo(ctypes.Structure):
    """Holds the number of devices; 8 bytes."""

    _fields_: ClassVar = [("version", ctypes.c_int32), ("number", ctypes.c_uint32)]


class Uuid(ctypes.Structure):
    """Holds a UUID as text; 56 bytes, 44 in old libraries."""

    _fields_: ClassVar = [
        ("version", ctypes.c_int32),
        ("uuid", ctypes.c_char * 37),
        ("ncs_uuid", ctypes.c_uint64),
    ]


class MemoryV2(ctypes.Structure):
    """Holds memory sizes in MiB; 176 bytes, no version."""

    _fields_: ClassVar = [
        ("physical_total", ctypes.c_int64),
        ("physical_used", ctypes.c_int64),
        ("reserved_memory", ctypes.c_int64),
        ("virtual_total", ctypes.c_int64),
        ("virtual_used", ctypes.c_int64),
        ("global_memory", ctypes.c_uint64),
        ("reserved", ctypes.c_uint64 * 16),
    ]


class MemoryV1(ctypes.Structure):
    """Holds memory sizes in MiB; 216 bytes, 208 in old libraries."""

    _fields_: ClassVar = [
        ("version", ctypes.c_int32),
        ("physical_total", ctypes.c_int64),
        ("physical_used", ctypes.c_int64),
        ("virtual_total", ctypes.c_int64),
        ("virtual_used", ctypes.c_int64),
        ("channel_number", ctypes.c_int64),
        ("channel_used", ctypes.c_int64 * 20),
        ("global_memory", ctypes.c_uint64),
    ]


class Utilization(ctypes.Structure):
    """Holds percents; 328 bytes."""

    _fields_: ClassVar = [
        ("version", ctypes.c_int32),
        ("average", ctypes.c_int32),
        ("core", ctypes.c_int32 * 80),
    ]


class Temperature(ctypes.Structure):
    """Holds degrees Celsius; 148 bytes, 144, 132 and 128 in old libraries."""

    _fields_: ClassVar = [
        ("version", ctypes.c_int32),
        ("board", ctypes.c_int32),
        ("cluster", ctypes.c_int32 * 20),
        ("memory_die", ctypes.c_int32 * 8),
        ("chip", ctypes.c_int32),
        ("air_inlet", ctypes.c_int32),
        ("air_outlet", ctypes.c_int32),
        ("memory", ctypes.c_int32),
        ("video_input", ctypes.c_int32),
        ("cpu", ctypes.c_int32),
        ("isp", ctypes.c_int32),
    ]


class DevicePower(ctypes.Structure):
    """Holds watts; 84 bytes, no version."""

    _fields_: ClassVar = [
        ("usage", ctypes.c_int32),
        ("cap", ctypes.c_int32),
        ("machine", ctypes.c_int32),
        ("thermal_design", ctypes.c_int32),
        ("maximum", ctypes.c_int32),
        ("reserved", ctypes.c_int32 * 16),
    ]


class Power(ctypes.Structure):
    """Holds watts; 32 bytes, 28, 24 and 20 in old libraries."""

    _fields_: ClassVar = [
        ("version", ctypes.c_int32),
        ("usage", ctypes.c_int32),
        ("cap", ctypes.c_int32),
        ("usage_decimal", ctypes.c_int32),
        ("machine", ctypes.c_int32),
        ("cap_decimal", ctypes.c_int32),
        ("thermal_design", ctypes.c_uint16),
        ("instantaneous", ctypes.c_uint16),
        ("instantaneous_decimal", ctypes.c_uint16),
    ]


class CardName(ctypes.Structure):
    """Holds the number of a family of cards; 8 bytes."""

    _fields_: ClassVar = [("version", ctypes.c_int32), ("id", ctypes.c_int32)]


class CardSerial(ctypes.Structure):
    """Holds serial numbers, meant to be shown in hexadecimal; 24 bytes."""

    _fields_: ClassVar = [
        ("version", ctypes.c_int32),
        ("serial", ctypes.c_uint64),
        ("board_serial", ctypes.c_uint64),
    ]


class PcieV2(ctypes.Structure):
    """Holds the address on the PCI bus; 64 bytes, no version."""

    _fields_: ClassVar = [
        ("subsystem_id", ctypes.c_uint32),
        ("device_id", ctypes.c_uint32),
        ("vendor", ctypes.c_uint16),
        ("subsystem_vendor", ctypes.c_uint16),
        ("domain", ctypes.c_uint32),
        ("bus", ctypes.c_uint32),
        ("device", ctypes.c_uint32),
        ("function", ctypes.c_uint32),
        ("module_id", ctypes.c_uint16),
        ("slot_id", ctypes.c_uint16),
        ("reserved", ctypes.c_uint32 * 8),
    ]


class PcieV1(ctypes.Structure):
    """Holds the address on the PCI bus; 48 bytes, 40 in old libraries."""

    _fields_: ClassVar = [
        ("version", ctypes.c_int32),
        ("subsystem_id", ctypes.c_uint32),
        ("device_id", ctypes.c_uint32),
        ("vendor", ctypes.c_uint16),
        ("subsystem_vendor", ctypes.c_uint16),
        ("domain", ctypes.c_uint32),
        ("bus", ctypes.c_uint32),
        ("device", ctypes.c_uint32),
        ("function", ctypes.c_uint32),
        ("physical_slot", ctypes.c_void_p),
        ("slot_id", ctypes.c_int32),
    ]


class Incident(ctypes.Structure):
    """Holds one finding of the driver's health check; 540 bytes."""

    _fields_: ClassVar = [
        ("system", ctypes.c_int32),
        ("result", ctypes.c_int32),
        ("message", ctypes.c_char * 512),
        ("device_id", ctypes.c_uint32),
        ("pci", ctypes.c_uint32),
        ("code", ctypes.c_int32),
        ("category", ctypes.c_uint32),
        ("severity", ctypes.c_uint32),
    ]


class HealthV2(ctypes.Structure):
    """Holds the health of a card and of its driver; 34612 bytes, no version."""

    _fields_: ClassVar = [
        ("health", ctypes.c_int32),
        ("device_state", ctypes.c_int32),
        ("driver_state", ctypes.c_int32),
        ("overall", ctypes.c_int32),
        ("incident_count", ctypes.c_uint32),
        ("incidents", Incident * MAX_INCIDENTS),
        ("reserved", ctypes.c_uint32 * 8),
    ]


class HealthV1(ctypes.Structure):
    """Holds the health of a card and of its driver; 16 bytes, 8 in old libraries."""

    _fields_: ClassVar = [
        ("version", ctypes.c_int32),
        ("health", ctypes.c_int32),
        ("device_state", ctypes.c_int32),
        ("driver_state", ctypes.c_int32),
    ]


class MimMode(ctypes.Structure):
    """Tells whether MIM is on; 8 bytes."""

    _fields_: ClassVar = [("version", ctypes.c_int32), ("mode", ctypes.c_int32)]


class MluInstance(ctypes.Structure):
    """Holds a MIM instance; 1016 bytes."""

    _fields_: ClassVar = [
        ("version", ctypes.c_int32),
        ("parent_device", ctypes.c_int32),
        ("instance_id", ctypes.c_int32),
        ("profile_id", ctypes.c_int32),
        ("uuid", ctypes.c_char * 37),
        ("domain", ctypes.c_int32),
        ("bus", ctypes.c_int32),
        ("device", ctypes.c_int32),
        ("function", ctypes.c_int32),
        ("placement_version", ctypes.c_int32),
        ("placement_start", ctypes.c_int32),
        ("placement_size", ctypes.c_int32),
        ("core_count", ctypes.c_int32),
        ("vpu_count", ctypes.c_int32),
        ("jpu_count", ctypes.c_int32),
        ("gdma_count", ctypes.c_int32),
        ("memory_size", ctypes.c_int32),
        ("profile_name", ctypes.c_char * 100),
        ("device_node", ctypes.c_char * 100),
        ("ipcm_node", ctypes.c_char * 100),
        ("instance_name", ctypes.c_char * 100),
        ("reserved", ctypes.c_uint32 * 128),
    ]


class ProcessInfo(ctypes.Structure):
    """Holds what a process uses, in KiB; 24 bytes."""

    _fields_: ClassVar = [
        ("version", ctypes.c_int32),
        ("pid", ctypes.c_uint32),
        ("physical_used", ctypes.c_uint64),
        ("virtual_used", ctypes.c_uint64),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Says what a function fills, and which fields of it are wanted.

    A structure with a version is asked for in a version that the library must know.
    """

    structure: type[ctypes.Structure]
    fields: tuple[str, ...]

    @property
    def is_versioned(self) -> bool:
        """Whether the structure begins with the version of the interface."""
        return str(self.structure._fields_[0][0]) == "version"


_PCI_FIELDS = ("domain", "bus", "device", "function")
_MEMORY_FIELDS = ("physical_total", "physical_used")

INSTANCE_FIELDS = (
    "instance_id",
    "uuid",
    "memory_size",
    "profile_name",
    "device_node",
    "ipcm_node",
)

LAYOUTS: Mapping[str, Layout] = MappingProxyType(
    {
        "cndevGetDeviceCount": Layout(structure=CardInfo, fields=("number",)),
        "cndevGetUUID": Layout(structure=Uuid, fields=("uuid",)),
        "cndevGetMemoryUsageV2": Layout(structure=MemoryV2, fields=_MEMORY_FIELDS),
        "cndevGetMemoryUsage": Layout(structure=MemoryV1, fields=_MEMORY_FIELDS),
        "cndevGetDeviceUtilizationInfo": Layout(structure=Utilization, fields=("average",)),
        "cndevGetTemperatureInfo": Layout(structure=Temperature, fields=("chip", "board")),
        "cndevGetDevicePowerInfo": Layout(structure=DevicePower, fields=("usage",)),
        "cndevGetPowerInfo": Layout(structure=Power, fields=("usage",)),
        "cndevGetCardName": Layout(structure=CardName, fields=("id",)),
        "cndevGetCardSN": Layout(structure=CardSerial, fields=("serial", "board_serial")),
        "cndevGetPCIeInfoV2": Layout(structure=PcieV2, fields=_PCI_FIELDS),
        "cndevGetPCIeInfo": Layout(structure=PcieV1, fields=_PCI_FIELDS),
        "cndevGetCardHealthStateV2": Layout(
            structure=HealthV2,
            fields=("health", "device_state", "driver_state", "overall", "incident_count"),
        ),
        "cndevGetCardHealthState": Layout(
            structure=HealthV1, fields=("health", "device_state", "driver_state")
        ),
        "cndevGetMimMode": Layout(structure=MimMode, fields=("mode",)),
    }
)
