"""Calls libcndev through ctypes, or plays back what it once answered.

Every call is a function's name and whole numbers in, a code and plain values out: what is recorded
is what the rest of the plugin reads.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from collectors.accelerators.cambricon import explain
from collectors.accelerators.cambricon.facts import Unknown
from collectors.accelerators.cambricon.structures import (
    INSTANCE_FIELDS,
    LAYOUTS,
    MAX_INCIDENTS,
    HealthV2,
    Layout,
    MluInstance,
    ProcessInfo,
)

# The newest version of cndev's interface that is known here first; a library that refuses it may
# know an older one.
_VERSIONS = (6, 5, 4, 3)
# No field that a library filled holds this pattern, so a field that still does was not filled:
# older libraries write shorter structures.
_FILL = 0xA5
# Newer libraries write longer ones.
_SLACK_BYTES = 4096
_INSTANCES_AT_FIRST = 16
_INSTANCES_AT_MOST = 256
_PROCESSES_AT_FIRST = 64
_PROCESSES_AT_MOST = 4096

_DEFAULT_HOME = "/usr/local/neuware"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Is what a call returned: its code, and the values that it filled by name.

    A value that the library left alone is None.
    """

    code: int
    value: Mapping[str, Any] = field(default_factory=dict)


class Calls(Protocol):
    """Answers calls of cndev."""

    def load(self) -> Unknown | None:
        """Make the library ready to be called; return why not, or None. May be called again."""

    def call(self, function: str, *arguments: int) -> Answer:
        """Return what a function answers; FUNCTION_NOT_FOUND where the library lacks it."""


class LiveCalls:
    """Calls the library of this machine. For one thread.

    A call that hangs in the driver hangs here: whoever uses this runs in a process that may be
    killed.
    """

    def __init__(self, library: str, *, environment: Mapping[str, str] | None = None) -> None:
        self._name = library
        self._environment = os.environ if environment is None else environment
        self._library: ctypes.CDLL | None = None
        self._versions: dict[str, int] = {}

    def load(self) -> Unknown | None:
        """Load the library; return why that failed, or None."""
        if self._library is not None:
            return None
        code, said = explain.LIBRARY_NOT_FOUND, self._name
        for candidate in self._candidates():
            try:
                self._library = ctypes.CDLL(candidate)
            except OSError as error:
                if Path(candidate).is_file() or "cannot open shared object" not in str(error):
                    code, said = explain.LIBRARY_UNUSABLE, str(error)
            else:
                return None
        return Unknown(f"{explain.explain(code).reason}: {said}", code)

    def call(self, function: str, *arguments: int) -> Answer:
        """Return what a function answers; FUNCTION_NOT_FOUND where the library lacks it."""
        try:
            entry = getattr(self._library, function)
        except AttributeError:
            return Answer(code=explain.FUNCTION_NOT_FOUND)
        match function:
            case "cndevInit" | "cndevRelease":
                return Answer(code=entry(*map(ctypes.c_int32, arguments)))
            case "cndevGetDeviceHandleByIndex":
                handle = ctypes.c_int32(-1)
                code = entry(ctypes.c_int32(arguments[0]), ctypes.byref(handle))
                return Answer(code=code, value={"device": handle.value})
            case "cndevGetMluInstanceById":
                handle = ctypes.c_int32(-1)
                code = entry(ctypes.byref(handle), *map(ctypes.c_int32, arguments))
                return Answer(code=code, value={"device": handle.value})
            case "cndevGetCardNameStringByDevId" | "getCardNameStringByDevId":
                entry.restype = ctypes.c_char_p
                name = entry(ctypes.c_int32(arguments[0]))
                return Answer(code=0, value={"name": None if name is None else _decoded(name)})
            case "cndevGetAllMluInstanceInfo":
                return self._instances(entry, arguments[0])
            case "cndevGetProcessInfo":
                return self._processes(entry, arguments[0])
        return self._structure(function, entry, *arguments)

    def _candidates(self) -> Iterator[str]:
        yield self._name
        if "/" in self._name:
            return
        for home in (self._environment.get("NEUWARE_HOME"), _DEFAULT_HOME):
            if home:
                yield from (str(Path(home, folder, self._name)) for folder in ("lib64", "lib"))

    def _structure(self, function: str, entry: Any, *arguments: int) -> Answer:
        layout = LAYOUTS[function]
        known = self._versions.get(function)
        versions = _VERSIONS if known is None else (known,)
        code = explain.UNSUPPORTED_VERSION
        for version in versions if layout.is_versioned else (0,):
            memory = _filled(ctypes.sizeof(layout.structure) + _SLACK_BYTES)
            if layout.is_versioned:
                ctypes.c_int32.from_buffer(memory).value = version
            code = entry(ctypes.byref(memory), *map(ctypes.c_int32, arguments))
            if code != explain.UNSUPPORTED_VERSION:
                self._versions[function] = version
                break
        if code != explain.SUCCESS:
            return Answer(code=code)
        return Answer(code=code, value=_values(layout, memory))

    def _instances(self, entry: Any, device: int) -> Answer:
        size = ctypes.sizeof(MluInstance)
        capacity = _INSTANCES_AT_FIRST
        for version in (*_VERSIONS, _VERSIONS[0]):
            memory = _filled(size * capacity + _SLACK_BYTES)
            ctypes.c_int32.from_buffer(memory).value = version
            count = ctypes.c_int32(capacity)
            code = entry(ctypes.byref(count), ctypes.byref(memory), ctypes.c_int32(device))
            if code == explain.INSUFFICIENT_SPACE and capacity < count.value <= _INSTANCES_AT_MOST:
                capacity = count.value
            elif code != explain.UNSUPPORTED_VERSION:
                break
        if code != explain.SUCCESS:
            return Answer(code=code)
        if not 0 <= count.value <= capacity:
            return Answer(code=explain.UNKNOWN_LAYOUT)
        layout = Layout(structure=MluInstance, fields=INSTANCE_FIELDS)
        instances = [_values(layout, memory, offset=size * number) for number in range(count.value)]
        # A library with a longer structure puts the second one elsewhere: its UUID is then none.
        if any(not each["uuid"] for each in instances):
            return Answer(code=explain.UNKNOWN_LAYOUT)
        return Answer(code=code, value={"instances": instances})

    def _processes(self, entry: Any, device: int) -> Answer:
        size = ctypes.sizeof(ProcessInfo)
        capacity = _PROCESSES_AT_FIRST
        for version in (*_VERSIONS, _VERSIONS[0]):
            memory = _filled(size * capacity + _SLACK_BYTES)
            ctypes.c_int32.from_buffer(memory).value = version
            count = ctypes.c_uint32(capacity)
            code = entry(ctypes.byref(count), ctypes.byref(memory), ctypes.c_int32(device))
            if code == explain.INSUFFICIENT_SPACE and capacity < count.value <= _PROCESSES_AT_MOST:
                capacity = count.value + _PROCESSES_AT_FIRST
            elif code != explain.UNSUPPORTED_VERSION:
                break
        if code != explain.SUCCESS:
            return Answer(code=code)
        end = size * count.value
        if count.value > capacity:
            return Answer(code=explain.UNKNOWN_LAYOUT)
        # A library with longer rows wrote beyond the end of ours.
        if count.value and bytes(memory[end : end + size]) != bytes([_FILL]) * size:
            return Answer(code=explain.UNKNOWN_LAYOUT)
        layout = Layout(structure=ProcessInfo, fields=("pid", "physical_used"))
        rows = [_values(layout, memory, offset=size * number) for number in range(count.value)]
        return Answer(code=code, value={"processes": rows})


class RecordedCalls:
    """Plays back what the library once answered."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self._answers = answers

    def load(self) -> Unknown | None:
        """Return None if any call was recorded."""
        if self._answers:
            return None
        return Unknown("cndev is not in the recording", explain.LIBRARY_NOT_FOUND)

    def call(self, function: str, *arguments: int) -> Answer:
        """Return the recorded answer; FUNCTION_NOT_FOUND where there is none."""
        recorded = self._answers.get(_key(function, arguments))
        if not isinstance(recorded, Mapping) or not isinstance(recorded.get("code"), int):
            return Answer(code=explain.FUNCTION_NOT_FOUND)
        return Answer(code=recorded["code"], value=_plain(recorded.get("value")))


class RecordingCalls:
    """Passes calls on to the library and keeps what it answered."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self.answers: dict[str, Any] = {}

    def load(self) -> Unknown | None:
        """Make the library ready to be called; return why not, or None."""
        return self._calls.load()

    def call(self, function: str, *arguments: int) -> Answer:
        """Return what a function answers, and keep it."""
        answer = self._calls.call(function, *arguments)
        self.answers[_key(function, arguments)] = {
            "code": answer.code,
            "value": dict(answer.value),
        }
        return answer


def _key(function: str, arguments: tuple[int, ...]) -> str:
    return f"{function}({', '.join(map(str, arguments))})"


def _plain(value: Any) -> dict[str, Any]:
    """Return what of a recorded value a library could have answered; people edit recordings."""
    if not isinstance(value, Mapping):
        return {}
    plain: dict[str, Any] = {
        name: each for name, each in value.items() if isinstance(each, int | str)
    }
    for name, kind in (("incidents", int), ("instances", Mapping), ("processes", Mapping)):
        listed = value.get(name)
        if isinstance(listed, list):
            plain[name] = [each for each in listed if isinstance(each, kind)]
    return plain


def _filled(size: int) -> ctypes.Array[ctypes.c_ubyte]:
    memory = (ctypes.c_ubyte * size)()
    ctypes.memset(memory, _FILL, size)
    return memory


def _values(
    layout: Layout, memory: ctypes.Array[ctypes.c_ubyte], *, offset: int = 0
) -> dict[str, Any]:
    structure = layout.structure.from_buffer(memory, offset)
    values: dict[str, Any] = {name: _value(structure, name) for name in layout.fields}
    if isinstance(structure, HealthV2):
        count = min(values["incident_count"] or 0, MAX_INCIDENTS)
        values["incidents"] = [structure.incidents[number].code for number in range(count)]
    return values


def _value(structure: ctypes.Structure, name: str) -> int | str | None:
    place = getattr(type(structure), name)
    start = ctypes.addressof(structure) + place.offset
    value = getattr(structure, name)
    if isinstance(value, bytes):
        is_filled = ctypes.string_at(start, 1)[0] != _FILL
        return _decoded(value) if is_filled else None
    is_filled = ctypes.string_at(start, place.size) != bytes([_FILL]) * place.size
    return int(value) if is_filled else None


def _decoded(text: bytes) -> str:
    return text.decode("utf-8", "replace").strip()


_live_conforms: type[Calls] = LiveCalls
_recorded_conforms: type[Calls] = RecordedCalls
_recording_conforms: type[Calls] = RecordingCalls
