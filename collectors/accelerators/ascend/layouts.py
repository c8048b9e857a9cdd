"""The structures and signatures of DCMI, as far as they are used; loads nothing.

Sizes hold for 64-bit Linux. Every output lies in a larger room whose end is marked, so that a
library with longer structures than these does no harm and is noticed.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

MAX_CARDS = 64
# The library asks for room for 32 processes, and is given more.
_MAX_PROCESSES = 256

_END = b"\xa5" * 512


class StructureGrew(Exception):  # noqa: N818 - says what was found
    """Says that a call wrote more than its structure holds."""


class ChipInfo(ctypes.Structure):
    """Names a chip: the second version, whose first part is the first."""

    _fields_ = (
        ("chip_type", ctypes.c_char * 32),
        ("chip_name", ctypes.c_char * 32),
        ("chip_ver", ctypes.c_char * 32),
        ("aicore_cnt", ctypes.c_uint),
        ("npu_name", ctypes.c_char * 32),
    )


class PcieInfo(ctypes.Structure):
    """Tells where a chip sits on the PCI bus."""

    _fields_ = (
        ("venderid", ctypes.c_uint),
        ("subvenderid", ctypes.c_uint),
        ("deviceid", ctypes.c_uint),
        ("subdeviceid", ctypes.c_uint),
        ("domain", ctypes.c_int),
        ("bus", ctypes.c_uint),
        ("device", ctypes.c_uint),
        ("func", ctypes.c_uint),
        ("reserve", ctypes.c_ubyte * 32),
    )


class HbmInfo(ctypes.Structure):
    """Tells the size and use of HBM, both in MiB."""

    _fields_ = (
        ("memory_size", ctypes.c_ulonglong),
        ("freq", ctypes.c_uint),
        ("memory_usage", ctypes.c_ulonglong),
        ("temp", ctypes.c_int),
        ("bandwith_util_rate", ctypes.c_uint),
    )


class MemoryInfo(ctypes.Structure):
    """Tells the size of DDR and what is free of it, both in MiB: the third version."""

    _fields_ = (
        ("memory_size", ctypes.c_ulonglong),
        ("memory_available", ctypes.c_ulonglong),
        ("freq", ctypes.c_uint),
        ("hugepagesize", ctypes.c_ulonglong),
        ("hugepages_total", ctypes.c_ulonglong),
        ("hugepages_free", ctypes.c_ulonglong),
        ("utiliza", ctypes.c_uint),
        ("reserve", ctypes.c_ubyte * 60),
    )


class OldMemoryInfo(ctypes.Structure):
    """Tells the size of DDR in MiB and its use in percent: the first version."""

    _fields_ = (
        ("memory_size", ctypes.c_ulonglong),
        ("freq", ctypes.c_uint),
        ("utiliza", ctypes.c_uint),
    )


class Elabel(ctypes.Structure):
    """Is the electronic label of a card."""

    _fields_ = (
        ("product_name", ctypes.c_char * 256),
        ("model", ctypes.c_char * 256),
        ("manufacturer", ctypes.c_char * 256),
        ("manufacturer_date", ctypes.c_char * 256),
        ("serial_number", ctypes.c_char * 256),
    )


class ProcessMemory(ctypes.Structure):
    """Tells how many bytes a process uses."""

    _fields_ = (("proc_id", ctypes.c_int), ("proc_mem_usage", ctypes.c_ulong))


Call = Callable[[Any, tuple[int, ...]], tuple[int, Any]]


class _Room:
    """Is memory for one output, and a marked end behind it."""

    def __init__(self, kind: type[Any]) -> None:
        size = ctypes.sizeof(kind)
        self._size = size
        self._memory = ctypes.create_string_buffer(bytes(size) + _END, size + len(_END))
        self.content = kind.from_buffer(self._memory)
        self.address = ctypes.byref(self._memory)

    def check(self) -> None:
        if self._memory.raw[self._size :] != _END:
            raise StructureGrew


def _nothing(function: Any, _inputs: tuple[int, ...]) -> tuple[int, Any]:
    return int(function()), None


def _gives(kind: type[Any], *, at_the_end: bool = True) -> Call:
    """Return a call with one output, behind the inputs or before them."""

    def call(function: Any, inputs: tuple[int, ...]) -> tuple[int, Any]:
        room = _Room(kind)
        given = [ctypes.c_int(each) for each in inputs]
        arguments = (*given, room.address) if at_the_end else (room.address, *given)
        code = int(function(*arguments))
        room.check()
        return code, _plain(room.content)

    return call


def _gives_three(function: Any, inputs: tuple[int, ...]) -> tuple[int, Any]:
    rooms = [_Room(ctypes.c_int) for _ in range(3)]
    code = int(function(*(ctypes.c_int(each) for each in inputs), *(r.address for r in rooms)))
    for room in rooms:
        room.check()
    return code, [room.content.value for room in rooms]


def _gives_text(function: Any, inputs: tuple[int, ...]) -> tuple[int, Any]:
    room = _Room(ctypes.c_char * 256)
    code = int(function(*(ctypes.c_int(each) for each in inputs), room.address, ctypes.c_int(256)))
    room.check()
    return code, _plain(room.content)


def _gives_list(*, number_first: bool) -> Call:
    def call(function: Any, _inputs: tuple[int, ...]) -> tuple[int, Any]:
        number, ids = _Room(ctypes.c_int), _Room(ctypes.c_int * MAX_CARDS)
        first, second = (number, ids) if number_first else (ids, number)
        code = int(function(first.address, second.address, ctypes.c_int(MAX_CARDS)))
        number.check()
        ids.check()
        return code, list(ids.content)[: max(0, number.content.value)]

    return call


def _gives_processes(function: Any, inputs: tuple[int, ...]) -> tuple[int, Any]:
    rows, number = _Room(ProcessMemory * _MAX_PROCESSES), _Room(ctypes.c_int)
    code = int(function(*(ctypes.c_int(each) for each in inputs), rows.address, number.address))
    rows.check()
    number.check()
    found = max(0, min(number.content.value, _MAX_PROCESSES))
    return code, [_plain(row) for row in rows.content[:found]]


def _plain(content: Any) -> Any:
    """Return a ctypes object as JSON has it."""
    if isinstance(content, ctypes.Structure):
        # Reserved fields hold nothing.
        return {
            name: _plain(getattr(content, name))
            for name, *_ in type(content)._fields_
            if name != "reserve"
        }
    if isinstance(content, ctypes.Array):
        return bytes(content.value).decode("utf-8", "replace")
    if isinstance(content, bytes):
        return content.decode("utf-8", "replace")
    return content if isinstance(content, int) else content.value


_INT, _UINT = ctypes.c_int, ctypes.c_uint

CALLS: Mapping[str, Call] = MappingProxyType(
    {
        "dcmi_init": _nothing,
        "dcmi_get_card_list": _gives_list(number_first=True),
        "dcmi_get_device_id_in_card": _gives_three,
        "dcmi_get_device_type": _gives(_INT),
        "dcmi_get_device_chip_info": _gives(ChipInfo),
        "dcmi_get_device_chip_info_v2": _gives(ChipInfo),
        "dcmi_get_device_pcie_info_v2": _gives(PcieInfo),
        "dcmi_get_device_logic_id": _gives(_INT, at_the_end=False),
        "dcmi_get_device_phyid_from_logicid": _gives(_UINT),
        "dcmi_get_device_health": _gives(_UINT),
        "dcmi_get_device_temperature": _gives(_INT),
        "dcmi_get_device_power_info": _gives(_INT),
        "dcmi_mcu_get_power_info": _gives(_INT),
        "dcmi_get_device_utilization_rate": _gives(_UINT),
        "dcmi_get_device_hbm_info": _gives(HbmInfo),
        "dcmi_get_hbm_info": _gives(HbmInfo),
        "dcmi_get_device_memory_info_v3": _gives(MemoryInfo),
        "dcmi_get_memory_info": _gives(OldMemoryInfo),
        "dcmi_get_device_resource_info": _gives_processes,
        "dcmi_get_product_type": _gives_text,
        "dcmi_get_card_elabel_v2": _gives(Elabel),
        # The second interface, of the 950: one number for a device, and the list before its length.
        "dcmiv2_init": _nothing,
        "dcmiv2_get_device_list": _gives_list(number_first=False),
        "dcmiv2_get_device_chip_info": _gives(ChipInfo),
        "dcmiv2_get_device_pcie_info": _gives(PcieInfo),
        "dcmiv2_get_device_health": _gives(_UINT),
        "dcmiv2_get_device_temperature": _gives(_INT),
        "dcmiv2_get_device_power_info": _gives(_INT),
        "dcmiv2_get_device_utilization_rate": _gives(_UINT),
        "dcmiv2_get_device_hbm_info": _gives(HbmInfo),
        "dcmiv2_get_device_proc_mem_info": _gives_processes,
        "dcmiv2_get_device_elabel_info": _gives(Elabel),
    }
)
