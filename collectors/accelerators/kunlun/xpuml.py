"""Asks libxpuml through ctypes, or plays back what it once answered; converts nothing.

Every call goes through `ask` and has a name, "xpumlDeviceGetSerial(0)", under which its answer is
recorded. Nothing is loaded before the first question.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from collectors.accelerators.kunlun import explain

STRUCTURE_BYTES = 128
_SLACK_BYTES = 384
_NOT_WRITTEN = 0xFF
_CANARY = 0xA5
_MOST_PROCESSES = 256


class Memory(ctypes.Structure):
    """Is what xpumlDeviceGetMemoryInfo fills; bytes."""

    _fields_ = (
        ("page_size", ctypes.c_uint64),
        ("total", ctypes.c_uint64),
        ("free", ctypes.c_uint64),
        ("used", ctypes.c_uint64),
        ("l3_page_size", ctypes.c_uint64),
        ("l3_total", ctypes.c_uint64),
        ("l3_free", ctypes.c_uint64),
        ("l3_used", ctypes.c_uint64),
        ("reserved", ctypes.c_uint64 * 8),
    )


class Utilization(ctypes.Structure):
    """Is what xpumlDeviceGetUtilizationRates fills; percent."""

    _fields_ = (
        ("xpu", ctypes.c_uint32),
        ("memory", ctypes.c_uint32),
        ("reserved", ctypes.c_uint64 * 15),
    )


class PciInfo(ctypes.Structure):
    """Is what xpumlDeviceGetPciInfo fills."""

    _fields_ = (
        ("domain", ctypes.c_uint32),
        ("bus", ctypes.c_uint32),
        ("device", ctypes.c_uint32),
        ("function", ctypes.c_uint32),
        ("device_id", ctypes.c_uint32),
        ("subsystem_id", ctypes.c_uint32),
        ("bus_id", ctypes.c_char * 32),
        ("reserved", ctypes.c_uint64 * 9),
    )


class Attributes(ctypes.Structure):
    """Is what xpumlDeviceGetAttributes fills; `serial` only by newer libraries."""

    _fields_ = (
        ("architecture", ctypes.c_int32),
        ("board", ctypes.c_int32),
        ("model", ctypes.c_int32),
        ("clusters", ctypes.c_uint32),
        ("sdnns", ctypes.c_uint32),
        ("dma_engines", ctypes.c_uint32),
        ("decoders", ctypes.c_uint32),
        ("encoders", ctypes.c_uint32),
        ("image_processors", ctypes.c_uint32),
        ("most_virtual_functions", ctypes.c_uint32),
        ("memory_mebibytes", ctypes.c_uint64),
        ("l3_mebibytes", ctypes.c_uint64),
        ("serial", ctypes.c_uint64 * 2),
        ("reserved", ctypes.c_uint64 * 7),
    )


class ProcessInfo(ctypes.Structure):
    """Is one row of xpumlDeviceGetComputeRunningProcesses; bytes.

    `pid` is that of the asker's namespace, `node_pid` that of the node's own.
    """

    _fields_ = (
        ("pid", ctypes.c_uint32),
        ("used", ctypes.c_uint64),
        ("l3_used", ctypes.c_uint64),
        ("node_pid", ctypes.c_uint32),
        ("reserved", ctypes.c_uint64 * 12),
    )


@dataclass(frozen=True, slots=True)
class Answer:
    """Is what a call gave: its return code, and the value where the code is 0.

    A value is a number, a text, a structure's numbers and texts by field, or a list of these.
    """

    code: int
    value: Any = None


class Library(Protocol):
    """Answers calls; `index` is the device's, None for a call without a device."""

    def find(self) -> Answer:
        """Return whether there is a library at all; asks it nothing."""

    def ask(self, function: str, *, index: int | None = None) -> Answer:
        """Return what a call gave."""


class Xpuml:
    """Is the library of this machine; for one thread.

    A call that hangs in the driver hangs here: whoever uses this runs in a process that may be
    killed.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._library: ctypes.CDLL | None = None
        self._handles: dict[int, ctypes.c_void_p] = {}

    def find(self) -> Answer:
        """Load the library if it can be found, and return whether it was."""
        if self._library is not None:
            return Answer(explain.SUCCESS)
        for name in self._names:
            try:
                self._library = ctypes.CDLL(name)
            except OSError:
                continue
            return Answer(explain.SUCCESS)
        return Answer(explain.LIBRARY_NOT_FOUND)

    def ask(self, function: str, *, index: int | None = None) -> Answer:
        """Return what a call gave; a function that is not there is an answer too."""
        found = self.find()
        if found.code != explain.SUCCESS or self._library is None:
            return found
        call = getattr(self._library, function, None)
        if call is None:
            return Answer(explain.FUNCTION_NOT_FOUND)
        call.restype = ctypes.c_int
        if function == "xpumlDeviceGetHandleByIndex":
            return self._open_device(call, index=index)
        device = () if index is None else (self._handles.get(index, ctypes.c_void_p()),)
        return _perform(call, function=function, device=device)

    def _open_device(self, call: Any, *, index: int | None) -> Answer:
        # A handle is a structure of one pointer, passed by value: in every calling convention of
        # Linux the same as the pointer.
        assert index is not None  # noqa: S101 - the call names a device
        handle = ctypes.c_void_p()
        code = int(call(ctypes.c_uint(index), ctypes.byref(handle)))
        if code == explain.SUCCESS:
            self._handles[index] = handle
        return Answer(code)


class RecordedXpuml:
    """Plays back answers; a call that was not recorded is not offered."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self._answers = answers

    def find(self) -> Answer:
        """Return whether anything was recorded."""
        has_any = any(call.startswith("xpuml") for call in self._answers)
        return Answer(explain.SUCCESS if has_any else explain.LIBRARY_NOT_FOUND)

    def ask(self, function: str, *, index: int | None = None) -> Answer:
        """Return the recorded answer."""
        recorded = self._answers.get(call_name(function, index=index))
        if not isinstance(recorded, Mapping) or not isinstance(recorded.get("code"), int):
            return Answer(explain.FUNCTION_NOT_FOUND)
        return Answer(recorded["code"], recorded.get("value"))


class RecordingXpuml:
    """Passes calls on to a library and keeps what it answered."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self.answers: dict[str, Any] = {}

    def find(self) -> Answer:
        """Return whether there is a library."""
        return self._library.find()

    def ask(self, function: str, *, index: int | None = None) -> Answer:
        """Return what the call gave, and keep it."""
        answer = self._library.ask(function, index=index)
        self.answers[call_name(function, index=index)] = {
            "code": answer.code,
            "value": answer.value,
        }
        return answer


def call_name(function: str, *, index: int | None) -> str:
    """Return the name under which a call is recorded."""
    return f"{function}({'' if index is None else index})"


_STRUCTURES: Mapping[str, type[ctypes.Structure]] = {
    "xpumlDeviceGetMemoryInfo": Memory,
    "xpumlDeviceGetUtilizationRates": Utilization,
    "xpumlDeviceGetPciInfo": PciInfo,
    "xpumlDeviceGetAttributes": Attributes,
}
_TEXT_BYTES: Mapping[str, int] = {
    "xpumlSystemGetDriverVersion": 80,
    "xpumlDeviceGetSerial": 17,
    "xpumlDeviceGetName": 96,
}
_SIGNED = frozenset({"xpumlDeviceGetState", "xpumlDeviceGetId"})
# The second argument of these: the chip's own sensor.
_SENSOR_CALLS = frozenset({"xpumlDeviceGetTemperature"})
_WITHOUT_VALUE = frozenset({"xpumlInit", "xpumlShutdown"})


def _perform(call: Any, *, function: str, device: tuple[ctypes.c_void_p, ...]) -> Answer:
    if function in _WITHOUT_VALUE:
        return Answer(int(call()))
    if function == "xpumlDeviceGetComputeRunningProcesses":
        return _processes(call, device=device)
    if function in _STRUCTURES:
        return _structure(call, device=device, kind=_STRUCTURES[function])
    if function in _TEXT_BYTES:
        return _text(call, device=device, size=_TEXT_BYTES[function])
    number = ctypes.c_int(-1) if function in _SIGNED else ctypes.c_uint(0xFFFFFFFF)
    sensor = (ctypes.c_uint(0),) if function in _SENSOR_CALLS else ()
    code = int(call(*device, *sensor, ctypes.byref(number)))
    return Answer(code, int(number.value) if code == explain.SUCCESS else None)


def _structure(
    call: Any, *, device: tuple[ctypes.c_void_p, ...], kind: type[ctypes.Structure]
) -> Answer:
    # A library whose structure has grown writes into the slack and not into somebody's memory; one
    # whose structure was shorter leaves ones, which the library itself uses for "not available".
    content = bytes([_NOT_WRITTEN]) * STRUCTURE_BYTES + bytes([_CANARY]) * _SLACK_BYTES
    buffer = ctypes.create_string_buffer(content, len(content))
    code = int(call(*device, buffer))
    if code != explain.SUCCESS:
        return Answer(code)
    if buffer.raw[STRUCTURE_BYTES:] != content[STRUCTURE_BYTES:]:
        return Answer(explain.STRUCTURE_GREW)
    structure = kind.from_buffer_copy(buffer.raw[:STRUCTURE_BYTES])
    return Answer(code, _plain(structure))


def _processes(call: Any, *, device: tuple[ctypes.c_void_p, ...]) -> Answer:
    size = ctypes.sizeof(ProcessInfo)
    content = bytes([_NOT_WRITTEN]) * (size * _MOST_PROCESSES + _SLACK_BYTES)
    buffer = ctypes.create_string_buffer(content, len(content))
    count = ctypes.c_uint(_MOST_PROCESSES)
    code = int(call(*device, ctypes.byref(count), buffer))
    if code != explain.SUCCESS:
        return Answer(code)
    end = size * count.value
    # A library whose rows have grown wrote behind the last of ours.
    if count.value > _MOST_PROCESSES or buffer.raw[end:] != content[end:]:
        return Answer(explain.STRUCTURE_GREW)
    rows = (ProcessInfo.from_buffer_copy(buffer.raw, size * row) for row in range(count.value))
    return Answer(code, [_plain(row) for row in rows])


def _text(call: Any, *, device: tuple[ctypes.c_void_p, ...], size: int) -> Answer:
    buffer = ctypes.create_string_buffer(size + _SLACK_BYTES)
    code = int(call(*device, buffer, ctypes.c_uint(size)))
    return Answer(code, buffer.value.decode("ascii", "replace") if code == 0 else None)


def _plain(structure: ctypes.Structure) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, *_ in structure._fields_:
        value = getattr(structure, name)
        if isinstance(value, bytes):
            values[name] = value.decode("ascii", "replace")
        elif isinstance(value, int):
            values[name] = value
    return values


_live_conforms: type[Library] = Xpuml
_recorded_conforms: type[Library] = RecordedXpuml
_recording_conforms: type[Library] = RecordingXpuml
