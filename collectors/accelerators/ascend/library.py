"""The door to libdcmi.so: every call goes through one method, live, recorded or recording."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from collectors.accelerators.ascend import explain, layouts

DEFAULT = "libdcmi.so"
# Where the driver's installer puts it; neither place is on the loader's path by itself.
_PLACES = (
    Path("/usr/local/dcmi/libdcmi.so"),
    Path("/usr/local/Ascend/driver/lib64/driver/libdcmi.so"),
)
_DRIVER = Path("/usr/local/Ascend/driver/lib64")
# What libdcmi.so needs, in the order of their own needs.
_NEEDED = (
    "common/libc_sec.so",
    "common/libmmpa.so",
    "driver/libascend_hal.so",
    "driver/libdrvdsmi_host.so",
)


@dataclass(frozen=True, slots=True)
class Answer:
    """Is a return code, and what the call gave; the value means nothing unless the code is 0."""

    code: int
    value: Any = None


class Library(Protocol):
    """Answers calls by the names that DCMI gives them; for one thread."""

    def load(self) -> int:
        """Load the library if it is not; return 0, or why it cannot be."""

    def call(self, function: str, *inputs: int) -> Answer:
        """Call a function of `layouts.CALLS` with these inputs."""


class LiveLibrary:
    """Is the library of this machine; it is loaded once and stays loaded.

    `name` is one that the dynamic loader finds, or a path.
    """

    def __init__(
        self, name: str, *, places: Sequence[Path] = _PLACES, driver: Path = _DRIVER
    ) -> None:
        self._candidates = [name]
        if "/" not in name:
            self._candidates += [str(place) for place in places if place.is_file()]
        self._driver = driver
        self._library: ctypes.CDLL | None = None

    def load(self) -> int:
        """Load the library if it is not; return 0, or why it cannot be."""
        for candidate in self._candidates:
            if self._library is not None:
                break
            self._library = self._loaded(candidate)
        return explain.OK if self._library is not None else explain.LIBRARY_NOT_FOUND

    def call(self, function: str, *inputs: int) -> Answer:
        """Call a function; one that the library does not have is an answer too."""
        if self._library is None:
            return Answer(explain.LIBRARY_NOT_FOUND)
        try:
            address = getattr(self._library, function)
        except AttributeError:
            return Answer(explain.FUNCTION_NOT_FOUND)
        try:
            code, value = layouts.CALLS[function](address, inputs)
        except layouts.StructureGrew:
            return Answer(explain.STRUCTURE_GREW)
        return Answer(code, value if code == explain.OK else None)

    def _loaded(self, candidate: str) -> ctypes.CDLL | None:
        try:
            # Other parts of the driver look for its symbols.
            return ctypes.CDLL(candidate, mode=ctypes.RTLD_GLOBAL)
        except OSError:
            if not Path(candidate).is_file():
                return None
        # A service has no LD_LIBRARY_PATH: what is loaded already is not looked for.
        for needed in _NEEDED:
            try:
                ctypes.CDLL(str(self._driver / needed), mode=ctypes.RTLD_GLOBAL)
            except OSError:
                continue
        try:
            return ctypes.CDLL(candidate, mode=ctypes.RTLD_GLOBAL)
        except OSError:
            return None


class RecordedLibrary:
    """Plays back what a library once answered."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self._answers = answers

    def load(self) -> int:
        """Return 0 if any answer of the library was recorded."""
        is_there = any(key.startswith("dcmi") for key in self._answers)
        return explain.OK if is_there else explain.LIBRARY_NOT_FOUND

    def call(self, function: str, *inputs: int) -> Answer:
        """Return the recorded answer; one that was not recorded has a code of its own."""
        recorded = self._answers.get(_key(function, inputs))
        if not isinstance(recorded, Mapping) or not isinstance(recorded.get("code"), int):
            return Answer(explain.NOT_IN_RECORDING)
        return Answer(recorded["code"], recorded.get("value"))


class RecordingLibrary:
    """Passes calls on to a library and keeps what it answered."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self.answers: dict[str, Any] = {}

    def load(self) -> int:
        """Load the library; return 0, or why it cannot be."""
        return self._library.load()

    def call(self, function: str, *inputs: int) -> Answer:
        """Return what the library answers, and keep it."""
        answer = self._library.call(function, *inputs)
        self.answers[_key(function, inputs)] = {"code": answer.code, "value": answer.value}
        return answer


def _key(function: str, inputs: Sequence[int]) -> str:
    return f"{function}({', '.join(str(each) for each in inputs)})"


_live_conforms: type[Library] = LiveLibrary
_recorded_conforms: type[Library] = RecordedLibrary
_recording_conforms: type[Library] = RecordingLibrary
