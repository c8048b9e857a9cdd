"""The door to NVML: a call becomes its name and its arguments, an answer plain values or a code.

NVIDIA's own binding, nvidia-ml-py (module `pynvml`), stands behind the live one. It has one global
library for a process and never unloads it, and its import costs memory, so that it is imported when
a library is opened and not before.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType, ModuleType
from typing import Any, Protocol

from agent.errors import PermanentError
from collectors.accelerators.nvidia import explain
from collectors.accelerators.nvidia.explain import Failure

BINDINGS_LIBRARY = "libnvidia-ml.so.1"

_OPEN = "nvmlInit"
OPENING = f"{_OPEN}()"
_CARD = "nvmlDeviceGetHandleByIndex"
_SLICE = "nvmlDeviceGetMigDeviceHandleByIndex"
# By kind of work, newest form first; of both forms the structure is the same.
COMPUTE_PROCESSES, GRAPHICS_PROCESSES, SHARED_PROCESSES = (
    (f"nvmlDeviceGet{kind}RunningProcesses_v3", f"nvmlDeviceGet{kind}RunningProcesses_v2")
    for kind in ("Compute", "Graphics", "MPSCompute")
)
RUNNING_PROCESSES = (*COMPUTE_PROCESSES, *GRAPHICS_PROCESSES, *SHARED_PROCESSES)


@dataclass(frozen=True, slots=True)
class Handle:
    """Is a card or a slice in NVML's hands: `name` tells which, in a recording too."""

    name: str
    pointer: Any = field(default=None, compare=False, repr=False)


class Library(Protocol):
    """Answers calls of NVML while it is open. For one thread."""

    @property
    def path(self) -> str:
        """Return the name under which the library is looked for."""

    @property
    def is_open(self) -> bool:
        """Whether questions can be asked."""

    def open(self) -> Failure | None:
        """Load and initialize the library; return why not, or None."""

    def close(self) -> None:
        """Shut the library down; may be called twice."""

    def ask(self, function: str, *arguments: Any) -> Any:
        """Return a call's answer in plain values, a `Handle`, or a `Failure`."""


class LiveLibrary:
    """Is the library of this machine.

    A call that hangs in the driver hangs here: whoever uses this runs in a process that may be
    killed.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._binding: ModuleType | None = None

    @property
    def is_open(self) -> bool:
        """Whether questions can be asked."""
        return self._binding is not None

    def open(self) -> Failure | None:
        """Load and initialize the library; return why not, or None."""
        import pynvml

        # The binding asks the dynamic loader for one fixed name, and loads only while it has no
        # library: given another one beforehand, it uses that. Unlike preloading, this also works
        # for a library whose SONAME is different.
        if self.path != BINDINGS_LIBRARY and pynvml.nvmlLib is None:
            try:
                pynvml.nvmlLib = ctypes.CDLL(self.path)
            except OSError:
                return Failure(explain.LIBRARY_NOT_FOUND)
        self._binding = pynvml
        failure = self.ask(_OPEN)
        if isinstance(failure, Failure):
            self._binding = None
            return failure
        return None

    def close(self) -> None:
        """Shut the library down; it stays loaded. May be called twice."""
        if self._binding is not None:
            self.ask("nvmlShutdown")
            self._binding = None

    def ask(self, function: str, *arguments: Any) -> Any:
        """Return a call's answer in plain values, a `Handle`, or a `Failure`."""
        if self._binding is None:
            return Failure(explain.UNINITIALIZED)
        call = getattr(self._binding, function, None)
        if call is None:  # an older binding
            return Failure(explain.FUNCTION_NOT_FOUND)
        pointers = [each.pointer if isinstance(each, Handle) else each for each in arguments]
        try:
            answer = call(*pointers)
        except self._binding.NVMLError as error:
            # Where a list is empty, the binding takes the library's success for a failure.
            return Failure(int(error.value) or explain.NOT_FOUND)
        except UnicodeDecodeError:
            return Failure(explain.UNKNOWN)
        if function in (_CARD, _SLICE):
            return Handle(_name_of(*arguments), pointer=answer)
        plain = _PLAIN.get(function)
        return answer if plain is None else plain(answer)


class RecordingLibrary:
    """Passes calls on to a library, and keeps each answer in `answers`, by call."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self.answers: dict[str, dict[str, Any]] = {}

    @property
    def path(self) -> str:
        """Return the name under which the library is looked for."""
        return self._library.path

    @property
    def is_open(self) -> bool:
        """Whether questions can be asked."""
        return self._library.is_open

    def open(self) -> Failure | None:
        """Open the library; return why not, or None."""
        failure = self._library.open()
        self._keep(OPENING, failure)
        return failure

    def close(self) -> None:
        """Shut the library down; may be called twice."""
        self._library.close()

    def ask(self, function: str, *arguments: Any) -> Any:
        """Return the library's answer, and keep it."""
        answer = self._library.ask(function, *arguments)
        self._keep(call_text(function, *arguments), answer)
        return answer

    def _keep(self, call: str, answer: Any) -> None:
        if isinstance(answer, Failure):
            self.answers[call] = {"code": answer.code}
        else:
            value = answer.name if isinstance(answer, Handle) else answer
            self.answers[call] = {"code": 0, "value": value}


class RecordedLibrary:
    """Plays back what a library once answered; a call that was not recorded has no answer."""

    def __init__(self, answers: Mapping[str, Any], *, path: str = "the recording") -> None:
        self.path = path
        self.is_open = False
        self._answers = answers

    def open(self) -> Failure | None:
        """Return why the recorded library could not be opened, or None."""
        answer = self.ask(_OPEN)
        self.is_open = not isinstance(answer, Failure)
        return answer if isinstance(answer, Failure) else None

    def close(self) -> None:
        """Answer nothing any more until it is opened again; may be called twice."""
        self.is_open = False

    def ask(self, function: str, *arguments: Any) -> Any:
        """Return the recorded answer."""
        entry = self._answers.get(call_text(function, *arguments))
        if entry is None:
            return Failure(explain.NOT_RECORDED)
        if entry["code"] != 0:
            return Failure(entry["code"])
        return Handle(entry["value"]) if function in (_CARD, _SLICE) else entry["value"]


def call_text(function: str, *arguments: Any) -> str:
    """Return a call as a recording names it: `nvmlDeviceGetUUID(card 0)`."""
    shown = (each.name if isinstance(each, Handle) else str(each) for each in arguments)
    return f"{function}({', '.join(shown)})"


def checked_answers(answers: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a recording's answers.

    Raises:
        PermanentError: one of them is none of an NVIDIA recording's, or there is none.
    """
    if not answers:
        raise PermanentError("this is no recording of NVIDIA cards: it has no answer of NVML")
    for call, answer in answers.items():
        if not isinstance(answer, dict) or not isinstance(answer.get("code"), int):
            raise PermanentError(f"this is no recording of NVIDIA cards: {call} has no code")
        if answer["code"] == 0 and "value" not in answer:
            raise PermanentError(f"this is no recording of NVIDIA cards: {call} has no value")
    return answers


def _name_of(*arguments: Any) -> str:
    if isinstance(arguments[0], Handle):
        return f"{arguments[0].name} slice {arguments[1]}"
    return f"card {arguments[0]}"


def _field_value(field_value: Any) -> dict[str, int]:
    return {
        "code": int(field_value.nvmlReturn),
        "type": int(field_value.valueType),
        "unsigned": int(field_value.value.uiVal),
    }


def _user(process: Any) -> dict[str, int | None]:
    used = process.usedGpuMemory
    return {"pid": int(process.pid), "memory": None if used is None else int(used)}


def _sample(sample: Any) -> dict[str, int]:
    return {"pid": int(sample.pid), "time": int(sample.timeStamp), "gpu": int(sample.smUtil)}


def _decoded(text: bytes | str) -> str:
    return text if isinstance(text, str) else text.decode("ascii", "replace")


# The binding's structures, as far as they are read.
_PLAIN: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {
        "nvmlDeviceGetPciInfo": lambda pci: {"bus_id": _decoded(pci.busId)},
        "nvmlDeviceGetMemoryInfo": lambda memory: {
            "total": int(memory.total),
            "used": int(memory.used),
        },
        "nvmlDeviceGetUtilizationRates": lambda rates: {"gpu": int(rates.gpu)},
        "nvmlDeviceGetFieldValues": lambda fields: [_field_value(each) for each in fields],
        "nvmlDeviceGetMigMode": list,
        **dict.fromkeys(RUNNING_PROCESSES, lambda found: [_user(each) for each in found]),
        "nvmlDeviceGetProcessUtilization": lambda samples: [_sample(each) for each in samples],
        "nvmlDeviceGetRemappedRows": lambda rows: [int(each) for each in rows],
    }
)

_live_conforms: type[Library] = LiveLibrary
_recording_conforms: type[Library] = RecordingLibrary
_recorded_conforms: type[Library] = RecordedLibrary
