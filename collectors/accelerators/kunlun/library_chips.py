"""Makes facts of what libxpuml answers: one set of calls over all devices."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from agent.model.accelerator import AcceleratorProcess
from collectors.accelerators.kunlun import explain, quantities
from collectors.accelerators.kunlun.explain import Explanation
from collectors.accelerators.kunlun.facts import (
    Chip,
    Missing,
    Number,
    Text,
    Users,
    Whole,
    blank_chip,
)
from collectors.accelerators.kunlun.xpuml import Answer, Library

_MOST_DEVICES = 256
_NOT_AVAILABLE = frozenset({-1, 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF})

# The models that the library numbers, as the tool writes them, each with the generation of its
# chip: model 0 in a structure that was not filled is no K200.
_MODELS: Mapping[int, tuple[int, str]] = MappingProxyType(
    {
        0: (1, "K200"),
        1: (1, "K100"),
        2: (2, "R200"),
        3: (2, "R300"),
        4: (2, "R200-8F"),
        5: (2, "R200-8FS"),
        6: (2, "R100"),
        8: (2, "R420"),
        9: (2, "RG800"),
        200: (2, "R200-PF"),
        201: (2, "R200-VF"),
        202: (2, "R200-VF"),
        203: (2, "R200-VF"),
    }
)
_STATES: Mapping[int, str] = MappingProxyType(
    {0: "UNUSED", 201: "RUNNING", 205: "IN RESET", 207: "ERROR", 208: "IN EXCEPTION"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryPass:
    """Is one pass over the library: its chips, or why there are none.

    `is_newer` says that no device was asked, because the driver is of XRE 5 or later, whose library
    is not described.
    """

    chips: tuple[Chip, ...] = ()
    failure: Explanation | None = None
    is_newer: bool = False


def read(library: Library, *, unless_newer: bool = False) -> LibraryPass:
    """Return what the library tells now; `unless_newer` asks no device of a newer library.

    It is opened and closed each time: a card that came or went is noticed so, and no device node
    is held that a reset would need.
    """
    opened = library.ask("xpumlInit")
    if opened.code != explain.SUCCESS:
        return LibraryPass(failure=explain.code(opened.code))
    try:
        return _read_open(library, unless_newer=unless_newer)
    finally:
        library.ask("xpumlShutdown")


def _read_open(library: Library, *, unless_newer: bool) -> LibraryPass:
    version = library.ask("xpumlSystemGetDriverVersion")
    if unless_newer and _is_newer(version):
        return LibraryPass(is_newer=True)
    count = library.ask("xpumlDeviceGetCount")
    if count.code != explain.SUCCESS:
        return LibraryPass(failure=explain.code(count.code))
    if not isinstance(count.value, int) or not 0 <= count.value <= _MOST_DEVICES:
        return LibraryPass(failure=Explanation(f"libxpuml counts {count.value} devices"))
    return LibraryPass(chips=tuple(_chip(library, index=index) for index in range(count.value)))


def _is_newer(version: Answer) -> bool:
    match = re.match(r"([0-9]+)\.", str(version.value))
    return version.code == explain.SUCCESS and match is not None and int(match.group(1)) >= 5


def _chip(library: Library, *, index: int) -> Chip:
    handle = library.ask("xpumlDeviceGetHandleByIndex", index=index)
    if handle.code != explain.SUCCESS:
        failed = _failed(handle)
        return replace(blank_chip(index, why=failed.reason), state=failed)

    def ask(function: str) -> Answer:
        return library.ask(function, index=index)

    memory = ask("xpumlDeviceGetMemoryInfo")
    node = _whole(ask("xpumlDeviceGetMinorNumber"), name="minor number")
    total = _field(memory, "total", name="memory")
    return Chip(
        index=index,
        pci_address=_pci_address(ask("xpumlDeviceGetPciInfo")),
        model=_model(ask("xpumlDeviceGetAttributes"), name=ask("xpumlDeviceGetName")),
        serial=_serial(ask("xpumlDeviceGetSerial")),
        uuid=Missing("libxpuml gives no UUID"),
        state=_state(ask("xpumlDeviceGetState")),
        memory_total_bytes=Missing("not plausible: libxpuml says 0 bytes") if total == 0 else total,
        memory_used_bytes=_field(memory, "used", name="used memory"),
        utilization_percent=_within(
            _field(ask("xpumlDeviceGetUtilizationRates"), "xpu", name="utilisation"), most=100
        ),
        temperature_celsius=_within(
            _whole(ask("xpumlDeviceGetTemperature"), name="temperature"), most=150
        ),
        power_watts=_power(ask("xpumlDeviceGetPowerUsage")),
        uncorrected_errors=Missing("libxpuml counts no memory errors"),
        users=_users(ask("xpumlDeviceGetComputeRunningProcesses")),
        node_number=None if isinstance(node, Missing) else node,
    )


def _users(answer: Answer) -> Users:
    if answer.code != explain.SUCCESS:
        return _failed(answer)
    found = []
    for row in answer.value if isinstance(answer.value, list) else ():
        pid, own = (row.get("node_pid"), row.get("pid")) if isinstance(row, Mapping) else (0, 0)
        # Older libraries know no namespaces.
        number = own if pid in (0, None) or pid in _NOT_AVAILABLE else pid
        if not isinstance(number, int):
            return Missing("libxpuml gives no number of a process")
        used = row.get("used")
        is_given = isinstance(used, int) and used not in _NOT_AVAILABLE
        found.append(AcceleratorProcess(pid=number, memory_used_bytes=used if is_given else None))
    return tuple(found)


def _model(attributes: Answer, *, name: Answer) -> Text:
    if attributes.code == explain.SUCCESS and isinstance(attributes.value, Mapping):
        generation, model = _MODELS.get(attributes.value.get("model", -1), (0, ""))
        if model and attributes.value.get("architecture") == generation:
            return model
    if name.code == explain.SUCCESS:
        return quantities.text(str(name.value), name="the name")
    if attributes.code != explain.SUCCESS:
        return _failed(attributes)
    return Missing("libxpuml's number of this model is not known here")


def _serial(answer: Answer) -> Text:
    if answer.code != explain.SUCCESS:
        return _failed(answer)
    return quantities.serial(str(answer.value), name="the serial number")


def _pci_address(answer: Answer) -> Text:
    if answer.code != explain.SUCCESS or not isinstance(answer.value, Mapping):
        return _failed(answer)
    return quantities.pci_address(str(answer.value.get("bus_id", "")), name="the bus id")


def _state(answer: Answer) -> Text:
    number = _whole(answer, name="state")
    if isinstance(number, Missing):
        return number
    return _STATES.get(number, f"{number}")


def _power(answer: Answer) -> Number:
    number = _whole(answer, name="power")
    return number if isinstance(number, Missing) else quantities.power_of(float(number))


def _within(number: Whole, *, most: int) -> Number:
    if isinstance(number, Missing):
        return number
    if not 0 <= number <= most:
        return Missing(f"not plausible: libxpuml answered {number}")
    return float(number)


def _field(answer: Answer, field: str, *, name: str) -> Whole:
    if answer.code != explain.SUCCESS or not isinstance(answer.value, Mapping):
        return _failed(answer)
    return _whole(Answer(explain.SUCCESS, answer.value.get(field)), name=name)


def _whole(answer: Answer, *, name: str) -> Whole:
    value: Any = answer.value
    if answer.code != explain.SUCCESS:
        return _failed(answer)
    if not isinstance(value, int) or value in _NOT_AVAILABLE:
        return Missing(f"the card calls its {name} not available (libxpuml)")
    return value


def _failed(answer: Answer) -> Missing:
    return Missing(explain.code(answer.code).reason, answer.code)
